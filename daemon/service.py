"""Who keeps the daemon running on this host: systemd, else supervisord, else a keeper of our own."""

import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from ..state.config import Settings
from ..state.control_client import NoDaemon, ask
from ..state.disk import RealDisk
from ..state.errors import BadConfig, BtswarmError, CannotWrite, ExitCode, NoPermission
from ..state.files import make_folder, write_atomic
from .keeper import LOCK as KEEPER_LOCK
from .lock import LOCK_NAME, holder_pid, told, who
from .sweep import sweep
from .units import Filling, fill
from .view import held

Kind = Literal["systemd", "supervisord", "keep"]
KINDS: Final[tuple[Kind, ...]] = ("systemd", "supervisord", "keep")
BOOTED: Final = Path("/run/systemd/system")
UNIT_FOLDER: Final = Path("/etc/systemd/system")
PROGRAM_FOLDERS: Final = (Path("/etc/supervisor/conf.d"), Path("/etc/supervisord.d"))
UNITS: Final = ("btswarm.service", "btswarm-sweep.service", "btswarm.slice")
PROGRAM: Final = "supervisord.conf"
UNIT: Final = "btswarm.service"
LOG: Final = "daemon.log"
UP_S: Final = 60.0
DOWN_S: Final = 110.0
LOOK_S: Final = 0.05


class NotStarted(BtswarmError):
    """The service manager took the order, and yet no daemon answers."""

    code = ExitCode.NO_DAEMON


class Refused(BtswarmError):
    """The daemon ended at once and for good; its words, its code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = ExitCode(code) if code in set(ExitCode) else ExitCode.NO_DAEMON


def kind() -> Kind:
    """What this host has. systemd counts only where it is PID 1 and ours to command."""
    if BOOTED.is_dir() and shutil.which("systemctl") and os.geteuid() == 0:
        return "systemd"
    return "supervisord" if _supervised() else "keep"


def install(settings: Settings, chosen: Kind, into: Path | None = None, user: str = "") -> list[Path]:
    """Write what the service manager needs and tell it; the files. With `into` they are only written, there.

    `user`: whom the daemon shall run as; the roots become theirs. Raises BadConfig for nobody on this host.
    """
    owner = _account(user) if user else None
    filling = replace(Filling.of(settings), user=user)
    if chosen == "keep":
        return []
    if into is not None:
        make_folder(into)
    folder = into or (UNIT_FOLDER if chosen == "systemd" else _program_folder())
    for root in filling.folders if into is None else ():
        make_folder(root)
        if owner:
            os.chown(root, owner.pw_uid, owner.pw_gid)
    names = UNITS if chosen == "systemd" else (PROGRAM,)
    written = []
    for name in names:
        path = folder / ("btswarm.conf" if name == PROGRAM else name)
        write_atomic(path, fill(name, filling, chosen).encode())
        path.chmod(0o644)
        written.append(path)
    if into is None:
        for order in (["systemctl", "daemon-reload"],) if chosen == "systemd" else (["supervisorctl", "update"],):
            _told(order)
    return written


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError as error:
        raise BadConfig(f"there is no user {user!r} on this host", fix="make the account first") from error


def start(settings: Settings, chosen: Kind) -> str:
    """Bring the daemon up through `chosen` and wait until it answers; how it was done. Raises NotStarted."""
    root = settings.roots.state
    if held(root / LOCK_NAME):
        return f"a daemon runs already ({who(root)})"
    if chosen == "systemd":
        if not (UNIT_FOLDER / UNIT).exists():
            install(settings, chosen)
        _told(["systemctl", "start", UNIT])
    elif chosen == "supervisord":
        if not (_program_folder() / "btswarm.conf").exists():
            install(settings, chosen)
        _told(["supervisorctl", "start", "btswarm"], fine=("already started",))
    else:
        _keep(settings)
    _wait(lambda: _answers(root), UP_S, "the daemon was started, but does not answer", chosen, settings)
    return f"started through {chosen}"


def _keep(settings: Settings) -> None:
    """A keeper of our own, until its daemon answers. Raises Refused when that ended for good."""
    root, log = settings.roots.state, settings.roots.logs / LOG
    before = log.stat().st_size if log.exists() else 0
    keeper, _ = _detached(str(settings.file) if settings.file else None, settings)
    _until(lambda: _answers(root) or keeper.poll() is not None, UP_S)
    code = keeper.poll()
    if code and not held(root / KEEPER_LOCK):  # else somebody else's keeper was first, and its daemon is awaited
        said = log.read_bytes()[before:].decode(errors="replace").splitlines()
        raise Refused(said[-1].removeprefix("btswarm: ") if said else f"the daemon ended with {code}", code)
    keeper.returncode = 0  # it outlives us on purpose


def detach(config: str | None, settings: Settings | None = None) -> str:
    """A keeper in a session of its own, its output in the logs root."""
    process, log = _detached(config, settings)
    process.returncode = 0  # it outlives us on purpose
    return f"keeper {process.pid}, output in {log}"


def _detached(config: str | None, settings: Settings | None) -> "tuple[subprocess.Popen[bytes], Path]":
    if settings is None:
        from ..state.config import load

        settings = load(Path(config) if config else None)
    log = make_folder(settings.roots.logs) / LOG
    argv = [sys.executable, "-P", "-m", "btswarm", "keep", *(["--config", config] if config else [])]
    out = RealDisk().open_append(log)
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=settings.roots.logs
        )
    finally:
        os.close(out)
    return process, log


def stop(settings: Settings, chosen: Kind) -> str:
    """End the daemon through whoever keeps it, with all of its workers; then see that nothing of it is left."""
    root = settings.roots.state
    how = _stop(root, chosen)
    if not _until(lambda: not held(root / LOCK_NAME), DOWN_S):
        raise NotStarted(f"the daemon ({who(root)}) did not stop within {DOWN_S:g} s", fix="try again")
    killed = sweep(root, wait_s=0.0)
    left = f"; {len(killed)} processes that were left are killed" if killed else ""
    return f"{how}{left}"


def _stop(root: Path, chosen: Kind) -> str:
    if chosen == "systemd" and _unit_is_up():
        _told(["systemctl", "stop", UNIT])
        return "stopped through systemd"
    if chosen == "supervisord" and "RUNNING" in _said(["supervisorctl", "status", "btswarm"]):
        _told(["supervisorctl", "stop", "btswarm"])
        return "stopped through supervisord"
    if held(root / KEEPER_LOCK) and (text := told(root / KEEPER_LOCK)).isdigit():
        _terminate(int(text))
        _until(lambda: not held(root / KEEPER_LOCK), DOWN_S)
        return "stopped with its keeper"
    if held(root / LOCK_NAME) and (pid := holder_pid(root)):
        _terminate(pid)
        return f"daemon {pid} told to drain and stop"
    return "no daemon runs"


def _terminate(pid: int) -> None:
    import signal

    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise NoPermission(f"process {pid} is another user's", fix="use the account the daemon runs under") from error


def _answers(root: Path) -> bool:
    try:
        ask(root, "status", wait_s=2.0)
    except NoDaemon:
        return False
    except BtswarmError as error:
        return error.code != ExitCode.STOPPED
    return True


def _wait(done: Callable[[], bool], limit_s: float, what: str, chosen: Kind, settings: Settings) -> None:
    where = f"journalctl -u {UNIT}" if chosen == "systemd" else f"{settings.roots.logs}/daemon.log"
    if not _until(done, limit_s):
        raise NotStarted(what, fix=f"see {where}")


def _until(done: Callable[[], bool], limit_s: float) -> bool:
    until = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_S)
    return True


def _supervised() -> bool:
    """Whether a supervisord runs and answers: 0 and 3 are answers, 4 is none."""
    if not shutil.which("supervisorctl"):
        return False
    found = subprocess.run(["supervisorctl", "status"], capture_output=True, text=True, check=False, timeout=10)
    return found.returncode in (0, 3) and "refused" not in found.stdout and "no such file" not in found.stdout


def _program_folder() -> Path:
    for folder in PROGRAM_FOLDERS:
        if folder.is_dir():
            return folder
    raise CannotWrite("supervisord's folder of programs is in none of the usual places", fix="install --into FOLDER")


def _unit_is_up() -> bool:
    return _said(["systemctl", "is-active", UNIT]).strip() in ("active", "activating", "deactivating", "reloading")


def _said(argv: Sequence[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def _told(argv: Sequence[str], fine: Sequence[str] = ()) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    output = f"{done.stdout} {done.stderr}".strip()
    if done.returncode and not any(words in output for words in fine):
        raise NotStarted(f"{' '.join(argv)} failed: {output or done.returncode}", fix="look at its log")
