"""What the light commands look at: the state files, by the daemon or after its death, and what is to be said of them.

Standard library only; orjson where a command has to understand what it shows.
"""

import fcntl
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..state.errors import BtswarmError, ExitCode, InputGone, NoPermission
from ..state.glance import Glance, glance
from ..state.paths import locate

if TYPE_CHECKING:
    import argparse

LATEST = "session_latest.json"
CONTINUITY = "session_state_manager_state.json"
LOCK = "daemon.lock"
LIMIT_S = 15.0


class NoState(BtswarmError):
    """Neither a daemon nor anything it left."""

    code = ExitCode.NO_DAEMON


class Look(NamedTuple):
    """The options of a light command."""

    json: bool = False
    state_file: str | None = None
    config: str | None = None


class View(NamedTuple):
    """`body`: JSON of what `btswarm query --json` prints. `code` and `remarks`: whether it may be relied on."""

    body: bytes
    age_s: float
    code: int
    remarks: list[str]

    def document(self) -> dict[str, Any]:
        import orjson

        found: dict[str, Any] = orjson.loads(self.body)
        return found


def add_options(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    parser.add_argument("--state-file", metavar="F", help="read this state file, wherever it was copied from")
    add_config(parser)


def add_config(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument("--config", metavar="F", help="btswarm.toml; else searched in the usual places")


def state_root(options: "argparse.Namespace | Look") -> Path:
    """The state folder of this host's swarm. Raises BadConfig."""
    return locate(Path(options.config) if options.config else None, os.environ, Path.cwd()).state


def view(options: "argparse.Namespace | Look") -> View:
    """The newest there is. Raises NoState, NoPermission, StorageBroken."""
    if options.state_file:
        return _judged(_facts(Path(options.state_file)), alive=True, name=options.state_file)
    root = state_root(options)
    alive = held(root / LOCK)
    try:
        seen = _judged(_newest(root), alive=alive, name=LATEST)
    except InputGone as error:
        if alive and (answer := _asked(root)):
            return answer
        raise _nothing(root, alive) from error
    return (_asked(root) or seen) if seen.code == ExitCode.STALE else seen


def say(seen: View) -> None:
    """The remarks, where they do not disturb who reads the output."""
    for remark in seen.remarks:
        sys.stderr.write(f"btswarm: {remark}\n")


def age_of(path: Path) -> float:
    """Seconds since the file was last replaced; raises OSError."""
    return time.time() - path.stat().st_mtime


def now() -> float:
    return time.time()


def held(lock: Path) -> bool:
    """Whether somebody holds the daemon's lock, looked up before it is tried: a try could be in the way of a start.

    Raises NoPermission for another user's.
    """
    try:
        found = lock.stat()
    except PermissionError as error:
        raise NoPermission(
            f"{lock.parent} belongs to another user", fix="use the account the daemon runs under"
        ) from error
    except OSError:
        return False
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        locks = Path("/proc/locks").read_text()
    except OSError:
        locks = ""
    lines = (line.split() for line in locks.splitlines() if "FLOCK" in line)
    return any(len(words) >= 8 and words[-3] == wanted for words in lines) or _try(lock)


def _try(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _newest(root: Path) -> Glance:
    try:
        return _facts(root / LATEST)
    except BtswarmError as error:
        try:
            found = _facts(root / CONTINUITY)
        except InputGone:
            raise error from None
        return found._replace(why=error.line())


def _facts(path: Path) -> Glance:
    """What query prints: the file's content, or the facts that an agent's file carries."""
    found = glance(path)
    if not found.body.startswith(b'{"agent":'):
        return found
    import orjson

    return found._replace(body=orjson.dumps(orjson.loads(found.body).get("facts", {})))


def _judged(found: Glance, *, alive: bool, name: str) -> View:
    age_s = max(0.0, time.time() - found.written)
    remarks = [f"{name}: {found.why}; this is {found.source.name}"] if found.why else []
    code = ExitCode.OK
    if not alive:
        code = ExitCode.NO_DAEMON
        remarks.append(f"no daemon runs; this is its last state, {in_words(age_s)} old; btswarm start starts one")
    elif age_s > LIMIT_S:
        code = ExitCode.STALE
        remarks.append(f"{name} is stale: written {in_words(age_s)} ago, {LIMIT_S:g} s is the limit")
    return View(found.body, age_s, code, remarks)


def _asked(root: Path) -> View | None:
    """A living daemon that cannot write its files may still answer."""
    import orjson

    from ..state.control_client import ask

    try:
        return View(orjson.dumps(ask(root, "query", wait_s=2.0)), 0.0, ExitCode.OK, [])
    except BtswarmError:
        return None


def _nothing(root: Path, alive: bool) -> BtswarmError:
    if alive:
        return NoState(f"the daemon of {root} has not finished its first cycle", fix="try again in a moment")
    return NoState(f"no daemon runs and none ever left a state in {root}", fix="btswarm start starts one")


def in_words(seconds: float) -> str:
    """A span for people: 4 s, 12 min, 3.5 h, 2.1 days."""
    seconds = max(0.0, seconds)
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.{0 if unit != 'h' else 1}f} {unit}"
    return f"{seconds / 86400:.1f} days"
