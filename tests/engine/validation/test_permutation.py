"""What the two nulls keep of a market, and what they destroy."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.engine.bars import Bars, Floats
from btswarm.engine.validation.permutation import (
    HOUR_MS,
    KINDS,
    Kind,
    coins,
    flipped,
    null_market,
    permuted,
    shuffled,
    source_of,
)

from ..market import walk

Rows = np.ndarray[Any, Any]


def market(seed: int = 1, days: float = 20, missing: int = 30, drift: float = 0.0) -> Bars:
    """A market with gaps in time and in price."""
    bars = walk(days=days, minutes=15, seed=seed)
    rng = np.random.default_rng(seed)
    keep = np.ones(len(bars), dtype=bool)
    keep[rng.integers(1, len(bars) - 1, missing)] = False
    level = np.exp(np.cumsum(rng.normal(drift, 0.001, len(bars))))
    o, h, low, c = (one * level for one in bars.columns[:4])
    columns = (o[keep], h[keep], low[keep], c[keep], bars.volume[keep])
    o, h, low, c, v = columns
    return replace(bars, time=bars.time[keep], open=o, high=h, low=low, close=c, volume=v)


def logs(bars: Bars) -> Floats:
    """g, H, L, C and volume, float64 [5, T], from the prices alone."""
    before = np.concatenate([bars.open[:1], bars.close[:-1]])
    parts = [np.log(bars.open / before), *(np.log(one / bars.open) for one in (bars.high, bars.low, bars.close))]
    return np.array([*parts, bars.volume])


def hours(bars: Bars) -> Rows:
    return bars.time // HOUR_MS % 24


@settings(max_examples=25, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 50), number=st.integers(1, 1000), drift=st.floats(-0.01, 0.01))
def test_a_null_market_keeps_times_last_close_and_drift_and_is_a_market(
    kind: Kind, seed: int, number: int, drift: float
) -> None:
    real = market(seed, drift=drift)
    null = null_market(source_of(real), kind, number)
    assert np.array_equal(null.time, real.time)
    assert null.close[-1] == pytest.approx(real.close[-1], rel=1e-9)
    assert (null.low > 0).all()
    assert (null.low <= np.minimum(null.open, null.close)).all()
    assert (null.high >= np.maximum(null.open, null.close)).all()
    assert not np.array_equal(null.close, real.close)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 50), number=st.integers(1, 1000))
def test_a_permutation_moves_whole_tuples_among_the_bars_of_an_hour(seed: int, number: int) -> None:
    real = market(seed)
    source = source_of(real)
    order = shuffled(source, np.random.default_rng(number))
    assert np.array_equal(np.sort(order), np.arange(len(real)))
    assert np.array_equal(hours(real)[order], hours(real))
    moved, own = logs(permuted(source, order)), logs(real)
    own[0, 0] = 0.0
    # The first bar has no close before it: what its place got went into its open.
    assert moved[0, 1:] == pytest.approx(own[0][order][1:], abs=1e-12)
    assert moved[1:4] == pytest.approx(own[1:4][:, order], abs=1e-12)
    assert np.array_equal(moved[4], own[4][order])


def test_the_bars_of_every_hour_are_the_same_ones() -> None:
    real = market()
    null = null_market(source_of(real), "permutation", 3)
    for hour in range(24):
        here = hours(real) == hour
        assert np.sort(null.volume[here]).tolist() == np.sort(real.volume[here]).tolist()


def test_flipped_bars_are_mirrored_about_the_mean_and_the_others_only_shifted() -> None:
    real = market(drift=0.002)
    source = source_of(real)
    flips = coins(source, np.random.default_rng(5))
    null, own = logs(flipped(source, flips)), logs(real)
    turned = flips == 1
    turned[0] = False
    stay = flips == 0
    stay[0] = False
    shift = null[0, stay] - own[0, stay]
    assert shift == pytest.approx(np.full(len(shift), shift[0]), abs=1e-11)
    assert null[0, turned] - shift[0] == pytest.approx(2 * source.drift - own[0, turned], abs=1e-11)
    assert null[1, turned] == pytest.approx(-own[2, turned], abs=1e-12)
    assert null[2, turned] == pytest.approx(-own[1, turned], abs=1e-12)
    assert null[3, turned] == pytest.approx(-own[3, turned], abs=1e-12)
    assert np.array_equal(null[4], own[4])
    assert 0.45 < flips.mean() < 0.55


def test_the_draws_follow_from_the_candles_and_the_number_alone() -> None:
    real = market()
    for kind in KINDS:
        first, again = null_market(source_of(real), kind, 7), null_market(source_of(real.slice(0, len(real))), kind, 7)
        assert first.sha256 == again.sha256
        assert null_market(source_of(real), kind, 8).sha256 != first.sha256
    other = replace(real, volume=real.volume + 1)
    assert not np.array_equal(null_market(source_of(other), "sign_flip", 7).close, first.close)


def test_constant_prices_stay_constant() -> None:
    flat = np.full(500, 3.0)
    bars = replace(walk(days=500 / 96, minutes=15), open=flat, high=flat, low=flat, close=flat, volume=flat)
    for kind in KINDS:
        assert np.array_equal(null_market(source_of(bars), kind, 1).close, flat)
