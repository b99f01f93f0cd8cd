"""The one table of owned processes: whoever is in it is watched by pidfd until its end was told.

A dead worker is told only when nothing of its token lives any more; what is left is killed and looked at again when
one of them dies. The pidfds are gathered in one epoll descriptor, `fileno`, for the loop to wait on.
"""

import contextlib
import os
import select
import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...state.models.readings import Known, Missing, Reading
from ..ports import CannotSpawn, Clock, Ended, Identity, Launch, Sample, Seen
from ..probes.process import ProcessProbe
from .identity import BURIED, census, look, recognise, stat_of, token_of
from .reap import Children, bury, unknown_children
from .spawn import is_locked, spawn

PATIENCE_S: Final = 10.0
"""How long the strays of a dead worker may take to die before its end is told with them still there."""


@dataclass
class _Owned:
    identity: Identity
    pidfd: int
    child: bool
    probe: ProcessProbe


@dataclass
class _Dying:
    """A dead worker whose token still has living processes."""

    identity: Identity
    code: int | None
    since: float
    child: bool


class RealProcesses:
    """Processes of this host."""

    def __init__(self, swarm_id: str, clock: Clock) -> None:
        self._swarm_id, self._clock = swarm_id, clock
        self._poll = select.epoll()
        self._by_worker: dict[str, _Owned] = {}
        self._by_fd: dict[int, _Owned] = {}
        self._pids: set[bytes] = set()  # whom we wait for, as the kernel writes them
        self._children = Children()
        self._strays: dict[int, Seen] = {}
        self._dying: list[_Dying] = []
        self._helpers: dict[int, int] = {}  # pid -> pidfd
        self._nobody: set[int] = set()  # living children without a token of ours; their pids cannot be used again

    def fileno(self) -> int:
        """Readable as soon as a worker or a stray has died."""
        return self._poll.fileno()

    def helper(self, pid: int) -> None:
        """A child that somebody else in this process waits for; its end wakes whoever waits for ours."""
        self._helpers[pid] = os.pidfd_open(pid)
        self._pids.add(b"%d" % pid)
        self._poll.register(self._helpers[pid], select.EPOLLIN)

    def helper_gone(self, pid: int) -> None:
        """It was buried."""
        os.close(self._helpers.pop(pid))
        self._pids.discard(b"%d" % pid)

    def spawn(self, launch: Launch) -> Identity:
        pid = spawn(launch)
        probe = ProcessProbe(pid)
        seen = probe.read(self._clock.mono())  # cannot be gone: only we reap it
        if not isinstance(seen, Known):
            probe.close()
            raise CannotSpawn(f"{launch.worker}: pid {pid} is not in /proc")
        identity = Identity(launch.worker, launch.token, pid, seen.known.ticks)
        return self._own(identity, os.pidfd_open(pid), probe, child=True)

    def adopt(self, identity: Identity) -> bool:
        try:
            pidfd = os.pidfd_open(identity.pid)
        except OSError:
            return False
        stat = stat_of(identity.pid)
        same = stat is not None and stat.ticks == identity.ticks and stat.state not in BURIED
        if not same or token_of(identity.pid, self._swarm_id) != identity.token:
            os.close(pidfd)
            return False
        self._own(identity, pidfd, ProcessProbe(identity.pid), child=False)
        return True

    def ended(self) -> Sequence[Ended]:
        for pidfd, _ in self._poll.poll(0):
            if pidfd in self._strays:
                self._forget_stray(pidfd)
            elif owned := self._by_fd.get(pidfd):
                self._died(owned)
            else:
                self._poll.unregister(pidfd)  # a helper: it stays readable until it is buried
        if not self._dying:
            return ()
        self._kill_strays()
        mono = self._clock.mono()
        told, waiting = [], []
        for dying in self._dying:
            left = self._left(dying)
            if left and mono - dying.since < PATIENCE_S:
                waiting.append(dying)
            else:
                told.append(Ended(dying.identity, dying.code, tuple(left)))
        self._dying = waiting
        return told

    def left(self, token: str) -> Sequence[int]:
        return [seen.pid for seen in census(self._swarm_id) if seen.token == token]

    def signal(self, identity: Identity, signal_: int) -> bool:
        owned = self._by_worker.get(identity.worker)
        if owned is None or owned.identity.token != identity.token:
            return False
        try:
            signal.pidfd_send_signal(owned.pidfd, signal_)
        except ProcessLookupError:
            return False
        return True

    def kill_token(self, identity: Identity) -> None:
        self.signal(identity, signal.SIGKILL)
        for seen in census(self._swarm_id):
            if seen.token == identity.token:
                self.kill(seen)

    def sample(self, identity: Identity) -> Reading[Sample]:
        mono = self._clock.mono()
        owned = self._by_worker.get(identity.worker)
        return owned.probe.read(mono) if owned else Missing("not ours", mono)

    def family_cpu(self, identity: Identity) -> dict[tuple[int, int], float]:
        """CPU seconds of every process of the token, by pid and start ticks. A whole pass over /proc."""
        found = {}
        for seen in census(self._swarm_id):
            if seen.token == identity.token and (stat := stat_of(seen.pid)) and stat.ticks == seen.ticks:
                found[seen.pid, seen.ticks] = stat.cpu_s
        return found

    def strays(self, living: Collection[str]) -> Sequence[Seen]:
        return [seen for seen in self._carriers() if seen.token not in living]

    def _carriers(self) -> Sequence[Seen]:
        """Children that nobody waits for and that carry a token of this swarm."""
        unknown = set(unknown_children(self._children, self._pids))
        found = recognise(unknown - self._nobody, self._swarm_id)
        self._nobody = unknown - {seen.pid for seen in found}
        return found

    def kill(self, seen: Seen) -> None:
        try:
            pidfd = os.pidfd_open(seen.pid)
        except OSError:
            return
        again = look(seen.pid, self._swarm_id)
        if again is None or again.token != seen.token:
            os.close(pidfd)
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        if any(known.pid == seen.pid and known.ticks == seen.ticks for known in self._strays.values()):
            os.close(pidfd)
            return
        self._strays[pidfd] = seen
        self._poll.register(pidfd, select.EPOLLIN)

    def census(self) -> Sequence[Seen]:
        return census(self._swarm_id)

    def locked(self, lock: Path) -> bool:
        return is_locked(lock)

    def owned(self) -> Collection[str]:
        return self._by_worker.keys()

    def close(self) -> None:
        """Let go of all descriptors; the workers stay."""
        for owned in self._by_worker.values():
            owned.probe.close()
            os.close(owned.pidfd)
        for pidfd in (*self._strays, *self._helpers.values()):
            os.close(pidfd)
        self._helpers = {}
        self._children.close()
        self._by_worker, self._by_fd, self._strays = {}, {}, {}
        self._poll.close()

    def _own(self, identity: Identity, pidfd: int, probe: ProcessProbe, *, child: bool) -> Identity:
        owned = _Owned(identity, pidfd, child, probe)
        self._by_worker[identity.worker] = self._by_fd[pidfd] = owned
        self._pids.add(b"%d" % identity.pid)
        self._poll.register(pidfd, select.EPOLLIN)
        return identity

    def _died(self, owned: _Owned) -> None:
        """Bury a dead main process and take it out of the table; its end is told once its token is empty."""
        code: int | None = None
        child = owned.child
        try:
            code = bury(owned.identity.pid, owned.pidfd)
        except ChildProcessError:
            child = False
        if child and code is None:
            return  # woken for nothing: it lives
        self._poll.unregister(owned.pidfd)
        os.close(owned.pidfd)
        owned.probe.close()
        del self._by_fd[owned.pidfd], self._by_worker[owned.identity.worker]
        self._pids.discard(b"%d" % owned.identity.pid)
        self._dying.append(_Dying(owned.identity, code, self._clock.mono(), child))

    def _kill_strays(self) -> None:
        found = self._carriers()
        living = {owned.identity.token for owned in self._by_worker.values()} if found else set()
        for seen in found:
            if seen.token not in living:
                self.kill(seen)
        if any(not dying.child for dying in self._dying):  # what an adopted worker left goes to init, not to us
            dead = {dying.identity.token for dying in self._dying}
            for seen in census(self._swarm_id):
                if seen.token in dead:
                    self.kill(seen)

    def _left(self, dying: _Dying) -> list[int]:
        return [seen.pid for seen in self._strays.values() if seen.token == dying.identity.token]

    def _forget_stray(self, pidfd: int) -> None:
        del self._strays[pidfd]
        self._poll.unregister(pidfd)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
        os.close(pidfd)
