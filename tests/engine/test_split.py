"""Which days are trained on, which are sealed, and that the sealed ones cannot be reached."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.engine.bars import DAY_MS
from btswarm.engine.split import EMBARGO_DAYS, NEEDED_DAYS, split, split_for, whole_days
from btswarm.state.errors import BadConfig, BadData

from .market import ms, walk

HOUR = 60


def test_plenty_of_data_gives_180_days_of_holdout_7_of_embargo_and_730_of_training() -> None:
    cut = split(walk("2020-01-01", 1200, minutes=HOUR))
    assert (len(cut.holdout), len(cut.embargo), len(cut.train)) == (180, 7, 730)
    assert cut.holdout.to_ms == ms("2020-01-01") + 1200 * DAY_MS
    assert cut.sufficient
    assert cut.reason == ""
    assert cut.whole_days == 1200


@pytest.mark.parametrize(("days", "held"), [(899, 179), (900, 180), (365, 73), (300, 60)])
def test_with_less_data_the_holdout_is_a_fifth_of_the_whole_days_and_training_what_is_left(
    days: int, held: int
) -> None:
    cut = split(walk("2021-01-01", days, minutes=HOUR))
    assert len(cut.holdout) == held
    assert len(cut.train) == min(730, days - held - EMBARGO_DAYS)
    assert cut.sufficient


def test_one_day_too_few_is_insufficient_and_says_what_would_be_needed() -> None:
    cut = split(walk("2021-01-01", NEEDED_DAYS - 1, minutes=HOUR))
    assert not cut.sufficient
    assert "59 of 60 hold-out days" in cut.reason
    assert cut.needed_days == 300


def test_a_plan_that_asks_for_too_short_a_training_is_insufficient_too() -> None:
    cut = split(walk("2021-01-01", 900, minutes=HOUR), train_days=179)
    assert not cut.sufficient
    assert "179 of 180 training days" in cut.reason


def test_the_partial_last_day_and_the_partial_first_day_belong_to_nobody() -> None:
    cut = split(walk("2021-01-01T13:00", 400.1, minutes=HOUR))
    assert cut.train.first_iso == "2021-01-02"
    assert cut.holdout.last_iso == "2022-02-04"
    assert cut.whole_days == 399


def test_days_whose_first_and_last_bar_are_there_are_whole() -> None:
    bars = walk("2021-01-01", 3, minutes=5)
    assert len(whole_days(bars)) == 3
    assert len(whole_days(bars.slice(0, len(bars) - 1))) == 2
    assert len(whole_days(bars.slice(1, len(bars)))) == 2


def test_days_without_bars_do_not_count_as_evidence() -> None:
    bars = walk("2021-01-01", 300, minutes=HOUR)
    gap = np.concatenate([np.arange(0, 290 * 24), np.arange(291 * 24, 300 * 24)])
    with_gap = bars.slice(0, len(bars))
    columns = {name: getattr(with_gap, name)[gap] for name in ("time", "open", "high", "low", "close", "volume")}
    cut = split(type(bars)(bars.symbol, bars.base_ms, **columns))
    assert not cut.sufficient
    assert "59 of 60" in cut.reason


def test_no_whole_training_day_is_refused() -> None:
    with pytest.raises(BadData, match="no training day"):
        split(walk("2021-01-01", 7, minutes=HOUR))
    with pytest.raises(BadData, match="no whole UTC day"):
        split(walk("2021-01-01T01:00", 0.9, minutes=HOUR))
    with pytest.raises(BadConfig, match="holdout_days"):
        split(walk("2021-01-01", 400, minutes=HOUR), holdout_days=0)


def test_the_training_bars_end_before_the_embargo_and_nothing_later_can_be_reached_through_them() -> None:
    bars = walk("2021-01-01", 400, minutes=HOUR)
    cut = split(bars)
    training = cut.training(bars)
    assert int(training.time[-1]) + training.base_ms == cut.train_to == cut.holdout.from_ms - EMBARGO_DAYS * DAY_MS
    for column in (training.time, *training.columns):
        assert column.base is None, "a view would reach the sealed bars through its base"
        assert len(column) == len(training)
        with pytest.raises(IndexError):
            column[len(training)]
    assert not np.shares_memory(training.close, bars.close)


def test_a_simulation_on_the_training_bars_does_not_depend_on_the_sealed_ones() -> None:
    bars = walk("2021-01-01", 400, minutes=HOUR)
    cut = split(bars)
    other = walk("2021-01-01", 400, minutes=HOUR, seed=1)
    stop = int(np.searchsorted(bars.time, cut.train_to))
    for mine, foreign in zip(bars.columns, other.columns, strict=True):
        mine[stop:] = foreign[stop:]
    again = walk("2021-01-01", 400, minutes=HOUR)
    assert cut.training(bars).sha256 == cut.training(again).sha256


def test_a_split_hands_out_no_bars_but_the_training_ones() -> None:
    cut = split(walk("2021-01-01", 400, minutes=HOUR))
    held = [name for name in dir(cut) if not name.startswith("_") and callable(getattr(cut, name))]
    assert held == ["holdout_range", "training"]


@settings(max_examples=60, deadline=None)
@given(st.integers(14, 1300), st.integers(0, 23), st.integers(0, 23), st.integers(1, 400), st.integers(1, 1000))
def test_every_split_is_ordered_disjoint_and_is_found_again_from_the_jobs_bounds(
    days: int, lead: int, tail: int, holdout: int, train: int
) -> None:
    bars = walk(f"2020-01-01T{lead:02d}:00", days + tail / 24, minutes=HOUR)
    cut = split(bars, holdout, train)
    assert cut.train.stop + EMBARGO_DAYS == cut.holdout.first
    assert len(cut.holdout) == min(holdout, cut.whole_days // 5)
    assert 1 <= len(cut.train) <= train
    assert split_for(bars, cut.train_from, cut.train_to) == cut


def test_job_bounds_outside_the_candles_or_off_midnight_are_refused() -> None:
    bars = walk("2021-01-01", 400, minutes=HOUR)
    assert split_for(bars, 0, 0) == split(bars)
    assert split_for(bars, 0, 0, 90, 200) == split(bars, 90, 200) != split(bars)
    with pytest.raises(BadConfig, match="outside the candles"):
        split_for(bars, ms("2020-12-31"), ms("2021-06-01"))
    with pytest.raises(BadConfig, match="UTC midnights"):
        split_for(bars, ms("2021-01-01") + 1, ms("2021-06-01"))
