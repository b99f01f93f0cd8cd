"""Agents' calls, watched: an interval timer interrupts one that does not come back, a black box names who ran last."""

import mmap
import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, TypeVar

from ..state.files import open_lock
from .ports import Metered

T = TypeVar("T")
AGAIN_S: Final = 0.05
"""The timer goes off again and again, in case the call swallowed the first one."""
BOX_BYTES: Final = 256


class Overran(BaseException):
    """Raised inside the call; past `Exception`, so that no agent takes it for one of its own."""


class BlackBox:
    """A mapped page that survives any death of this process: who is being called right now.

    `deaths`: how often in a row the process died inside `last`, this start included.
    """

    def __init__(self, path: Path) -> None:
        descriptor = open_lock(path)
        os.ftruncate(descriptor, BOX_BYTES)
        self._page = mmap.mmap(descriptor, BOX_BYTES)
        os.close(descriptor)
        died_in = self._get(0)
        counted, _, times = self._get(1).partition(" ")
        self.last, self.deaths = died_in, 0
        if died_in:
            self.deaths = (int(times) if counted == died_in and times.isdigit() else 0) + 1
            self._put(1, f"{died_in} {self.deaths}")
        self.leave()

    def enter(self, agent: str) -> None:
        self._put(0, agent)

    def leave(self) -> None:
        self._put(0, "")

    def forget(self) -> None:
        """What died was answered."""
        self._put(1, "")

    def close(self) -> None:
        self._page.close()

    def _get(self, place: int) -> str:
        half = BOX_BYTES // 2
        return self._page[place * half : (place + 1) * half].rstrip(b"\0").decode("ascii", "replace")

    def _put(self, place: int, text: str) -> None:
        half = BOX_BYTES // 2
        self._page[place * half : (place + 1) * half] = text.encode("ascii", "replace")[: half - 1].ljust(half, b"\0")


class AlarmMeter(AbstractContextManager["AlarmMeter"]):
    """On the main thread only: the timer's signal is handled there. Used as a context, it owns SIGALRM."""

    def __init__(self, box: BlackBox | None = None) -> None:
        self._box = box
        self._running = False
        self._before: object = None

    def __enter__(self) -> "AlarmMeter":
        self._before = signal.signal(signal.SIGALRM, self._on_alarm)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)  # type: ignore[arg-type]

    def call(self, agent: str, limit_s: float, run: Callable[[], T]) -> Metered[T]:
        began = time.perf_counter()
        value: T | None = None
        error, overran = "", False
        if self._box:
            self._box.enter(agent)
        try:
            self._running = True
            signal.setitimer(signal.ITIMER_REAL, limit_s, AGAIN_S)
            try:
                value = run()
            finally:
                self._running = False
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Overran:
            value, error, overran = None, f"interrupted after {limit_s:g} s", True
            signal.setitimer(signal.ITIMER_REAL, 0)
        except (Exception, SystemExit) as raised:  # noqa: BLE001  the one boundary around an agent
            error = f"{type(raised).__name__}: {raised}"
        if self._box:
            self._box.leave()
        return Metered(value, (time.perf_counter() - began) * 1e3, error, overran)

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        if self._running:
            raise Overran
