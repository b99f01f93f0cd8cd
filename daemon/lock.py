"""One daemon for one state folder: whoever holds `daemon.lock` is it, and the kernel takes it back from the dead."""

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Final

from ..state.errors import NoPermission
from ..state.files import explain, make_folder, open_lock

LOCK_NAME: Final = "daemon.lock"
SWEEP: Final = "sweep"
PATIENCE_S: Final = 8.0
"""How long a start waits for one that is leaving, and for a sweep, which holds the lock while it kills."""
GLANCE_S: Final = 0.3
LOOK_S: Final = 0.02


def take(state_root: Path, text: str, *, wait_s: float = PATIENCE_S) -> int:
    """The descriptor that holds the lock, for the life of this process; `text` tells others who it is.

    Raises NoPermission, naming the holder, when another daemon has the folder; a sweep is waited for.
    """
    path = make_folder(state_root) / LOCK_NAME
    try:
        descriptor = open_lock(path)
    except OSError as error:
        raise explain(error, path) from error
    begun = time.monotonic()
    while not _locked(descriptor):
        holder = told(path)
        # A light command may try the lock for an instant, so that even a daemon's is looked at twice.
        if time.monotonic() - begun > (wait_s if _leaves(holder) else min(wait_s, GLANCE_S)):
            os.close(descriptor)
            raise _taken(state_root, holder)
        time.sleep(LOOK_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{text}\n".encode(), 0)
    return descriptor


def who(state_root: Path) -> str:
    """The holder as its text tells it, for people."""
    return _named(told(state_root / LOCK_NAME))


def _named(holder: str) -> str:
    words = holder.split()
    if len(words) != 4 or not words[3].isdigit():
        return holder or "another process"
    since = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(int(words[3])))
    return f"process {words[0]}, version {words[2]}, since {since}"


def _taken(state_root: Path, holder: str) -> NoPermission:
    return NoPermission(
        f"{_named(holder)} is the daemon of {state_root}", fix="btswarm stop ends it; or use another state root"
    )


def text(pid: int, start_ticks: int, version: str, since: float) -> str:
    """What a daemon writes into its lock."""
    return f"{pid} {start_ticks} {version} {since:.0f}"


def told(path: Path) -> str:
    """What the holder wrote, empty if nothing can be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def holder_pid(state_root: Path) -> int | None:
    """The pid its holder wrote; believed only while the lock is held."""
    first = told(state_root / LOCK_NAME).partition(" ")[0]
    return int(first) if first.isdigit() else None


def _leaves(holder: str) -> bool:
    """A sweep soon ends, and so does a holder whose process is gone already: its children are just closing."""
    first = holder.partition(" ")[0]
    return not first.isdigit() or not Path(f"/proc/{first}").exists()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True
