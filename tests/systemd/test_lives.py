"""Under a real systemd: a crash of the daemon costs no worker, and a stop leaves nothing, whenever it comes."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from btswarm.daemon.service import UNIT, UNITS
from btswarm.daemon.units import Filling, fill

from ..checkout import CHECKOUT
from ..daemon.census import carriers, kill_all
from ..daemon.waiting import until
from . import stand_in
from .box import Box

STATE = Path("/var/lib/btswarm-test")
SWEEP = "btswarm-sweep.service"


class Service:
    """The units of this checkout in a box, with a daemon reduced to what they are about."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.root = box.root()

    def install(self) -> None:
        filling = Filling(
            sys.executable, None, STATE, STATE, (STATE,), {"PYTHONPATH": _path(), "STATE_ROOT": str(STATE)}
        )
        for name in UNITS:
            text = fill(name, filling, "systemd").replace(
                "-P -m btswarm daemon ", f"-P -m btswarm.tests.systemd.stand_in {STATE}"
            )
            text = text.replace("WatchdogSec=30", "WatchdogSec=1").replace("btswarm sweep", "btswarm sweep --wait 1")
            (self.root / "etc/systemd/system" / name).write_text(text)
        (self.root / str(STATE).lstrip("/")).mkdir(mode=0o700, exist_ok=True)
        self.box.run("systemctl", "daemon-reload", check=True)

    def state(self, name: str) -> Path:
        return self.root / str(STATE).lstrip("/") / name

    def start(self) -> None:
        self.box.run("systemctl", "start", UNIT, check=True)

    def active(self) -> str:
        return self.box.property(UNIT, "ActiveState")

    def main_pid(self) -> int:
        """As this test sees it."""
        inner = int(self.box.property(UNIT, "MainPID") or 0)
        return inner and _outer(inner, self.box)

    def workers(self) -> set[int]:
        return {pid for pid, _token in carriers(stand_in.SWARM_ID)}

    def kill_daemon(self) -> int:
        """SIGKILL; the pid of the next one."""
        before = self.main_pid()
        os.kill(before, signal.SIGKILL)
        return until(lambda: self._another(before), what="another daemon is ready")

    def _another(self, before: int) -> int:
        now = self.main_pid()
        return now if now not in (0, before) and self.active() == "active" else 0


def _path() -> str:
    """The folder from which this checkout is imported as btswarm."""
    return str(CHECKOUT / ".links")


def _outer(inner: int, box: Box) -> int:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                status = Path(f"/proc/{name}/status").read_text()
                same = os.readlink(f"/proc/{name}/ns/pid") == os.readlink(f"/proc/{box.pid}/ns/pid")
            except OSError:
                continue
            spaces = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
            if same and int(spaces[-1]) == inner:
                return int(name)
    return 0


@pytest.fixture
def service(box: Box) -> Iterator[Service]:
    found = Service(box)
    found.install()
    yield found
    for name in ("hang", "refuse"):
        found.state(name).unlink(missing_ok=True)
    box.run("systemctl", "stop", UNIT)
    kill_all(stand_in.SWARM_ID)
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
    until(lambda: service._another(before), what="another daemon is ready")
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
