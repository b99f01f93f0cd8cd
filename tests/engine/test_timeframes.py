"""Windows of a higher timeframe: where they begin, what they close at, from which bar on they are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.engine.bars import MINUTE_MS, Bars
from btswarm.engine.indicators import ema
from btswarm.engine.kernels.reference import known_values
from btswarm.engine.timeframes import Windows, windows
from btswarm.state.errors import BadConfig

from .kernels.drawn import markets
from .kernels.markets import market
from .market import ms, walk


def facts(bars: Bars, tf: int) -> list[tuple[int, float, int]]:
    """(start in minutes from 2024-01-01, close, known) of each window."""
    found = windows(bars, tf)
    start = (found.start - ms("2024-01-01")) // MINUTE_MS
    return list(zip(start.tolist(), found.close.tolist(), found.known.tolist(), strict=True))


def test_whole_windows_are_known_at_their_last_bar() -> None:
    assert facts(market([1, 2, 3, 4, 5, 6]), 15) == [(0, 3, 2), (15, 6, 5)]


def test_a_window_the_data_begins_in_the_middle_of_is_dropped() -> None:
    assert facts(market([2, 3, 4, 5, 6], start="2024-01-01T00:05"), 15) == [(15, 6, 4)]
    assert facts(market([3, 4, 5, 6], start="2024-01-01T00:10"), 15) == [(15, 6, 3)]


def test_a_window_that_is_only_begun_is_known_never() -> None:
    assert facts(market([1, 2, 3, 4, 5]), 15) == [(0, 3, 2), (15, 5, 5)]  # there is no bar 5


def test_a_window_whose_last_slot_is_missing_is_known_at_the_next_bar_that_exists() -> None:
    bars = market([1, 2, 4, 5, 6], slots=[0, 1, 3, 4, 5])
    assert facts(bars, 15) == [(0, 2, 2), (15, 6, 4)]


def test_a_window_with_a_hole_in_it_is_known_at_its_last_slot() -> None:
    assert facts(market([1, 3, 4], slots=[0, 2, 3]), 15) == [(0, 3, 1), (15, 4, 3)]


def test_a_window_without_a_bar_does_not_exist() -> None:
    bars = market([1, 2, 3, 10], slots=[0, 1, 2, 9])
    assert facts(bars, 15) == [(0, 3, 2), (45, 10, 4)]


def test_a_single_bar_can_be_a_window_and_two_windows_can_be_known_at_one_bar() -> None:
    bars = market([1, 2, 6, 7], slots=[0, 1, 5, 6])
    assert facts(bars, 15) == [(0, 2, 2), (15, 6, 2), (30, 7, 4)]
    assert windows(bars, 15).newest(4).tolist() == [-1, -1, 1, 1]


def test_after_a_gap_windows_stay_on_the_clock_and_do_not_count_bars() -> None:
    bars = market([1, 2, 3, 4, 5, 6, 7], slots=[0, 1, 2, 4, 5, 6, 8])
    assert facts(bars, 15) == [(0, 3, 2), (15, 5, 4), (30, 7, 6)]


def test_the_base_timeframe_itself_is_a_timeframe() -> None:
    assert facts(market([1, 2, 3]), 5) == [(0, 1, 0), (5, 2, 1), (10, 3, 2)]


def test_long_windows_begin_at_whole_multiples_since_1970() -> None:
    day = windows(walk("2024-01-01T12:00", 3, minutes=60), 1440)
    assert day.start.tolist() == [ms("2024-01-02"), ms("2024-01-03"), ms("2024-01-04")]
    week = windows(walk("2024-01-01", 14, minutes=60), 7 * 1440)
    assert week.start.tolist() == [ms("2024-01-04"), ms("2024-01-11")]  # Thursdays, as 1970-01-01 was


def test_a_window_of_minutes_that_divide_no_day_keeps_counting_over_midnight() -> None:
    found = windows(walk("2024-01-01", 2, minutes=5), 50)
    assert set(np.diff(found.start).tolist()) == {50 * MINUTE_MS}
    assert set((found.start % (50 * MINUTE_MS)).tolist()) == {0}


@pytest.mark.parametrize("tf", [0, -15, 7, 12])
def test_a_timeframe_that_is_no_multiple_of_the_base_is_refused(tf: int) -> None:
    with pytest.raises(BadConfig, match="no multiple of the data's 5 minutes"):
        windows(market([1, 2, 3]), tf)


def test_windows_of_one_market_are_built_once() -> None:
    bars = market([1, 2, 3, 4])
    assert windows(bars, 10) is windows(bars, 10)
    assert windows(bars.slice(0, 2), 10) is not windows(bars, 10)


def test_known_values_of_a_gappy_market_written_out() -> None:
    # windows 2 (known at bar 2), 6 (known at bar 2 too), 8 and 9 (incomplete, known at bar 5): EMA(2), a = 2/3
    bars = market([1, 2, 6, 7, 8, 9], slots=[0, 1, 5, 6, 7, 11])
    values = known_values(bars, 15, 2)
    assert values == [None, None, pytest.approx(14 / 3), values[2], values[2], pytest.approx(224 / 27)]


def newest_values(found: Windows, period: int, bars: int) -> list[float | None]:
    average = ema(found.close, period)
    picked = [float(average[w]) if w >= 0 else np.nan for w in found.newest(bars)]
    return [None if np.isnan(value) else value for value in picked]


@settings(max_examples=300, deadline=None)
@given(bars=markets(), multiple=st.integers(1, 13), period=st.integers(1, 6))
def test_the_series_seen_at_each_bar_equals_its_plain_definition(bars: Bars, multiple: int, period: int) -> None:
    tf = multiple * bars.base_minutes
    assert newest_values(windows(bars, tf), period, len(bars)) == known_values(bars, tf, period)


@settings(max_examples=100, deadline=None)
@given(bars=markets(least=2), multiple=st.integers(1, 13), data=st.data())
def test_no_value_changes_when_the_future_is_cut_off(bars: Bars, multiple: int, data: st.DataObject) -> None:
    kept = data.draw(st.integers(1, len(bars) - 1))
    tf = multiple * bars.base_minutes
    assert known_values(bars.slice(0, kept), tf, 2) == known_values(bars, tf, 2)[:kept]
    cut, whole = windows(bars.slice(0, kept), tf).newest(kept), windows(bars, tf).newest(kept)
    assert cut.tolist() == whole.tolist()
