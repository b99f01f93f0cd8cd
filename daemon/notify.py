"""Telling systemd how it is, by hand: a datagram to $NOTIFY_SOCKET. Without one nothing is said.

The variables are taken out of the environment, so that no worker ever speaks, or is taken to speak, for the daemon.
"""

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping
from typing import Final

OURS: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
LONGEST_STATUS: Final = 200


class Notifier:
    """`watchdog_s`: systemd kills the daemon after that long without `alive`; None: it does not watch."""

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._said = ""

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] | None = None) -> "Notifier":
        environ = os.environ if environ is None else environ
        address, usec, pid = (environ.get(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
        for name in OURS:
            environ.pop(name, None)
        watched = usec.isdigit() and int(usec) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(usec) / 1e6 if watched else None)

    def ready(self, status: str) -> None:
        """The first cycle is over."""
        self._send("READY=1", self._status(status))

    def alive(self, status: str = "") -> None:
        """Once for each completed cycle, and by nothing else: what feeds the watchdog is the loop turning."""
        line = self._status(status) if status else ""
        if self.watchdog_s is not None or line:
            self._send("WATCHDOG=1", line)

    def reloading(self) -> None:
        """To be followed by `ready`."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str, *, up_to_s: float = 0.0) -> None:
        """`up_to_s`: how much longer than the unit says this may take."""
        extend = f"EXTEND_TIMEOUT_USEC={int(up_to_s * 1e6)}" if up_to_s else ""
        self._send("STOPPING=1", self._status(status), extend)

    def _status(self, text: str) -> str:
        line = f"STATUS={' '.join(text.split())[:LONGEST_STATUS]}"
        if line == self._said:
            return ""
        self._said = line
        return line

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        message = "\n".join(line for line in lines if line).encode(errors="replace")
        # A manager that is being replaced, or whose queue is full, is no reason to stop: the next cycle says it again.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
            s.setblocking(False)
            s.sendto(message, self._address)
