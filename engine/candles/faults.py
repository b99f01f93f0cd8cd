"""What is wrong with rows of candles: every fault counted, with the first example of each.

A candle needs a time on the grid, later than the one before, low <= open, close <= high, positive prices, a volume of
at least 0 in the base asset, and it must have closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ...state.errors import BadData
from ..bars import DAY_MS, MINUTE_MS, Ints
from .columns import NUMBERS
from .read import Raw

NAMES = ("values", "order", "duplicates", "grid", "prices", "ohlc", "volumes", "closed")
"""In the order in which a strict reader complains: what makes other faults meaningless comes first."""

JOINED = "joined row"
_REPAIR = "btswarm data convert {path} --repair --output NEW.parquet"
_FIX = {
    "values": "correct or remove those rows at the source",
    "order": "{repair} sorts them into a new file",
    "duplicates": "{repair} keeps one of each in a new file",
    "conflicting": "two sources disagree: keep one of them",
    "grid": "give open times of bars of one timeframe",
    "prices": "correct or remove those rows at the source",
    "ohlc": "correct or remove those rows at the source",
    "volumes": "correct or remove those rows at the source",
    "closed": "{repair} writes a new file without it",
    "future": "check this host's clock, and whether the times are UTC and of open",
}


Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Fault:
    """`name` is one of NAMES. `message` says how many, where the first one is, and what it looks like."""

    name: str
    count: int
    message: str
    fix: str


def iso(time_ms: int) -> str:
    """`2024-02-29 12:05` in UTC; seconds only where there are any."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M" if time_ms % MINUTE_MS == 0 else "%Y-%m-%d %H:%M:%S.%f")


def base_of(raw: Raw, base_minutes: int | None = None) -> int:
    """The base timeframe in ms: the most frequent step from one open time to the next, the smaller one of equals.

    Raises BadData when there are no two times, the step is no whole number of minutes up to a day, or it is not what
    `base_minutes` or the file's name says.
    """
    steps = np.diff(raw.time)
    if (steps <= 0).any():
        steps = np.diff(np.unique(raw.time))
    if len(steps) == 0:
        raise BadData(f"{_name(raw)}: it has {_rows(len(raw))}, too few for candles", fix="give at least 90 days")
    sizes, counts = np.unique(steps, return_counts=True)
    base = int(sizes[np.argmax(counts)])
    if base % MINUTE_MS or base > DAY_MS:
        raise BadData(
            f"{_name(raw)}: its bars are {base / MINUTE_MS:g} minutes apart",
            fix="give bars of a whole number of minutes, at most a day",
        )
    for wanted, who in ((base_minutes, "asked for"), (raw.minutes, "in the file's name")):
        if wanted is not None and wanted * MINUTE_MS != base:
            raise BadData(
                f"{_name(raw)}: its bars are {base // MINUTE_MS} minutes apart, not {wanted} as {who}",
                fix="give the right file, or correct its name",
            )
    return base


def faults(raw: Raw, base_ms: int, now_ms: int) -> list[Fault]:
    """Every fault, in the order of NAMES; none for good candles."""
    found = {fault.name: fault for fault in _all(raw, base_ms, now_ms)}
    return [found[name] for name in NAMES if name in found]


def refuse(raw: Raw, some: Sequence[Fault]) -> None:
    """Raise BadData for the first fault, naming the other kinds."""
    if some:
        others = ", ".join(fault.name for fault in some[1:])
        more = f" (and other faults: {others})" if others else ""
        raise BadData(f"{_name(raw)}: {some[0].message}{more}", fix=some[0].fix)


def groups(raw: Raw) -> tuple[Ints, Flags, Flags]:
    """order int64 [N] that sorts by time, stably; and for each sorted row whether it has the time of the row before it,
    and whether it also has all values of the first row with that time."""
    order: Ints = np.argsort(raw.time, kind="stable")
    time = raw.time[order]
    again = np.zeros(len(raw), dtype=np.bool_)
    again[1:] = time[1:] == time[:-1]
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(raw))))
    same = again.copy()
    for column in raw.columns:
        values = column[order]
        same &= (values == values[first]) | (np.isnan(values) & np.isnan(values[first]))
    return order, again, same


def is_unclosed(last_ms: int, base_ms: int, now_ms: int, written_ms: int | None) -> bool:
    """Whether the bar opening at `last_ms` had not closed when the file was written.

    A file modified while its last bar was forming holds an unfinished bar. A modification time before that bar opened
    cannot be when the file was written (archives set such times), and says nothing.
    """
    close = last_ms + base_ms
    return close > now_ms or (written_ms is not None and last_ms <= written_ms < close)


def _all(raw: Raw, base_ms: int, now_ms: int) -> list[Fault]:
    named = (
        _values(raw),
        _order(raw),
        _duplicates(raw),
        _grid(raw, base_ms),
        _prices(raw),
        _ohlc(raw),
        _volumes(raw),
        _closed(raw, base_ms, now_ms),
    )
    return [fault for fault in named if fault]


def _values(raw: Raw) -> Fault | None:
    wrong = ~np.isfinite(np.stack(raw.columns))
    bad: Flags = np.any(wrong, axis=0)
    if not bad.any():
        return None
    if raw.texts:
        text = raw.texts[0]
        where = f"{raw.word} {text.row}: column {text.column!r} holds {text.value!r}, no number"
        count = int(bad.sum())
        return Fault("values", count, _counted(count, where), _fix(raw, "values"))
    row = int(np.argmax(bad))
    column = int(np.argmax(wrong[:, row]))
    what = "is missing" if np.isnan(raw.columns[column][row]) else "is infinite"
    return _fault(raw, "values", bad, f"{NUMBERS[column]} {what}")


def _order(raw: Raw) -> Fault | None:
    back = np.zeros(len(raw), dtype=np.bool_)
    back[1:] = np.diff(raw.time) < 0
    if not back.any():
        return None
    row = int(np.argmax(back))
    return _fault(raw, "order", back, f"earlier than {iso(int(raw.time[row - 1]))} of the row before it")


def _duplicates(raw: Raw) -> Fault | None:
    order, again, same = groups(raw)
    if not again.any():
        return None
    unequal = again & ~same
    index = int(np.argmax(unequal if unequal.any() else again))
    row, before = int(order[index]), int(order[index - 1])
    twin = f"its time stands in {raw.word} {raw.numbers[before]} already"
    if unequal.any():
        message = f"{twin}, with other values ({int(unequal.sum())} such rows)"
        return _fault(raw, "duplicates", again, message, row=row, fix="conflicting")
    return _fault(raw, "duplicates", again, f"{twin}, with the same values", row=row)


def _grid(raw: Raw, base_ms: int) -> Fault | None:
    off = raw.time % base_ms != 0
    if not off.any():
        return None
    ends = " (these look like close times)" if ((raw.time + 1) % base_ms == 0).all() else ""
    return _fault(raw, "grid", off, f"not at a whole multiple of {base_ms // MINUTE_MS} minutes{ends}")


def _prices(raw: Raw) -> Fault | None:
    prices = np.stack(raw.columns[:4])
    bad: Flags = np.any(prices <= 0, axis=0)
    if not bad.any():
        return None
    return _fault(raw, "prices", bad, f"a price of {prices[:, int(np.argmax(bad))].min():g}")


def _ohlc(raw: Raw) -> Fault | None:
    low, high = np.minimum(raw.open, raw.close), np.maximum(raw.open, raw.close)
    bad = (raw.low > low) | (raw.high < high)
    if not bad.any():
        return None
    row = int(np.argmax(bad))
    figures = ", ".join(f"{name} {getattr(raw, name)[row]:g}" for name in ("open", "high", "low", "close"))
    return _fault(raw, "ohlc", bad, f"not low <= open, close <= high: {figures}")


def _volumes(raw: Raw) -> Fault | None:
    bad = raw.volume < 0
    return _fault(raw, "volumes", bad, f"a volume of {raw.volume[int(np.argmax(bad))]:g}") if bad.any() else None


def _closed(raw: Raw, base_ms: int, now_ms: int) -> Fault | None:
    last = int(raw.time.max())
    if not is_unclosed(last, base_ms, now_ms, raw.written_ms):
        return None
    late = (raw.time >= last) | (raw.time + base_ms > now_ms)
    when = "is still open" if last + base_ms > now_ms else "had not closed when the file was written"
    many = np.unique(raw.time[late]).size > 1
    return _fault(raw, "closed", late, f"the bar until {iso(last + base_ms)} {when}", fix="future" if many else "")


def _fault(raw: Raw, name: str, bad: Flags, what: str, *, row: int | None = None, fix: str = "") -> Fault:
    row = int(np.argmax(bad)) if row is None else row
    where = f"{raw.word} {raw.numbers[row]} ({iso(int(raw.time[row]))}): {what}"
    count = int(bad.sum())
    return Fault(name, count, _counted(count, where), _fix(raw, fix or name))


def _fix(raw: Raw, name: str) -> str:
    repair = "--repair" if raw.word == JOINED else _REPAIR.replace("{path}", raw.path or "FILE")
    return _FIX[name].replace("{repair}", repair)


def _counted(count: int, where: str) -> str:
    return where if count == 1 else f"{count:,} rows, the first is {where}"


def _rows(count: int) -> str:
    return "one row" if count == 1 else f"{count} rows of one time"


def _name(raw: Raw) -> str:
    return raw.path or raw.symbol
