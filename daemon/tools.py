"""Short-lived programs for what the daemon itself must not do: each has a limit, and nobody waits for one.

They carry no token, die with the daemon, and are looked at again when one of them ends, which wakes the loop.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from .ports import Clock, ToolEnd
from .workers.spawn import KEPT

OUTPUT_BYTES: Final = 1 << 16
PARENT: Final = "BTSWARM_PARENT_PID"
"""Tells our own programs to die with us."""


class Nursery(Protocol):
    """Who wakes the loop when a child ends, and leaves its burial to us."""

    def helper(self, pid: int) -> None: ...

    def helper_gone(self, pid: int) -> None: ...


@dataclass
class _Running:
    process: "subprocess.Popen[bytes]"
    out: int
    err: int
    due: float


class RealTools:
    """`inherited`: the daemon's environment, of which a tool gets what the allow-list of workers names."""

    def __init__(self, nursery: Nursery, clock: Clock, inherited: Mapping[str, str]) -> None:
        self._nursery, self._clock = nursery, clock
        self._environment = {name: inherited[name] for name in KEPT if name in inherited}
        self._running: dict[str, _Running] = {}

    def start(self, name: str, argv: Sequence[str], environment: Mapping[str, str], limit_s: float) -> None:
        out, err = os.memfd_create("btswarm-out"), os.memfd_create("btswarm-err")
        try:
            process = subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, close_fds=True,
                env={**self._environment, PARENT: str(os.getpid()), **environment},
            )  # fmt: skip
        except OSError:
            os.close(out)
            os.close(err)
            raise
        self._nursery.helper(process.pid)
        self._running[name] = _Running(process, out, err, self._clock.mono() + limit_s)

    def running(self, name: str) -> bool:
        return name in self._running

    def ended(self, name: str) -> ToolEnd | None:
        running = self._running.get(name)
        if running is None:
            return None
        code, late = running.process.poll(), False
        if code is None:
            late = self._clock.mono() >= running.due
            if not late:
                return None
            running.process.kill()
            code = running.process.wait()
        del self._running[name]
        self._nursery.helper_gone(running.process.pid)
        end = ToolEnd(code, _content(running.out), _content(running.err).decode(errors="replace"), late)
        os.close(running.out)
        os.close(running.err)
        return end

    def close(self) -> None:
        """End all of them."""
        for name, running in list(self._running.items()):
            running.process.kill()
            running.process.wait()
            self.ended(name)


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, OUTPUT_BYTES, 0)
