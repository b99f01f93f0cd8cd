"""Mending harmless faults: rows out of order, exact duplicates, a last bar that had not closed. Nothing else, ever."""

from dataclasses import dataclass

import numpy as np

from ...state.errors import BadData
from .faults import JOINED, base_of, faults, groups, is_unclosed, iso, refuse
from .read import Raw


@dataclass(frozen=True)
class Repaired:
    """Sorted, distinct rows, and what was done to get them, one sentence each."""

    raw: Raw
    base_ms: int
    done: tuple[str, ...]


def repair(raw: Raw, now_ms: int, *, base_minutes: int | None = None) -> Repaired:
    """Sort, keep one of each exact duplicate, drop one unclosed last bar.

    Raises BadData for rows that contradict each other, and for every other fault: those are the source's to correct.
    """
    base_ms = base_of(raw, base_minutes)
    done = []
    order, again, same = groups(raw)
    if backwards := int((np.diff(raw.time) < 0).sum()):
        done.append(f"sorted {len(raw):,} rows that went back in time at {backwards} places")
    if (again & ~same).any():
        _refuse_conflict(raw, base_ms, now_ms)
    if again.any():
        done.append(f"dropped {int(again.sum()):,} exact duplicates")
    raw = raw.take(order[~again])
    last = int(raw.time[-1])
    if is_unclosed(last, base_ms, now_ms, raw.written_ms):
        done.append(f"dropped the bar of {iso(last)}, which had not closed")
        raw = raw.take(np.arange(len(raw) - 1, dtype=np.int64))
    refuse(raw, faults(raw, base_ms, now_ms))
    return Repaired(raw, base_ms, tuple(done))


def _refuse_conflict(raw: Raw, base_ms: int, now_ms: int) -> None:
    refuse(raw, [fault for fault in faults(raw, base_ms, now_ms) if fault.name == "duplicates"])


def join(raws: list[Raw]) -> Raw:
    """The rows of several files of one market one after another; overlaps are then duplicates. One file stays itself.

    Raises BadData when they are not of one market.
    """
    first = raws[0]
    if len(raws) == 1:
        return first
    for other in raws[1:]:
        if other.symbol != first.symbol:
            raise BadData(f"{first.path} is {first.symbol}, {other.path} is {other.symbol}", fix="join one market only")
    columns = [np.concatenate(parts) for parts in zip(*((raw.time, *raw.columns) for raw in raws), strict=True)]
    written = [raw.written_ms for raw in raws if raw.written_ms is not None]
    return Raw(
        path=f"{first.path} and {len(raws) - 1} more",
        symbol=first.symbol,
        word=JOINED,
        numbers=np.arange(1, len(columns[0]) + 1, dtype=np.int64),
        time=columns[0],
        open=columns[1],
        high=columns[2],
        low=columns[3],
        close=columns[4],
        volume=columns[5],
        texts=tuple(text for raw in raws for text in raw.texts),
        minutes=first.minutes,
        written_ms=max(written, default=None),
    )
