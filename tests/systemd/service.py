"""The units of this checkout installed in a box, and what a test asks about them."""

import os
import signal
import sys
from pathlib import Path

from btswarm.daemon.service import UNIT, UNITS
from btswarm.daemon.units import Filling, fill

from ..checkout import CHECKOUT
from ..daemon.census import carriers
from ..daemon.waiting import until
from .box import Box

STATE = Path("/var/lib/btswarm-test")
SWEEP = "btswarm-sweep.service"


class Service:
    """The units of this checkout in a box, with a daemon reduced to what they are about."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.root = box.root()
        self.id = os.urandom(16).hex()
        """Of this test alone: another run on this machine may not clear its workers away."""

    def daemon(self, text: str) -> str:
        """The unit's text with the daemon that it shall run."""
        return text.replace("-P -m btswarm daemon ", f"-P -m btswarm.tests.systemd.stand_in {STATE}")

    def swarm_id(self) -> str:
        return self.id

    def install(self) -> None:
        filling = Filling(
            sys.executable, None, STATE, STATE, (STATE,), {"PYTHONPATH": self.import_path(), "STATE_ROOT": str(STATE)}
        )
        for name in UNITS:
            text = self.daemon(fill(name, filling, "systemd"))
            text = text.replace("WatchdogSec=30", "WatchdogSec=1").replace("btswarm sweep", "btswarm sweep --wait 0.3")
            (self.root / "etc/systemd/system" / name).write_text(text)
        (self.root / str(STATE).lstrip("/")).mkdir(mode=0o700, exist_ok=True)
        self.state("swarm_id").write_text(self.id)
        self.box.run("systemctl", "daemon-reload", check=True)

    def import_path(self) -> str:
        """The folder from which this checkout is imported as btswarm."""
        return str(CHECKOUT / ".links")

    def python(self) -> str:
        return sys.executable

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
        return {pid for pid, _token in carriers(self.swarm_id())}

    def kill_daemon(self) -> int:
        """SIGKILL; the pid of the next one."""
        before = self.main_pid()
        os.kill(before, signal.SIGKILL)
        return until(lambda: self.another(before), what="another daemon is ready")

    def another(self, before: int) -> int:
        now = self.main_pid()
        return now if now not in (0, before) and self.active() == "active" else 0


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
