"""Harmless faults are mended into something new; everything else is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.engine.candles.load import load
from btswarm.engine.candles.read import read_raw
from btswarm.engine.candles.repair import join, repair
from btswarm.state.errors import BadData

from .layouts import candles
from .raws import LATER, MINUTE, changed, raw, rows_of

BARS = candles()
BASE = BARS.base_ms


def test_good_rows_come_back_as_they_are() -> None:
    mended = repair(raw(), LATER)
    assert mended.done == ()
    assert mended.raw.bars(BASE).sha256 == BARS.sha256


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(96)), st.lists(st.integers(0, 95), max_size=30))
def test_any_order_with_any_copies_is_mended_to_the_same_bars(order: list[int], copies: list[int]) -> None:
    mended = repair(rows_of(raw(), *order, *copies), LATER)
    assert mended.raw.bars(BASE).sha256 == BARS.sha256
    assert any("duplicates" in sentence for sentence in mended.done) is bool(copies)


def test_what_was_done_is_told() -> None:
    assert repair(rows_of(raw(), 1, 0, 2, 3, 4, 5, 2), LATER).done == (
        "sorted 7 rows that went back in time at 2 places",
        "dropped 1 exact duplicates",
    )


def test_one_bar_that_had_not_closed_is_dropped() -> None:
    mended = repair(raw(), int(BARS.time[-1]) + BASE - 1)
    assert mended.done == ("dropped the bar of 2024-12-31 23:45, which had not closed",)
    assert len(mended.raw) == 95
    forming = replace(raw(), written_ms=int(BARS.time[-1]) + 1)
    assert len(repair(forming, LATER).raw) == 95


def test_many_bars_of_the_future_are_not_harmless() -> None:
    with pytest.raises(BadData, match="still open"):
        repair(raw(), int(BARS.time[50]))


def test_rows_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(BadData, match="with other values"):
        repair(changed(rows_of(raw(), 0, 1, 1, 2, 3), "close", 2, 1.0), LATER)


@pytest.mark.parametrize(("name", "value"), [("open", np.nan), ("low", -1.0), ("high", 1e-9), ("volume", -1.0)])
def test_wrong_values_are_the_source_s_to_correct(name: str, value: float) -> None:
    with pytest.raises(BadData):
        repair(changed(raw(), name, 3, value), LATER)


def test_a_row_off_the_grid_is_refused() -> None:
    with pytest.raises(BadData, match="whole multiple"):
        repair(changed(raw(), "time", 3, int(BARS.time[3]) + MINUTE), LATER)


def test_files_of_one_market_are_joined_and_their_overlap_mended() -> None:
    first, second = rows_of(raw(), *range(60)), rows_of(raw(), *range(50, 96))
    joined = join([second, first])
    assert len(joined) == 106
    assert repair(joined, LATER).raw.bars(BASE).sha256 == BARS.sha256


def test_files_of_different_markets_are_not_joined() -> None:
    with pytest.raises(BadData, match=r"is SOLUSDT, .* is BTCUSDT"):
        join([raw(), replace(raw(), symbol="BTCUSDT")])


def test_the_real_duplicated_file_becomes_the_clean_one_s_stretch(market_data: Path) -> None:
    spoiled = read_raw(market_data / "bad" / "SOLUSDT-5m-duplicated-unsorted.feather")
    mended = repair(spoiled, LATER)
    clean = load(market_data, "SOL")
    start, stop = np.searchsorted(clean.time, (mended.raw.time[0], mended.raw.time[-1] + 1))
    assert mended.raw.bars(mended.base_ms).sha256 == clean.slice(int(start), int(stop)).sha256
    assert mended.done == (
        "sorted 122,000 rows that went back in time at 24 places",
        "dropped 16,336 exact duplicates",
    )
