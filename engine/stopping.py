"""Stopping on request: a signal raises a flag, and the stage notices it at its next step."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from ..state.errors import Stopped

SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Raised once and for all. `by`: the name of the signal, or whatever asked."""

    def __init__(self) -> None:
        self.by = ""

    def __bool__(self) -> bool:
        return bool(self.by)

    def raise_flag(self, by: str) -> None:
        self.by = self.by or by

    def check(self) -> None:
        """Raise Stopped when the flag is up."""
        if self.by:
            raise Stopped(f"stopped on request ({self.by})", fix="run the same command again to go on")


@contextlib.contextmanager
def listening(
    stop: Stop, on_second: Callable[[int], None] | None = None, on_first: Callable[[str], None] | None = None
) -> Iterator[Stop]:
    """Let INT, TERM and HUP raise `stop` while the block runs; a second one calls `on_second`, if given.

    `on_first` is told the name of the first.

    Python only lets the main thread do this; in another one the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop and on_second:
            on_second(number)
        elif on_first and not stop:
            on_first(signal.Signals(number).name)
        stop.raise_flag(signal.Signals(number).name)

    # A program started with nohup ignores HUP and goes on doing so.
    wanted = [one for one in SIGNALS if signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.signal(one, handle) for one in wanted}
    # Whoever started us may have blocked them, and what is blocked is inherited: we would run on, deaf.
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, wanted)
    try:
        yield stop
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for one, handler in before.items():
            signal.signal(one, handler)


def leave_now(_number: int) -> None:
    """End this process at once. Its children are tied to its life, and what was written is whole."""
    if sys.stderr.isatty():
        sys.stderr.write(SHOW_CURSOR)
        sys.stderr.flush()
    os._exit(int(Stopped.code))
