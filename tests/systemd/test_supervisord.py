"""The program file under a real supervisord: crashes adopt, refusals are final, a stop drains."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from btswarm.daemon.home import swarm_id
from btswarm.daemon.lock import LOCK_NAME, holder_pid
from btswarm.daemon.units import Filling, fill
from btswarm.daemon.view import held

from ..daemon.census import carriers, kill_all
from ..daemon.waiting import until

pytestmark = pytest.mark.skipif(not shutil.which("supervisord"), reason="supervisord is not installed")
CONFIG = """\
roots = { root = "ROOT" }
disk = { floor_mb = 1, ballast_mb = 1 }
[[command]]
name = "nap"
argv = ["sleep", "1000"]
copies = 2
"""
MANAGER = """\
[supervisord]
nodaemon=true
logfile=%(here)s/supervisord.log
pidfile=%(here)s/supervisord.pid
[unix_http_server]
file=%(here)s/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://%(here)s/s.sock
"""


class Manager:
    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "root" / "state"

    def ctl(self, *argv: str) -> str:
        command = ["supervisorctl", "-c", str(self.folder / "supervisord.conf"), *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stdout

    def naps(self) -> set[int]:
        own = swarm_id(self.state)
        return {pid for pid, _ in carriers(own)} if own else set()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    for name in ("RESULTS", "STATE", "LOGS", "KNOWLEDGE"):
        monkeypatch.delenv(f"{name}_ROOT", raising=False)
    found = Manager(tmp_path)
    (tmp_path / "btswarm.toml").write_text(CONFIG.replace("ROOT", str(tmp_path / "root")))
    for folder in (found.state, tmp_path / "root" / "logs"):
        folder.mkdir(parents=True)
    filling = Filling(sys.executable, tmp_path / "btswarm.toml", found.state, tmp_path / "root" / "logs", ())
    (tmp_path / "supervisord.conf").write_text(MANAGER + fill("supervisord.conf", filling, "supervisord"))
    with subprocess.Popen(
        ["supervisord", "-c", str(tmp_path / "supervisord.conf")], stdout=subprocess.DEVNULL
    ) as process:
        yield found
        process.terminate()
        process.wait(120)
    if own := swarm_id(found.state):
        kill_all(own)


def test_a_crash_keeps_the_workers_and_a_stop_leaves_none(manager: Manager) -> None:
    workers = until(lambda: found if len(found := manager.naps()) == 2 else None, what="both naps are taken")
    first = holder_pid(manager.state)
    assert first
    os.kill(first, signal.SIGKILL)
    until(lambda: holder_pid(manager.state) != first and held(manager.state / LOCK_NAME), what="it is back")
    assert manager.naps() == workers
    assert "stopped" in manager.ctl("stop", "btswarm")
    assert not manager.naps()
    assert not held(manager.state / LOCK_NAME)


def test_a_refusal_is_final(manager: Manager) -> None:
    until(lambda: len(manager.naps()) == 2, what="both naps are taken")
    assert "stopped" in manager.ctl("stop", "btswarm")
    (manager.folder / "btswarm.toml").write_text("[nonsense]\n")
    manager.ctl("start", "btswarm")
    until(lambda: "EXITED" in manager.ctl("status", "btswarm"), what="it is given up")
