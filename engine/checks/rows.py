"""Checks on the rows alone: enough days, no fault, few and short gaps, short runs in which nothing was traded.

Notation: N rows in order of time, each once.
"""

import numpy as np
from numpy.typing import NDArray

from ...state.models.config import SYNTHETIC
from ...state.models.preflight import Check, PreflightData
from ..bars import DAY_MS, MINUTE_MS, Ints
from ..candles.faults import NAMES, Fault, faults, groups, iso
from ..candles.read import Raw

MIN_DAYS = 90
MAX_GAP_MINUTES = 120
MAX_MISSING_PCT = 0.1
MAX_FLAT_MINUTES = 120

_GOOD = {
    "values": "every cell is a finite number",
    "order": "every row is later than the one before it",
    "duplicates": "no time stands there twice",
    "grid": "every bar opens on the grid",
    "prices": "every price is positive",
    "ohlc": "low <= open, close <= high in every row",
    "volumes": "no volume is negative",
    "closed": "the last bar has closed",
}
_GAP_FIX = 'get the missing candles, or accept it with --allow gaps (allow = ["gaps"] in the plan)'
_FLAT_FIX = 'check the source, or accept it with --allow flat (allow = ["flat"] in the plan)'


def data_of(raw: Raw, base_ms: int) -> PreflightData:
    """What was looked at."""
    return PreflightData(
        path=SYNTHETIC if raw.synthetic else raw.path,
        sha256=raw.bars(base_ms).sha256,
        rows=len(raw),
        first=int(raw.time.min()),
        last=int(raw.time.max()),
        base_minutes=base_ms // MINUTE_MS,
        synthetic=raw.synthetic,
    )


def fault_checks(raw: Raw, base_ms: int, now_ms: int) -> list[Check]:
    """One check for each kind of fault; the figure is the number of rows that have it."""
    found = {fault.name: fault for fault in faults(raw, base_ms, now_ms)}
    return [_fault_check(name, found.get(name)) for name in NAMES]


def days_check(raw: Raw, base_ms: int) -> Check:
    """Days from the first open to the last close."""
    days = (int(raw.time.max()) - int(raw.time.min()) + base_ms) / DAY_MS
    enough = days >= MIN_DAYS
    return Check(
        name="days",
        status="pass" if enough else "fail",
        figure=round(days, 2),
        limit=MIN_DAYS,
        unit="days",
        message=f"{days:,.1f} days, at least {MIN_DAYS} are needed",
        fix="" if enough else "get more history",
    )


def gaps_check(raw: Raw, base_ms: int) -> Check:
    """The figure is the longest gap, or the share of missing bars if it is that which is too much."""
    time = np.unique(raw.time[raw.time % base_ms == 0])
    missing = np.diff(time) // base_ms - 1
    if not missing.any():
        return Check(
            name="gaps", status="pass", figure=0, limit=MAX_GAP_MINUTES, unit="min", message="no bar is missing"
        )
    longest = int(missing.argmax())
    minutes = int(missing[longest]) * base_ms // MINUTE_MS
    share = 100 * int(missing.sum()) / ((int(time[-1]) - int(time[0])) // base_ms + 1)
    fine = minutes <= MAX_GAP_MINUTES and share <= MAX_MISSING_PCT
    by_share = minutes <= MAX_GAP_MINUTES and not fine
    count = int((missing > 0).sum())
    return Check(
        name="gaps",
        status="warn" if fine else "fail",
        figure=round(share, 4) if by_share else minutes,
        limit=MAX_MISSING_PCT if by_share else MAX_GAP_MINUTES,
        unit="%" if by_share else "min",
        message=f"{int(missing.sum()):,} bars are missing in {count:,} gap{'s' * (count > 1)} ({share:.4f} %, limit "
        f"{MAX_MISSING_PCT} %), the longest {minutes:,} min after {iso(int(time[longest]))}",
        fix="" if fine else _GAP_FIX,
        detail={"gaps": count, "missing": int(missing.sum()), "missing_pct": round(share, 6), "longest_min": minutes},
    )


def flat_check(raw: Raw, base_ms: int) -> Check:
    """The figure is the longest time without a trade: bars in a row without volume and without any movement."""
    order, again, _ = groups(raw)
    rows = raw.take(order[~again])
    flat = (rows.volume == 0) & (rows.high == rows.low) & (rows.open == rows.close) & (rows.open == rows.high)
    first, length = _runs(flat, rows.time, base_ms)
    if len(length) == 0:
        return Check(
            name="flat",
            status="pass",
            figure=0,
            limit=MAX_FLAT_MINUTES,
            unit="min",
            message="something traded in every bar",
        )
    longest = int(length.argmax())
    minutes = int(length[longest]) * base_ms // MINUTE_MS
    fine = minutes <= MAX_FLAT_MINUTES
    return Check(
        name="flat",
        status="warn" if fine else "fail",
        figure=minutes,
        limit=MAX_FLAT_MINUTES,
        unit="min",
        message=f"nothing traded in {int(flat.sum()):,} bars, at most {minutes:,} min in a row, from "
        f"{iso(int(rows.time[first[longest]]))}",
        fix="" if fine else _FLAT_FIX,
        detail={"runs": len(length), "bars": int(flat.sum())},
    )


def _fault_check(name: str, fault: Fault | None) -> Check:
    if fault is None:
        return Check(name=name, status="pass", figure=0, limit=0, unit="rows", message=_GOOD[name])
    return Check(
        name=name, status="fail", figure=fault.count, limit=0, unit="rows", message=fault.message, fix=fault.fix
    )


def _runs(flags: NDArray[np.bool_], time: Ints, base_ms: int) -> tuple[Ints, Ints]:
    """First index and length of each run of flagged rows that follow one another without a gap."""
    rows = np.flatnonzero(flags)
    begins = np.ones(len(rows), dtype=np.bool_)
    begins[1:] = (np.diff(rows) != 1) | (np.diff(time[rows]) != base_ms)
    starts = np.flatnonzero(begins)
    return rows[starts], np.diff(np.append(starts, len(rows)))
