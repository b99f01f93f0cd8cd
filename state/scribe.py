"""Keeps whoever decides from waiting for a disk: one thread appends, another syncs, saves and reads back.

The thread that appends answers in microseconds from the page cache; the caller waits for it a bounded time. The other
one syncs the log first and then the state files that name its newest event, so that no file on disk is ahead of the
log. A disk that does not answer shows as `silent_s`, never as a caller that hangs.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from .errors import StorageBroken
from .eventlog import EventLog, Stamp
from .models.facts import FileView
from .models.state_files import Payload
from .store import Saved, Store

T = TypeVar("T")
FLUSH_WAIT_S: Final = 0.25
LOOK_WAIT_S: Final = 0.25


class Unanswered(StorageBroken):
    """The disk has not answered within the time that the caller had for it; the work goes on behind."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a save ended. `synced_seq`: the log is safe up to here. `error`: it was not synced, nothing was saved."""

    saved: Saved
    synced_seq: int
    error: OSError | None = None


class Scribe:
    """Does everything at once and in the caller's thread: for tests, the simulator and commands."""

    def __init__(self, log: EventLog, store: Store, mono: Callable[[], float]) -> None:
        self.log = log
        self.store = store
        self._mono = mono
        self._outcomes: list[Outcome] = []

    def start(self) -> None: ...

    def stop(self, wait_s: float = 5.0) -> bool:
        """End the threads once what was asked for is done; False if the disk kept them."""
        return True

    def flush(self, wait_s: float = FLUSH_WAIT_S) -> bool:
        """Whether every event pushed so far is in the file: before that, nothing they intend may be done."""
        return self.log.flush(self._mono())

    def save(self, payloads: Mapping[str, Payload], stamp: Stamp, log_seq: int) -> None:
        """Sync the log, then replace the files; of saves that pile up only the newest is done."""
        self._outcomes.append(self._save(payloads, stamp, log_seq))

    def beat(self, name: str, line: Mapping[str, Any], limit_s: float) -> None:
        """Add a heartbeat; nobody waits for it, and of one that the disk refused the file's age tells."""
        with contextlib.suppress(OSError):
            self.store.beat(name, line, limit_s)

    def outcomes(self) -> list[Outcome]:
        """How the saves since the last call ended."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def audit(self, now: float, wait_s: float = LOOK_WAIT_S) -> Mapping[str, FileView]:
        """Every state file read back and judged. Raises Unanswered."""
        return self.do(lambda store: store.audit(now, self._mono()), wait_s)

    def do(self, work: Callable[[Store], T], wait_s: float = LOOK_WAIT_S) -> T:
        """Something else on the store: rewrite, restore, judge. Raises what it raises, and Unanswered."""
        return work(self.store)

    def silent_s(self) -> float:
        """How long the disk has kept us waiting with what is under way, 0 if nothing is."""
        return 0.0

    def _save(self, payloads: Mapping[str, Payload], stamp: Stamp, log_seq: int) -> Outcome:
        try:
            synced = self.log.sync()
        except OSError as error:
            return Outcome(Saved(), self.log.synced_seq, error)
        if synced < log_seq:
            return Outcome(Saved(), synced, BlockingIOError(0, f"the log ends at {synced}, the state at {log_seq}"))
        return Outcome(self.store.save(payloads, stamp, log_seq), synced)


@dataclass
class _Task(Generic[T]):
    """`work` for a thread; `done` once `result` or `error` is set."""

    work: Callable[[], T]
    done: threading.Event = field(default_factory=threading.Event)
    result: T | None = None
    error: Exception | None = None

    def run(self) -> None:
        try:
            self.result = self.work()
        except Exception as error:  # noqa: BLE001  handed to the thread that asked, which raises it
            self.error = error
        self.done.set()


class _Hand:
    """A thread that does tasks in order and says how long it has been at the present one."""

    def __init__(self, name: str, mono: Callable[[], float]) -> None:
        self._mono = mono
        self._tasks: queue.SimpleQueue[_Task[Any] | None] = queue.SimpleQueue()
        self._since: float | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def give(self, task: _Task[T]) -> _Task[T]:
        self._tasks.put(task)
        return task

    def stop(self, wait_s: float) -> bool:
        self._tasks.put(None)
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def busy_s(self) -> float:
        since = self._since
        return 0.0 if since is None else max(0.0, self._mono() - since)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._since = self._mono()
            task.run()
            self._since = None


class _Pen:
    """A thread that does one thing again and again, each time it is asked. What a cycle waits for twice: two locks pass
    it on in half the time that a queue and an event take."""

    def __init__(self, name: str, work: Callable[[], bool], mono: Callable[[], float]) -> None:
        self._work, self._mono = work, mono
        self._go, self._done = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._done.acquire()
        self._since: float | None = None
        self._asked = self._ending = False
        self._result: bool | Exception = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask(self, wait_s: float) -> bool:
        """Do it; False if it was refused, took longer, or is still at what was asked before. Raises what it raises."""
        if self._asked and not self._done.acquire(blocking=False):
            return False
        self._asked = True
        self._go.release()
        if not self._done.acquire(timeout=wait_s):
            return False
        self._asked = False
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def stop(self, wait_s: float) -> bool:
        self._ending = True
        if not self._asked or self._done.acquire(timeout=wait_s):
            self._go.release()
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def busy_s(self) -> float:
        since = self._since
        return 0.0 if since is None else max(0.0, self._mono() - since)

    def _run(self) -> None:
        while self._go.acquire() and not self._ending:
            self._since = self._mono()
            try:
                self._result = self._work()
            except Exception as error:  # noqa: BLE001  handed to the thread that asked, which raises it
                self._result = error
            self._since = None
            self._done.release()


class ThreadedScribe(Scribe):
    """The daemon's: two threads, started once, stopped at the end."""

    def __init__(self, log: EventLog, store: Store, mono: Callable[[], float]) -> None:
        super().__init__(log, store, mono)
        self._pen = _Pen("btswarm-append", lambda: log.flush(mono()), mono)
        self._clerk = _Hand("btswarm-save", mono)
        self._pending: tuple[Mapping[str, Payload], Stamp, int] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        self._pen.start()
        self._clerk.start()

    def stop(self, wait_s: float = 5.0) -> bool:
        return self._pen.stop(wait_s) & self._clerk.stop(wait_s)

    def flush(self, wait_s: float = FLUSH_WAIT_S) -> bool:
        return self._pen.ask(wait_s) and self.log.backlog == 0

    def save(self, payloads: Mapping[str, Payload], stamp: Stamp, log_seq: int) -> None:
        with self._lock:
            waiting, self._pending = self._pending, (payloads, stamp, log_seq)
        if waiting is None:
            self._clerk.give(_Task(self._newest))

    def beat(self, name: str, line: Mapping[str, Any], limit_s: float) -> None:
        self._clerk.give(_Task(lambda: super(ThreadedScribe, self).beat(name, line, limit_s)))

    def _newest(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, None
        if pending is not None:
            outcome = self._save(*pending)
            with self._lock:
                self._outcomes.append(outcome)

    def outcomes(self) -> list[Outcome]:
        with self._lock:
            return super().outcomes()

    def do(self, work: Callable[[Store], T], wait_s: float = LOOK_WAIT_S) -> T:
        task = self._clerk.give(_Task(lambda: work(self.store)))
        if not task.done.wait(wait_s):
            raise Unanswered(f"the disk of {self.store.folder} has not answered for {wait_s:g} s")
        return _got(task)

    def silent_s(self) -> float:
        return max(self._pen.busy_s(), self._clerk.busy_s())


def _got(task: _Task[T]) -> T:
    if task.error is not None:
        raise task.error
    return task.result  # type: ignore[return-value]
