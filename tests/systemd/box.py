"""A real systemd for a test: PID 1 of namespaces of its own, on an overlay of this machine that is thrown away."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ..checkout import CHECKOUT
from ..daemon.waiting import until

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
NEEDED = ("systemctl", "unshare", "nsenter", "mount", "ip")
BOOT = Path(__file__).with_name("boot.sh")


def unable() -> str:
    """Why no systemd can be booted here, empty if it may be tried."""
    if os.geteuid() != 0:
        return "booting systemd in a namespace needs root"
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing or not Path("/lib/systemd/systemd").exists():
        return f"no {', '.join(missing) or 'systemd'} on this machine"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "namespaces are not allowed here"


class CannotBoot(Exception):
    """It was tried; what the boot said."""


class Box:
    """A booted systemd; `run` executes inside."""

    def __init__(self, process: subprocess.Popen[bytes], pid: int) -> None:
        self.process, self.pid = process, pid

    def run(self, *argv: str, check: bool = False, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]
        clean = ["env", "-i", f"PATH={PATH}", "LANG=C.UTF-8", "TERM=dumb", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=cat"]
        done = subprocess.run([*inside, *clean, *argv], capture_output=True, text=True, check=False, timeout=timeout_s)
        assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done

    def property(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def root(self) -> Path:
        """Its file system, seen from outside."""
        return Path(f"/proc/{self.pid}/root")


@contextlib.contextmanager
def boot(folder: Path) -> Iterator[Box]:
    """Raises CannotBoot."""
    folder.mkdir()
    log = folder.parent / "boot.log"
    groups = list(_groups(f"btswarm-box-{os.getpid()}"))
    for group in groups:
        group.mkdir(exist_ok=True)
    namespaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net", "--propagation", "private"]
    argv = ["unshare", *namespaces, "--fork", "--kill-child=SIGKILL", "bash", str(BOOT), str(folder), *_elsewhere()]
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, preexec_fn=_enter(groups)
        )
    try:
        yield _booted(process, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
        for group in groups:
            until(partial(_removed, group), what="the box's control groups are empty")


def _booted(process: "subprocess.Popen[bytes]", log: Path) -> Box:
    def started() -> int | None:
        if process.poll() is not None:
            raise CannotBoot(log.read_text(errors="replace")[-2000:])
        for child in _children(process.pid):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return child
        return None

    box = Box(process, until(started, what="systemd is PID 1") or 0)
    states = ("running", "degraded")
    until(lambda: box.run("systemctl", "is-system-running").stdout.strip() in states, what="the box is up")
    return box


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _elsewhere() -> list[str]:
    """Folders that the daemon needs and that an overlay of / does not show, because they are mounts of their own."""
    needed = {CHECKOUT, Path(sys.prefix), Path(sys.base_prefix)}
    return sorted(str(path) for path in needed if path.stat().st_dev != Path("/").stat().st_dev)


def _groups(name: str) -> Iterator[Path]:
    """One control group of our own in each hierarchy that systemd would use."""
    top = Path("/sys/fs/cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        first = controllers.removeprefix("name=").split(",")[0]
        root = top / (first or ("unified" if (top / "unified").is_dir() else ""))
        if first != "cpuset" and root.is_dir():
            yield root / path.lstrip("/") / name


def _enter(groups: list[Path]) -> Callable[[], None]:
    def enter() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    return enter


def _removed(group: Path) -> bool:
    for folder, _names, _files in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not group.exists()
