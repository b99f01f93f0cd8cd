"""Candles as arrays: days, slices, the last N days, and the hash that names the data."""

import hashlib
import struct

import numpy as np
import pytest

from btswarm.engine.bars import DAY_MS
from btswarm.state.errors import BadConfig

from .kernels.markets import market
from .market import ms, walk


def test_a_bar_belongs_to_the_utc_day_of_its_open() -> None:
    bars = market([1, 2, 3], start="2024-01-01T23:50")
    assert bars.day.tolist() == [19723, 19723, 19724]


def test_the_last_days_begin_at_last_open_plus_base_minus_the_days() -> None:
    bars = walk("2024-01-01", 10)
    last = bars.last_days(3)
    assert (len(last), last.time[0]) == (3 * 288, ms("2024-01-08"))
    assert last.time[-1] == bars.time[-1]


def test_the_last_days_count_time_and_not_bars() -> None:
    bars = market([1, 2, 3, 4], minutes=60, slots=[0, 10, 20, 23])
    assert bars.last_days(0.5).close.tolist() == [3, 4]  # from 12:00 on
    assert bars.last_days(14 / 24).close.tolist() == [2, 3, 4]  # from 10:00 on, which is included


def test_more_days_than_there_are_is_all_of_them() -> None:
    assert len(walk("2024-01-01", 2).last_days(1000)) == 2 * 288
    assert len(walk("2024-01-01", 2).last_days(1e300)) == 2 * 288


@pytest.mark.parametrize("days", [0, -1])
def test_no_days_are_refused(days: float) -> None:
    with pytest.raises(BadConfig, match="last-days"):
        walk("2024-01-01", 2).last_days(days)


def test_nothing_outside_a_slice_can_be_reached_through_it() -> None:
    bars = walk("2024-01-01", 2)
    part = bars.slice(10, 20)
    for name in ("time", "open", "high", "low", "close", "volume"):
        column = getattr(part, name)
        assert column.base is None
        assert column.tolist() == getattr(bars, name)[10:20].tolist()
    part.close[0] = -1
    assert bars.close[10] > 0
    assert (part.symbol, part.base_ms) == (bars.symbol, bars.base_ms)


def test_a_slice_remembers_nothing_of_the_whole() -> None:
    bars = walk("2024-01-01", 2)
    whole_day, whole_hash = bars.day, bars.sha256
    bars.cache["something"] = 1
    part = bars.slice(288, 576)
    assert part.cache == {}
    assert part.day.tolist() == whole_day[288:].tolist()
    assert part.sha256 != whole_hash


def test_the_hash_is_that_of_little_endian_rows() -> None:
    bars = market([(1.5, 2.5, 0.5, 2.0), 3])
    rows = b"".join(
        struct.pack("<q5d", *row)
        for row in zip(bars.time.tolist(), *(column.tolist() for column in bars.columns), strict=True)
    )
    assert len(rows) == 2 * 48
    assert bars.sha256 == hashlib.sha256(rows).hexdigest()


def test_any_changed_value_changes_the_hash() -> None:
    bars = walk("2024-01-01", 1)
    seen = {bars.sha256}
    for name in ("time", "open", "high", "low", "close", "volume"):
        other = bars.slice(0, len(bars))
        column = getattr(other, name)
        column[7] = column[7] + 1 if name == "time" else np.nextafter(column[7], np.inf)
        seen.add(other.sha256)
    assert len(seen) == 7


def test_base_minutes_and_length() -> None:
    bars = walk("2024-01-01", 2, minutes=60)
    assert (bars.base_minutes, len(bars), DAY_MS // bars.base_ms) == (60, 48, 24)
