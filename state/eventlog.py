"""The event log: every event numbered, in one line, in order, and one write for all that a cycle has to say.

An event is prepared (numbered and encoded), applied, pushed, and written by `flush`. Once `flush` said True its line is
in the page cache and survives any death of this process; `sync`, from another thread, makes it survive the machine's.
When the disk refuses, lines wait in memory under their numbers and nothing is dropped.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from .disk import Disk
from .errors import BadConfig
from .lines import append_lines
from .logfile import LogFile
from .logread import LOG_NAME, Found, events_after, lines, parse, tail
from .models.events import CHANGES, KINDS, MAX_LINE, VERSION, Draft, Event
from .models.state_files import CONTINUITY_EVENTS
from .wire import encode

FOLD_S: Final = 60.0
MAX_WRITE: Final = 1 << 20
CLIPPED: Final = 240
FREE_TEXT: Final = frozenset(("message", "why", "error", "evidence", "seen", "fix", "text", "reason", "needs"))
"""Keys of `data` that only people read: these may be shortened in any event."""
COPIES: Final[Mapping[str, str]] = {"session_state_manager": CONTINUITY_EVENTS}


class EventTooLong(BadConfig):
    """An event that changes a record does not fit one line; whoever makes it has to split it."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When and in which cycle: the log reads no clock. `boot`: the epoch in which `mono` counts."""

    ts: float
    mono: float
    boot: str
    run: str = ""
    cycle: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """An event with the number it will have if it is the next one pushed, and its line."""

    event: Event
    line: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """The disk refused: with which errno, and since when (monotonic seconds)."""

    errno: int
    text: str
    since: float


@dataclass
class _Repeat:
    since: float
    draft: Draft
    count: int = 0


class EventLog:
    """One thread prepares, pushes and tells; `flush` and `sync` may each be another one's.

    `copies`: agent -> name of a file that gets that agent's lines once more.
    """

    def __init__(
        self,
        folder: Path,
        disk: Disk,
        *,
        rotate_bytes: int = 64 << 20,
        keep: int = 16,
        copies: Mapping[str, str] = COPIES,
    ) -> None:
        self.folder = folder
        self.next_seq = 1
        self.fault: Fault | None = None
        self._disk = disk
        self._file = LogFile(folder, disk, rotate_bytes=rotate_bytes, keep=keep)
        self._rotate_bytes = rotate_bytes
        self._copies = copies
        self._waiting: list[Prepared] = []
        self._repeats: dict[tuple[str, ...], _Repeat] = {}
        self._lock = threading.Lock()

    def open(self, at_least: int = 0) -> list[Draft]:
        """Mend the log and find the next number; what there is to say about it comes back, to be recorded first.

        `at_least`: the newest number that a state file names; events up to it that the log lacks are reported.
        Raises OSError when the folder cannot be used at all.
        """
        last = self._file.open()
        said = self._file.notes()
        if last < at_least:
            said.append(Draft("log.recovered", LOG_NAME, {"missing": [last + 1, at_least]}, outcome="missing"))
        self._file.written = last = max(last, at_least)
        self.next_seq = last + 1
        self._complete_copies()
        return said

    def replay(self, after: int, found: Found | None = None) -> Iterator[Event]:
        """The events on disk after number `after`; `found` hears of gaps, bad lines and newer versions."""
        return map(event_of, events_after(self._disk, self.folder, after, found))

    @property
    def written_seq(self) -> int:
        return self._file.written

    @property
    def synced_seq(self) -> int:
        return self._file.synced

    @property
    def backlog(self) -> int:
        """Events that are not in the file yet."""
        return self.next_seq - 1 - self._file.written

    def prepare(self, draft: Draft, stamp: Stamp, *, count: int = 1) -> Prepared:
        """Number and encode; `data` of the event is what a reader of the line will find there.

        Raises EventTooLong for a changing event that does not fit. Nothing is remembered until `push`.
        """
        data = draft.data
        if draft.kind in CHANGES or "opens" in data or "closes" in data:
            data = orjson.loads(encode(data))
        event = Event(
            v=VERSION,
            seq=self.next_seq,
            ts=round(stamp.ts, 6),
            mono=round(stamp.mono, 6),
            boot=stamp.boot,
            run=stamp.run,
            cycle=stamp.cycle,
            agent=draft.agent,
            kind=draft.kind,
            severity=draft.severity or KINDS[draft.kind].severity,
            subject=draft.subject,
            cause_seq=draft.cause_seq,
            outcome=draft.outcome,
            dur_ms=draft.dur_ms,
            count=count,
            data=data,
        )
        line = encode(event) + b"\n"
        if len(line) > MAX_LINE:
            event, line = _shortened(event, line)
        return Prepared(event, line)

    def push(self, prepared: Prepared) -> Event:
        """Take the number and queue the line for the next flush."""
        if prepared.event.seq != self.next_seq:
            raise ValueError(f"event {prepared.event.seq} is not the next one, {self.next_seq}")
        with self._lock:
            self._waiting.append(prepared)
        self.next_seq += 1
        return prepared.event

    def add(self, draft: Draft, stamp: Stamp) -> Event:
        """Prepare and push at once: an event that changes no record, or whose change is applied already."""
        return self.push(self.prepare(draft, stamp))

    def tell(self, draft: Draft, stamp: Stamp) -> Event | None:
        """Add an event that may repeat; None if it went into a count that is written within a minute."""
        key = (draft.kind, draft.agent, draft.subject, draft.outcome)
        repeat = self._repeats.get(key)
        if repeat is None:
            self._repeats[key] = _Repeat(stamp.mono, draft)
            return self.add(draft, stamp)
        repeat.draft = draft
        repeat.count += 1
        return None

    def unfold(self, stamp: Stamp, *, everything: bool = False) -> list[Event]:
        """Write the counts that are a minute old. What repeated is counted on, what stopped is forgotten."""
        said = []
        for key, repeat in list(self._repeats.items()):
            if not everything and 0 <= stamp.mono - repeat.since < FOLD_S:
                continue
            if repeat.count:
                said.append(self.push(self.prepare(repeat.draft, stamp, count=repeat.count)))
                self._repeats[key] = _Repeat(stamp.mono, repeat.draft)
            else:
                del self._repeats[key]
        return said

    def notes(self) -> list[Draft]:
        """What the files have to say since the last call (rotated), to be recorded like anything else."""
        return self._file.notes()

    def flush(self, mono: float = 0.0) -> bool:
        """Write everything pushed, in order. False when the disk refused: `fault` says why, the lines are kept."""
        with self._lock:
            waiting = list(self._waiting)
        try:
            while waiting:
                waiting = self._write(waiting)
        except OSError as error:
            since = self.fault.since if self.fault else mono
            self.fault = Fault(error.errno or 0, error.strerror or str(error), since)
            return False
        self.fault = None
        return True

    def sync(self) -> int:
        """Make what is written survive the machine; the newest number that does. Raises OSError."""
        return self._file.sync()

    def close(self) -> None:
        """Let go of the files; what was pushed and not flushed goes with this object."""
        self._file.close()

    def _write(self, waiting: list[Prepared]) -> list[Prepared]:
        """One write of as many lines as are sensible; returns the rest."""
        taken, size = 0, 0
        while taken < len(waiting) and size < MAX_WRITE:
            size += len(waiting[taken].line)
            taken += 1
        batch, rest = waiting[:taken], waiting[taken:]
        self._file.append(b"".join([one.line for one in batch]), batch[0].event.seq, batch[-1].event.seq)
        with self._lock:
            del self._waiting[:taken]
        for agent in self._copies:
            self._copy(agent, [one.line for one in batch if one.event.agent == agent])
        return rest

    def _copy(self, agent: str, own: list[bytes]) -> None:
        """A copy that the disk refuses costs nothing but itself; the next start completes it."""
        if own:
            with contextlib.suppress(OSError):
                path = self.folder / self._copies[agent]
                append_lines(self._disk, path, b"".join(own), self._rotate_bytes)

    def _complete_copies(self) -> None:
        """Lines that were written to the log and, the process having died in between, not to their copy. One that has
        no line yet is there all the same, for whoever follows it."""
        path = self.folder / LOG_NAME
        size = self._disk.stat(path).size
        newest = list(lines(self._disk, path, max(0, size - MAX_WRITE)))
        for agent, name in self._copies.items():
            last = self._last_copied(self.folder / name)
            mine = b'"agent":"%s"' % agent.encode()
            own = [line for line in newest if mine in line and (event := parse(line)) and event["agent"] == agent]
            self._copy(agent, [line + b"\n" for line in own if orjson.loads(line)["seq"] > last])
            with contextlib.suppress(OSError):
                self._disk.close(self._disk.open_append(self.folder / name))

    def _last_copied(self, path: Path) -> int:
        try:
            return tail(self._disk, path, self._disk.stat(path).size)[1]
        except OSError:
            return 0


def event_of(body: Mapping[str, Any]) -> Event:
    """An event from its parsed line."""
    return Event(**{name: body.get(name) for name in Event.__slots__})  # type: ignore[arg-type]


def _shortened(event: Event, line: bytes) -> tuple[Event, bytes]:
    """The event with its free text clipped; an event that only tells loses its data rather than its line."""
    tells = event.kind not in CHANGES
    data = _clipped(orjson.loads(line)["data"], everywhere=tells)
    event = replace(event, outcome=_clip(event.outcome), data=data)
    line = encode(event) + b"\n"
    if len(line) > MAX_LINE and tells:
        event = replace(event, data={"cut": len(line)}, subject=_clip(event.subject))
        line = encode(event) + b"\n"
    if len(line) > MAX_LINE:
        raise EventTooLong(f"the event {event.kind} of {_clip(event.subject)} takes {len(line)} bytes of {MAX_LINE}")
    return event, line


def _clipped(value: Any, *, everywhere: bool) -> Any:
    if isinstance(value, str):
        return _clip(value) if everywhere else value
    if isinstance(value, Mapping):
        return {key: _clipped(one, everywhere=everywhere or key in FREE_TEXT) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clipped(one, everywhere=everywhere) for one in value]
    return value


def _clip(text: str) -> str:
    return text if len(text) <= CLIPPED else f"{text[: CLIPPED - 1]}…"
