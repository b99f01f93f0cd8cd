"""Where workers say that they run: one line of a shell, seen by whoever measures and by nobody else."""

import os
import select
import signal
import time
from collections.abc import Sequence
from typing import Final

from ...state.errors import BtswarmError, ExitCode

ANNOUNCE: Final = 'echo $$ >"$0"; exec sleep 1000000'
LIMIT_S: Final = 60.0


class NotBack(BtswarmError):
    """A worker that should run did not say so in time."""

    code = ExitCode.CHECK_FAILED


class Board:
    """A pipe that any process of this user can write to by its path."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        self._poll = select.poll()
        self._poll.register(self._read, select.POLLIN)

    @property
    def argv(self) -> list[str]:
        """A trivial worker: it says its pid, then sleeps."""
        return ["sh", "-c", ANNOUNCE, self.path]

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self._write}"

    def wait(self, count: int, limit_s: float = LIMIT_S) -> tuple[list[int], float]:
        """The pids of the next so many workers that run, and when the last of them said so (monotonic)."""
        pids: list[int] = []
        end = time.monotonic() + limit_s
        while len(pids) < count:
            left_s = end - time.monotonic()
            if left_s <= 0 or not self._poll.poll(left_s * 1000):
                raise NotBack(f"{count - len(pids)} of {count} workers did not come back within {limit_s:g} s")
            pids += map(int, os.read(self._read, 1 << 16).split())
        return pids, time.monotonic()

    def drain(self) -> list[int]:
        """Whoever has said so until now."""
        pids: list[int] = []
        while self._poll.poll(0):
            pids += map(int, os.read(self._read, 1 << 16).split())
        return pids

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


def kill(pids: Sequence[int]) -> float:
    """SIGKILL to all; when the first was sent (monotonic)."""
    at = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return at
