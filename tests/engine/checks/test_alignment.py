"""The multi-timeframe check finds every planted look-ahead, and nothing in the engine's own windows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.engine.bars import Bars
from btswarm.engine.checks import alignment
from btswarm.engine.checks.alignment import NOTHING, PLANTS, Build, alignment_check, defined, shown_early
from btswarm.engine.timeframes import Windows, windows

from ..kernels.drawn import markets
from ..market import walk

TIMEFRAMES = (15, 30, 45, 60, 120, 240, 360)


@pytest.fixture(scope="module")
def bars() -> Bars:
    return walk(days=30, start="2023-01-01T00:05")


def test_the_engine_s_windows_pass_and_all_plants_are_caught(bars: Bars) -> None:
    check = alignment_check(bars, TIMEFRAMES)
    assert (check.status, check.figure, check.limit) == ("pass", 3, 3)
    assert check.detail == {"timeframes": list(TIMEFRAMES), "contradictions": 0}


@pytest.mark.parametrize("name", PLANTS)
def test_each_plant_in_the_engine_s_place_fails_on_every_timeframe(name: str, bars: Bars) -> None:
    check = alignment_check(bars, TIMEFRAMES, build=PLANTS[name])
    assert check.status == "fail"
    assert str(list(TIMEFRAMES))[1:-1] in check.message
    contradictions = check.detail["contradictions"]
    assert isinstance(contradictions, int)
    assert contradictions > 0


@pytest.mark.parametrize("name", PLANTS)
@pytest.mark.parametrize("tf", [10, 15, 360])
def test_each_plant_is_caught_by_the_cut_alone_too(
    name: str, tf: int, bars: Bars, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two probes do not lean on each other: here the definition is asked nothing."""
    monkeypatch.setattr(alignment, "defined", lambda bars, tf, i: _said(PLANTS[name], bars, tf, i))
    assert alignment_check(bars, [tf], build=PLANTS[name]).status == "fail"


def _said(build: Build, bars: Bars, tf: int, i: int) -> tuple[int, float]:
    built = build(bars, tf)
    newest = int(built.newest(len(bars))[i])
    return (int(built.start[newest]), float(built.close[newest])) if newest >= 0 else (NOTHING, float("nan"))


def _one_bar_late(bars: Bars, tf: int) -> Windows:
    right = windows(bars, tf)
    return replace(right, known=right.known + 1)


def _first_window_kept(bars: Bars, tf: int) -> Windows:
    """Shows a window the data begin in the middle of: nothing of the future, yet not what is defined."""
    whole = replace(bars, time=bars.time - int(bars.time[0]) % (tf * 60_000))
    return windows(whole, tf)


@pytest.mark.parametrize("build", [_one_bar_late, _first_window_kept])
def test_what_is_wrong_without_looking_ahead_fails_by_the_definition(build: Build, bars: Bars) -> None:
    assert alignment_check(bars, [60], build=build).status == "fail"


def test_a_plant_that_slips_through_means_that_nothing_is_proven(bars: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLANTS, "shown early", windows)
    check = alignment_check(bars, [15, 60])
    assert (check.status, check.figure) == ("fail", 2)
    assert "not proven" in check.message
    assert "shown early" in check.message


def test_a_market_that_never_moves_cannot_prove_the_shifted_origin(bars: Bars) -> None:
    flat = np.full(len(bars), 100.0)
    still = replace(bars, open=flat, high=flat, low=flat, close=flat)
    check = alignment_check(still, [60])
    assert (check.status, check.figure) == ("fail", 2)


def test_timeframes_that_do_not_fit_the_base_fail_by_name_with_what_to_do() -> None:
    hourly = walk(days=60, minutes=60)
    assert alignment_check(hourly, [60, 120]).detail["timeframes"] == [120]
    for asked in (TIMEFRAMES, [15, 60]):
        check = alignment_check(hourly, asked)
        assert check.status == "fail"
        assert "15" in check.message
        assert "no multiple of the 60 min" in check.message
        assert "multiples of 60 min" in check.fix
    assert "not above" in alignment_check(hourly, [60]).message


def test_the_same_seed_looks_at_the_same_places(bars: Bars) -> None:
    first, again, other = (alignment_check(bars, [60], seed, shown_early) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@settings(max_examples=150, deadline=None)
@given(bars=markets(), tf=st.sampled_from([2, 3, 5]))
def test_the_definition_and_the_engine_agree_on_any_market(bars: Bars, tf: int) -> None:
    minutes = tf * bars.base_minutes
    for i in range(len(bars)):
        np.testing.assert_equal(defined(bars, minutes, i), _said(windows, bars, minutes, i))
