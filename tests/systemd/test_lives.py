"""Under a real systemd: a crash of the daemon costs no worker, and a stop leaves nothing, whenever it comes."""

import os
import signal
from collections.abc import Iterator

import pytest

from btswarm.daemon.service import UNIT

from ..daemon.census import kill_all
from ..daemon.waiting import until
from .box import Box
from .service import SWEEP, Service


@pytest.fixture
def service(box: Box) -> Iterator[Service]:
    found = Service(box)
    found.install()
    yield found
    for name in ("hang", "refuse"):
        found.state(name).unlink(missing_ok=True)
    box.run("systemctl", "stop", UNIT)
    kill_all(found.swarm_id())
    until(lambda: box.property(SWEEP, "ActiveState") in ("inactive", "failed"), what="the sweep is over")
    box.run("systemctl", "reset-failed")


def test_it_is_up_when_the_daemon_says_so_and_shows_its_status(service: Service) -> None:
    service.start()
    assert service.active() == "active"
    assert service.box.property(UNIT, "StatusText") == "2 workers, 0 adopted"
    assert len(service.workers()) == 2
    assert "adopted 0, []" in service.box.run("journalctl", "-u", UNIT, "-o", "cat", "--no-pager").stdout


def test_a_killed_daemon_is_back_and_has_the_same_workers(service: Service) -> None:
    service.start()
    workers = service.workers()
    service.kill_daemon()
    until(lambda: service.box.property(UNIT, "StatusText") == "2 workers, 2 adopted", what="they are adopted")
    assert service.workers() == workers


def test_a_daemon_that_stops_turning_is_killed_and_its_workers_are_kept(service: Service) -> None:
    service.start()
    before, workers = service.main_pid(), service.workers()
    service.state("hang").touch()
    until(lambda: service.main_pid() != before, what="the watchdog killed it")
    service.state("hang").unlink()
    until(lambda: service.another(before), what="another daemon is ready")
    assert service.workers() == workers
    assert "Watchdog timeout" in service.box.run("journalctl", "-u", UNIT, "-o", "cat", "--no-pager").stdout


def test_a_restart_keeps_the_workers(service: Service) -> None:
    service.start()
    workers = service.workers()
    service.box.run("systemctl", "restart", UNIT, check=True)
    assert service.box.property(UNIT, "StatusText") == "2 workers, 2 adopted"
    assert service.workers() == workers


def test_the_sweep_leaves_a_swarm_alone_whose_daemon_came_back(service: Service) -> None:
    service.start()
    workers = service.workers()
    service.box.run("systemctl", "restart", UNIT, check=True)
    service.box.run("systemctl", "start", SWEEP, check=True)
    assert service.workers() == workers
    assert "a daemon runs" in service.box.run("journalctl", "-u", SWEEP, "-o", "cat", "--no-pager").stdout


def test_a_stop_leaves_nothing(service: Service) -> None:
    service.start()
    service.box.run("systemctl", "stop", UNIT, check=True)
    assert service.active() == "inactive"
    assert not service.workers()


def test_a_stop_between_a_crash_and_the_restart_leaves_nothing(service: Service) -> None:
    """The daemon is dead and not yet back: nobody drains, so the sweep does."""
    text = service.root / "etc/systemd/system" / UNIT
    text.write_text(text.read_text().replace("RestartSec=100ms", "RestartSec=60s"))
    service.box.run("systemctl", "daemon-reload", check=True)
    service.start()
    os.kill(service.main_pid(), signal.SIGKILL)
    until(lambda: service.box.property(UNIT, "SubState") == "auto-restart", what="it waits to be restarted")
    assert len(service.workers()) == 2
    service.box.run("systemctl", "stop", UNIT, check=True)
    until(lambda: not service.workers(), what="the workers are swept up")


def test_a_refused_daemon_is_not_started_again_and_leaves_nothing(service: Service) -> None:
    service.start()
    service.state("refuse").touch()
    os.kill(service.main_pid(), signal.SIGKILL)
    until(lambda: service.active() == "failed", what="it is given up")
    assert service.box.property(UNIT, "ExecMainStatus") == "64"
    until(lambda: not service.workers(), what="the workers are swept up")
