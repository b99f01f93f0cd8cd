"""The daemon itself under a real systemd, with command jobs as its workers."""

import os
import signal
from collections.abc import Iterator

import pytest

from btswarm.daemon.home import swarm_id
from btswarm.daemon.service import UNIT, UNITS

from ..daemon.census import kill_all
from ..daemon.waiting import until
from .box import Box
from .service import STATE, SWEEP, Service

CONFIG = f"""\
roots = {{ root = "{STATE}", state = "{STATE}" }}
disk = {{ floor_mb = 1, ballast_mb = 1 }}
cycle = {{ tick_s = 0.3, agent_hard_s = 0.2, save_min_s = 0.1 }}
[[command]]
name = "nap"
argv = ["sleep", "1000"]
copies = 2
"""


class Real(Service):
    def daemon(self, text: str) -> str:
        return text.replace("-m btswarm daemon ", f"-m btswarm daemon --config {STATE}/btswarm.toml")

    def swarm_id(self) -> str:
        return swarm_id(self.state("")) or "none"

    def naps(self) -> set[int]:
        return until(lambda: found if len(found := self.workers()) == 2 else None, what="both naps are taken") or set()

    def journal(self) -> str:
        return self.box.run("journalctl", "-u", UNIT, "-o", "cat", "--no-pager").stdout

    def status(self, words: str) -> None:
        until(lambda: words in self.box.property(UNIT, "StatusText"), what=f"systemctl status shows {words}")


@pytest.fixture
def service(box: Box) -> Iterator[Real]:
    found = Real(box)
    found.install()
    found.state("btswarm.toml").write_text(CONFIG)
    yield found
    box.run("systemctl", "stop", UNIT)
    kill_all(found.swarm_id())
    until(lambda: box.property(SWEEP, "ActiveState") in ("inactive", "failed"), what="the sweep is over")
    box.run("systemctl", "reset-failed")


def test_a_life_of_the_daemon_under_systemd(service: Real) -> None:
    service.start()
    workers = service.naps()
    service.status("2 workers")
    assert "btswarm: daemon" in service.journal()

    service.kill_daemon()
    service.status("2 workers")
    assert service.workers() == workers

    before = service.main_pid()
    os.kill(before, signal.SIGSTOP)
    until(lambda: service.another(before), what="the watchdog killed the stopped daemon, and another is ready")
    service.status("2 workers")
    assert service.workers() == workers

    service.box.run("systemctl", "restart", UNIT, check=True)
    service.status("2 workers")
    assert service.workers() == workers
    assert "leaving with 75" in service.journal()

    service.box.run("systemctl", "stop", UNIT, check=True)
    assert service.active() == "inactive"
    assert not service.workers()
    assert "no worker is left" in service.journal()


def test_a_stop_before_the_restart_of_a_killed_daemon_leaves_nothing(service: Real) -> None:
    unit = service.root / "etc/systemd/system" / UNIT
    unit.write_text(unit.read_text().replace("RestartSec=100ms", "RestartSec=60s"))
    service.box.run("systemctl", "daemon-reload", check=True)
    service.start()
    service.naps()
    os.kill(service.main_pid(), signal.SIGKILL)
    until(lambda: service.box.property(UNIT, "SubState") == "auto-restart", what="it waits to be restarted")
    service.box.run("systemctl", "stop", UNIT, check=True)
    until(lambda: not service.workers(), what="the workers are swept up")


def test_a_second_daemon_on_the_folder_fails_for_good_and_names_the_first(service: Real) -> None:
    service.start()
    workers = service.naps()
    again = service.box.run(
        *("systemd-run", "--wait", "--pipe", "-p", "Environment=PYTHONPATH=" + service.import_path()),
        *("--", service.python(), "-P", "-m", "btswarm", "daemon", "--config", f"{STATE}/btswarm.toml"),
    )
    assert again.returncode == 77
    assert "is the daemon of" in again.stdout + again.stderr
    assert service.workers() == workers


def test_start_and_stop_find_systemd_install_the_units_and_wait(service: Real) -> None:
    """As on a fresh host: nothing is installed, and one command does all of it."""
    for name in UNITS:
        (service.root / "etc/systemd/system" / name).unlink()
    service.box.run("systemctl", "daemon-reload", check=True)
    command = (service.python(), "-P", "-m", "btswarm")
    config = ("--config", f"{STATE}/btswarm.toml")
    assert "started through systemd" in service.box.run(*command, "start", *config, check=True).stdout
    assert len(service.naps()) == 2
    assert "runs already" in service.box.run(*command, "ensure", *config, check=True).stdout
    assert "stopped through systemd" in service.box.run(*command, "stop", *config, check=True).stdout
    assert not service.workers()
