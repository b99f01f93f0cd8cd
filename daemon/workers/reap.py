"""The end of a worker: peek, kill its group while the zombie keeps the number, reap, then kill what escaped.

A process that left the group (its own session, a double fork) is handed to us when its parent dies, because the daemon
is a child subreaper; it is known by the token in its environment.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Set
from io import FileIO

from .identity import BURIED, children, stat_of

PR_SET_CHILD_SUBREAPER = 36
PEEK = os.WEXITED | os.WNOHANG | os.WNOWAIT
REAP = os.WEXITED | os.WNOHANG


def become_subreaper() -> None:
    """Orphans among our descendants become our children instead of init's. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def bury(pid: int, pidfd: int) -> int | None:
    """Kill the group of a dead child and reap it: its status, negative the signal. None while it lives.

    Raises ChildProcessError when it is no child of ours.
    """
    if os.waitid(os.P_PIDFD, pidfd, PEEK) is None:
        return None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    ended = os.waitid(os.P_PIDFD, pidfd, REAP)
    assert ended is not None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


class Children:
    """Our main thread's children: all that it started, and all that were handed to us when their parent died.

    Looked up at every end of a worker, so the kernel's list of them is held open.
    """

    def __init__(self) -> None:
        self._file: FileIO | None = None
        with contextlib.suppress(OSError):
            self._file = FileIO(f"/proc/{os.getpid()}/task/{os.getpid()}/children")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def others(self, owned: Set[bytes]) -> list[int]:
        """Without those of `owned`, pids as the kernel writes them."""
        if self._file is None:
            return [pid for pid in children() if b"%d" % pid not in owned]
        self._file.seek(0)
        return [int(pid) for pid in set(self._file.readall().split()) - owned]


def unknown_children(there: Children, owned: Set[bytes]) -> list[int]:
    """Living children that nobody waits for; dead ones are reaped on the way. `owned`: somebody waits for these."""
    found = []
    for pid in there.others(owned):
        stat = stat_of(pid)
        if stat is None or stat.state in BURIED:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, pid, REAP)
        else:
            found.append(pid)
    return found
