"""The end of a worker: peek, kill its group while the zombie keeps the number, reap, then kill what escaped.

A process that left the group (its own session, a double fork) is handed to us when its parent dies, because the daemon
is a child subreaper; it is known by the token in its environment.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Set

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


def unknown_children(owned: Set[int]) -> list[int]:
    """Living children that nobody waits for; dead ones are reaped on the way. `owned`: somebody waits for these."""
    found = []
    for pid in children() - owned:
        stat = stat_of(pid)
        if stat is None or stat.state in BURIED:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, pid, REAP)
        else:
            found.append(pid)
    return found
