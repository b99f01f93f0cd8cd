"""Faults of rows: each kind counted, the first example named; the timeframe, and the clock that closes bars."""

import os
from dataclasses import replace

import numpy as np
import pytest

from btswarm.engine.bars import Bars
from btswarm.engine.candles.faults import NAMES, Fault, base_of, faults, is_unclosed, iso
from btswarm.engine.candles.load import load
from btswarm.engine.candles.read import Raw
from btswarm.state.errors import BadData

from .conftest import Write
from .layouts import layouts
from .raws import LATER, MINUTE, changed, raw, rows_of, without

BASE = 15 * MINUTE


def found(rows: Raw) -> dict[str, Fault]:
    return {fault.name: fault for fault in faults(rows, BASE, LATER)}


def test_good_rows_have_no_fault() -> None:
    assert found(raw()) == {}


@pytest.mark.parametrize(
    ("rows", "name", "count"),
    [
        (changed(raw(), "open", 3, np.nan), "values", 1),
        (changed(changed(raw(), "open", 3, np.nan), "close", 3, np.inf), "values", 1),
        (rows_of(raw(), 1, 0, 3, 2), "order", 2),
        (rows_of(raw(), 0, 1, 1, 1, 2), "duplicates", 2),
        (changed(raw(), "time", 5, raw().time[5] + MINUTE), "grid", 1),
        (changed(raw(), "low", 5, 0.0), "prices", 1),
        (changed(raw(), "high", 5, 0.5), "ohlc", 1),
        (changed(raw(), "volume", 5, -0.5), "volumes", 1),
    ],
)
def test_each_kind_is_counted_and_nothing_else_is_found(rows: Raw, name: str, count: int) -> None:
    one = found(rows)
    assert {kind: fault.count for kind, fault in one.items()} == {name: count}
    assert one[name].message
    assert one[name].fix


def test_several_kinds_come_in_the_order_in_which_they_matter() -> None:
    rows = changed(changed(rows_of(raw(), 2, 0, 1, 1), "low", 0, -1.0), "volume", 1, np.nan)
    names = list(found(rows))
    assert names == ["values", "order", "duplicates", "prices"]
    assert names == sorted(names, key=NAMES.index)


def test_every_copy_but_the_first_is_a_duplicate_wherever_it_stands() -> None:
    assert found(rows_of(raw(), 0, 1, 2, 0, 1))["duplicates"].count == 2


def test_a_contradiction_is_told_from_a_copy() -> None:
    rows = changed(rows_of(raw(), 0, 1, 1, 2), "volume", 2, 7.0)
    fault = found(rows)["duplicates"]
    assert "with other values" in fault.message
    assert "keep one of them" in fault.fix


def test_empty_cells_are_equal_to_each_other() -> None:
    rows = changed(raw(), "volume", 1, np.nan)
    assert "with the same values" in found(rows_of(rows, 0, 1, 1, 2))["duplicates"].message


def test_missing_bars_are_no_fault_of_the_rows() -> None:
    assert found(without(raw(), *range(10, 50))) == {}


def test_the_timeframe_is_the_most_frequent_step() -> None:
    assert base_of(raw()) == BASE
    assert base_of(without(raw(), *range(10, 50, 3))) == BASE
    assert base_of(rows_of(raw(), 5, 4, 4, 3, 9)) == BASE


def test_of_two_steps_as_frequent_the_smaller_one_is_the_timeframe() -> None:
    assert base_of(rows_of(raw(), 0, 1, 3)) == BASE


def test_another_timeframe_than_asked_for_is_refused() -> None:
    assert base_of(raw(), 15) == BASE
    with pytest.raises(BadData, match="15 minutes apart, not 5 as asked for"):
        base_of(raw(), 5)


MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("now", "written", "unclosed"),
    [
        (BASE, None, False),
        (BASE - 1, None, True),
        (LATER, BASE - 1, True),
        (LATER, 0, True),
        (LATER, BASE, False),
        (LATER, -1, False),  # an archive's time: before the bar there was nothing to write
        (LATER, -(10**9), False),
    ],
)
def test_a_bar_is_unclosed_when_clock_or_file_say_so(now: int, written: int | None, unclosed: bool) -> None:
    assert is_unclosed(0, BASE, now, written) is unclosed


def test_a_bar_that_has_not_closed_is_refused(write: Write, bars: Bars, in_process: None) -> None:
    path = write("live.csv", layouts(bars)["plain.csv"])
    close = int(bars.time[-1]) + bars.base_ms
    assert len(load(path, "SOL", now_ms=close)) == len(bars)
    with pytest.raises(BadData, match=r"line 97 \(2024-12-31 23:45\): the bar until 2025-01-01 00:00 is still open"):
        load(path, "SOL", now_ms=close - 1)


def test_a_file_written_while_its_last_bar_was_forming_is_refused(write: Write, bars: Bars, in_process: None) -> None:
    path = write("live.csv", layouts(bars)["plain.csv"])
    during = (int(bars.time[-1]) + 1000) / 1000
    os.utime(path, (during, during))
    with pytest.raises(BadData, match="had not closed when the file was written"):
        load(path, "SOL")
    os.utime(path, (0, 0))
    assert len(load(path, "SOL")) == len(bars)


def test_bars_of_the_future_are_counted() -> None:
    fault = {one.name: one for one in faults(raw(), BASE, int(raw().time[90]))}["closed"]
    assert fault.count == 6
    assert "clock" in fault.fix, "dropping the last bar would not help"


def test_text_cells_are_named_by_column_and_value(write: Write, bars: Bars, in_process: None) -> None:
    content = layouts(bars)["plain.csv"].decode().splitlines()
    content[5] = ",".join([*content[5].split(",")[:5], "-"])
    with pytest.raises(BadData, match="line 6: column 'volume' holds '-', no number"):
        load(write("dash.csv", "\n".join(content).encode()), "SOL")


def test_times_are_shown_as_people_write_them() -> None:
    assert iso(1_735_689_600_000) == "2025-01-01 00:00"
    assert iso(1_735_689_600_001) == "2025-01-01 00:00:00.001000"


def test_rows_without_a_file_are_named_by_their_symbol() -> None:
    with pytest.raises(BadData, match="SOLUSDT: it has one row"):
        base_of(replace(rows_of(raw(), 0), path=""))
