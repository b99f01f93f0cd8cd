"""Reading `workflow_events.log` and its older parts. Standard library and orjson: the light commands use it too.

The log is one JSON object per line. The newest part is `workflow_events.log`; older ones are named after the number of
their first event, `workflow_events.<first seq>.log`. Parts that somebody's logrotate moved aside uncompressed in the
same folder are found as well.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

LOG_NAME: Final = "workflow_events.log"
VERSION: Final = 1
HEAD_BYTES: Final = 64 * 1024  # at least 16 lines of the greatest length
PROBE_BYTES: Final = 16 * 1024
CHUNK_BYTES: Final = 256 * 1024
_PART = re.compile(r"workflow_events(?:\.\d+\.log|\.log[.-][\w.-]*|\.log)\Z")
_OWN_PART = re.compile(r"workflow_events\.(\d+)\.log\Z")


class Reader(Protocol):
    """What reading needs of a disk."""

    def names(self, folder: Path) -> list[str]: ...

    def read(self, path: Path, offset: int = 0, size: int = -1) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the log; `first` is the number of its first event."""

    path: Path
    first: int


@dataclass
class Found:
    """What a pass over the log met besides good lines: numbers that are missing, lines that are no events."""

    gaps: list[tuple[int, int]] = field(default_factory=list)
    bad_lines: int = 0
    newer: int | None = None
    last: int = 0


def part_name(first: int) -> str:
    return f"workflow_events.{first}.log"


def own_part(name: str) -> int | None:
    """The first number of a part that the swarm itself rotated, None for anything else."""
    found = _OWN_PART.match(name)
    return int(found[1]) if found else None


def parts(disk: Reader, folder: Path) -> list[Part]:
    """All parts that hold an event, oldest first. A part's first event is read, its name is not believed."""
    found = []
    for name in disk.names(folder):
        if not _PART.match(name):
            continue
        try:
            first = _next_seq(disk.read(folder / name, 0, HEAD_BYTES), whole=True)
        except OSError:
            continue  # gone or unreadable: its numbers will be reported missing
        if first is not None:
            found.append(Part(folder / name, first))
    return sorted(found, key=lambda part: (part.first, part.path.name == LOG_NAME))


def parse(line: bytes) -> dict[str, Any] | None:
    """An event's line as a dict, None for what is no event."""
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if isinstance(body, dict) and isinstance(body.get("seq"), int) and isinstance(body.get("kind"), str):
        return body
    return None


def events_after(disk: Reader, folder: Path, seq: int, found: Found | None = None) -> Iterator[dict[str, Any]]:
    """Every event with a greater number than `seq`, in order and once each; `found` hears what is wrong.

    Ends before an event of a newer version, which `found.newer` then names.
    """
    found = Found() if found is None else found
    found.last = seq
    listed = parts(disk, folder)
    start = max((i for i, part in enumerate(listed) if part.first <= seq + 1), default=0)
    for part in listed[start:]:
        offset = _offset_before(disk, part, seq) if part.first <= seq else 0
        for line in lines(disk, part.path, offset):
            if (event := _wanted(line, found)) is not None:
                yield event
            elif found.newer:
                return


def _wanted(line: bytes, found: Found) -> dict[str, Any] | None:
    event = parse(line)
    if event is None:
        found.bad_lines += bool(line)
        return None
    number = event["seq"]
    if number <= found.last:
        return None
    if event.get("v", 0) > VERSION:
        found.newer = number
        return None
    if number > found.last + 1:
        found.gaps.append((found.last + 1, number - 1))
    found.last = number
    return event


def lines(disk: Reader, path: Path, offset: int = 0) -> Iterator[bytes]:
    """Whole lines from `offset` on, without their newline, in bounded memory; a tail without newline is left out."""
    rest = b""
    while chunk := disk.read(path, offset, CHUNK_BYTES):
        offset += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def tail(disk: Reader, path: Path, size: int) -> tuple[int, int]:
    """`(end, seq)` of a file of `size` bytes: where its last whole event ends, and its number; (0, 0) without one."""
    begin = max(0, size - HEAD_BYTES)
    end, seq = _tail(disk.read(path, begin))
    if seq or not begin:
        return begin + end if seq else 0, seq
    return _tail(disk.read(path))


def _tail(data: bytes) -> tuple[int, int]:
    end = len(data)
    while (newline := data.rfind(b"\n", 0, end)) >= 0:
        start = data.rfind(b"\n", 0, newline) + 1
        if event := parse(data[start:newline]):
            return newline + 1, event["seq"]
        end = newline
    return 0, 0


def _offset_before(disk: Reader, part: Part, seq: int) -> int:
    """Where reading may begin so that no event after `seq` is missed: numbers rise, so the place is bisected."""
    low, high = 0, HEAD_BYTES
    while (at := _next_seq(disk.read(part.path, high, PROBE_BYTES))) is not None and at <= seq:
        low, high = high, high * 2
    while high - low > HEAD_BYTES:
        middle = (low + high) // 2
        at = _next_seq(disk.read(part.path, middle, PROBE_BYTES))
        low, high = (middle, high) if at is not None and at <= seq else (low, middle)
    return low + disk.read(part.path, low, PROBE_BYTES).find(b"\n") + 1 if low else 0


def _next_seq(data: bytes, *, whole: bool = False) -> int | None:
    """The number of the first event that begins in `data`; its first line is cut off unless it is `whole`."""
    begin = 0 if whole else data.find(b"\n") + 1
    while (newline := data.find(b"\n", begin)) >= 0:
        if event := parse(data[begin:newline]):
            return int(event["seq"])
        begin = newline + 1
    return None
