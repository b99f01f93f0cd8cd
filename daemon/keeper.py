"""A tiny restarter for hosts without a service manager: starts the daemon, and starts it again when it dies or hangs.

Standard library only and little of it: it lies in memory as long as the swarm runs. It works as PID 1 too: whatever is
handed to it is buried.
"""

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..state.errors import NoPermission
from .pulse import LIMIT_S, Pulse

LOCK = "keep.lock"
RESTART_S = 0.1
LOOK_S = 2.0
FINAL = (0, 64, 74, 77)
"""Exit codes of the daemon after which it is not started again: stopped, or refused for good."""


def keep(argv: Sequence[str], state_root: Path, *, limit_s: float = LIMIT_S, look_s: float = LOOK_S) -> int:
    """Run `argv` until it ends for good; its exit code. TERM and INT end it, USR2 and HUP are handed on. What gives no
    sign of life for `limit_s` is killed, and started again; it is looked at every `look_s`.

    Raises NoPermission when another keeper has the folder.
    """
    lock = _only_one(state_root)
    wanted = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP, signal.SIGCHLD]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    pulse = Pulse(limit_s)
    try:
        return _watch(argv, wanted, pulse, look_s)
    finally:
        pulse.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(lock)


def _watch(argv: Sequence[str], wanted: Sequence[signal.Signals], pulse: Pulse, look_s: float) -> int:
    child: int | None = _start(argv, pulse)
    stopping, again_at = False, 0.0
    while True:
        wait_s = max(0.0, again_at - time.monotonic()) if child is None else look_s
        told = signal.sigtimedwait(wanted, wait_s)
        number = told.si_signo if told else 0
        if number in (signal.SIGTERM, signal.SIGINT):
            stopping = True
        if child is None and stopping:
            return 0
        if child is not None and number not in (0, signal.SIGCHLD):
            _send(child, signal.SIGTERM if number == signal.SIGINT else number)
        if child is not None and pulse.lost(look_s):
            _say("the daemon gives no sign of life; killing it")
            _send(child, signal.SIGKILL)
        code = _buried(child)
        if code is not None:
            if code in FINAL or stopping:
                return max(0, code)
            _say(f"the daemon ended with {code}; starting it again")
            child, again_at = None, time.monotonic() + RESTART_S
        if child is None and time.monotonic() >= again_at:
            child = _start(argv, pulse)


def _start(argv: Sequence[str], pulse: Pulse) -> int:
    child = os.posix_spawn(argv[0], list(argv), pulse.environment(), setsigmask=())
    pulse.began(child)
    return child


def _say(text: str) -> None:
    sys.stderr.write(f"btswarm keep: {text}\n")
    sys.stderr.flush()


def _send(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _buried(child: int | None) -> int | None:
    """Bury everybody who died; the code of the daemon if it is among them, negative the signal."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            if pid == child:
                found = os.waitstatus_to_exitcode(status)
    return found


def _only_one(state_root: Path) -> int:
    from ..state.files import make_folder, open_lock

    path = make_folder(state_root) / LOCK
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise NoPermission(f"{path}: another keeper runs: {path.read_text().strip()}", fix="btswarm stop") from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
