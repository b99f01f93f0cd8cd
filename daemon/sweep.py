"""What a swarm without a daemon left running is killed: every process that carries a token of this swarm, no other."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ..state.errors import NoPermission
from .home import swarm_id
from .lock import LOCK_NAME, SWEEP, take
from .ports import Seen
from .view import held
from .workers.identity import census, look

WAIT_S: Final = 5.0
PATIENCE_S: Final = 45.0
KILL_S: Final = 10.0
LOOK_S: Final = 0.1


def nobody_is_coming() -> bool:
    """Whether a daemon is being started: nobody knows."""
    return False


def unit_is_coming(unit: str) -> Callable[[], bool]:
    """Whether systemd has a daemon running or is about to start one, however slow the host is."""
    command = ["systemctl", "show", "--value", "-p", "ActiveState", unit]

    def coming() -> bool:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        return said in ("active", "activating", "reloading", "deactivating")

    return coming


def sweep(
    state_root: Path, *, wait_s: float = WAIT_S, coming: Callable[[], bool] = nobody_is_coming
) -> Sequence[Seen] | None:
    """The processes that were killed; None when a daemon has the folder, or comes back within `wait_s`, counted from
    when nobody was `coming` any more.

    Raises NoPermission when one of them cannot be killed.
    """
    own = swarm_id(state_root)
    if own is None:
        return ()
    if _somebody_comes(state_root / LOCK_NAME, wait_s, coming):
        return None
    try:
        lock = take(state_root, SWEEP, wait_s=0.0)
    except NoPermission:
        return None
    try:
        return _kill_all(own)
    finally:
        os.close(lock)


def _somebody_comes(lock: Path, wait_s: float, coming: Callable[[], bool]) -> bool:
    begun = time.monotonic()
    until = begun + wait_s
    while not held(lock):
        now = time.monotonic()
        if coming():
            until = now + wait_s
            if now - begun > PATIENCE_S:
                return True  # when it gives up, systemd calls for a sweep again
        elif now >= until:
            return False
        time.sleep(LOOK_S)
    return True


def _kill_all(own: str) -> Sequence[Seen]:
    """Again and again: one that forks while others die is met the next time."""
    killed: dict[tuple[int, int], Seen] = {}
    until = time.monotonic() + KILL_S
    while left := census(own):
        if time.monotonic() > until:
            pids = ", ".join(str(one.pid) for one in left)
            raise NoPermission(
                f"processes of this swarm do not die: {pids}", fix="look at them with ps; reboot if in D"
            )
        for seen in left:
            _kill(seen, own)
            killed[seen.pid, seen.ticks] = seen
        time.sleep(LOOK_S)
    return list(killed.values())


def _kill(seen: Seen, own: str) -> None:
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(seen.pid)
        try:
            again = look(seen.pid, own)  # through the descriptor it is this process and no later one of the same pid
            if again and again.ticks == seen.ticks:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except PermissionError:
            pass  # told by the loop when it is still there in the end
        finally:
            os.close(pidfd)
