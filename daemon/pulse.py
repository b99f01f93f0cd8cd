"""A daemon's sign of life for whoever keeps it where there is no service manager: the datagrams systemd would get.

A daemon that hangs is as good as dead, and nobody watches it: without a sign for `limit_s` it is `lost`.
"""

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

LIMIT_S: Final = 30.0
START_S: Final = 300.0
"""Before its first sign a daemon replays its log, on whatever disk there is."""
OVERSLEPT_S: Final = 5.0
CREDENTIALS: Final = struct.Struct("3i")


class Pulse:
    """Listens to one child after another. `clock`: monotonic seconds."""

    def __init__(self, limit_s: float = LIMIT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s, self._clock = limit_s, clock
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind("")  # a name of the kernel's choice, in no folder
        self._child, self._due, self._looked = 0, 0.0, clock()

    def environment(self) -> dict[str, str]:
        """What tells the child whom to tell. One that is itself watched by a manager does not pass that on."""
        name = self._socket.getsockname()
        return {**os.environ, "NOTIFY_SOCKET": "@" + name[1:].decode("ascii"),
                "WATCHDOG_USEC": str(int(self._limit_s * 1e6)), "WATCHDOG_PID": ""}  # fmt: skip

    def began(self, child: int) -> None:
        self._child, self._due = child, self._clock() + START_S

    def lost(self, slept_s: float) -> bool:
        """Whether the child gave no sign for too long. `slept_s`: how long we meant not to look; if it was much longer,
        we were stopped or starved ourselves, and the child gets its time again."""
        now = self._clock()
        if self._heard():
            self._due = now + self._limit_s
        elif now - self._looked > slept_s + OVERSLEPT_S:
            self._due = max(self._due, now + self._limit_s)
        self._looked = now
        return now > self._due

    def close(self) -> None:
        self._socket.close()

    def _heard(self) -> bool:
        """Whether the child itself said something; anybody may write to a socket that has a name."""
        heard = False
        with contextlib.suppress(BlockingIOError):
            while True:
                message, extra, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(CREDENTIALS.size))
                senders = [CREDENTIALS.unpack(data)[0] for _, kind, data in extra if kind == socket.SCM_CREDENTIALS]
                heard |= bool(message) and senders == [self._child]
        return heard
