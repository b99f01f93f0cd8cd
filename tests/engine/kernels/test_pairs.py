"""The two shortcuts of the permutation test: crosses shared by sets of exits, and a market rebuilt in place."""

from dataclasses import replace

import numpy as np
import pytest

from btswarm.engine.bars import Bars
from btswarm.engine.costs import Costs
from btswarm.engine.kernels import cpu
from btswarm.engine.kernels.market import Market
from btswarm.engine.kernels.pairs import cross_product, screen_pairs
from btswarm.engine.kernels.rebuild import Rebuilder
from btswarm.engine.strategies import mtf_ema
from btswarm.state.errors import BadConfig

from ..market import walk

COSTS = Costs(0.0005, 0.0002, 0.0001)


def gapped(bars: Bars) -> Bars:
    """The same with an hour missing, and beginning in the middle of a window."""
    keep = np.ones(len(bars), dtype=bool)
    keep[:3] = keep[5000:5012] = False
    o, h, low, c, v = (one[keep] for one in bars.columns)
    return replace(bars, time=bars.time[keep], open=o, high=h, low=low, close=c, volume=v)


BARS = walk(days=120, seed=3)


@pytest.mark.parametrize("mode", mtf_ema.MODES)
@pytest.mark.parametrize("bars", [BARS, gapped(BARS)], ids=["whole", "gapped"])
def test_every_pair_and_set_of_exits_has_the_sharpe_and_trades_of_the_screen(mode: str, bars: Bars) -> None:
    space = mtf_ema.space_for(mode)
    combos = cross_product(mtf_ema.draw(space, 1, 0, 70), mtf_ema.draw(space, 2, 0, 9))
    market = cpu.prepare(bars, space)
    plane = screen_pairs(market, combos, 9, COSTS, space.leverage)
    screened = cpu.screen(market, combos, COSTS, space.leverage)
    assert np.array_equal(plane.sharpe.ravel(), screened.sharpe, equal_nan=True)
    assert np.array_equal(plane.trades.ravel(), screened.trades)
    assert plane.trades.max() > 30


def test_what_is_no_plane_or_lies_outside_the_space_is_refused() -> None:
    space = mtf_ema.space_for("balanced")
    market = cpu.prepare(BARS, space)
    combos = cross_product(mtf_ema.draw(space, 1, 0, 4), mtf_ema.draw(space, 2, 0, 3))
    with pytest.raises(ValueError, match="no multiple"):
        screen_pairs(market, combos[:-1], 3, COSTS, space.leverage)
    with pytest.raises(ValueError, match="share its series"):
        screen_pairs(market, combos[::-1], 4, COSTS, space.leverage)
    combos[:, 1] = 51
    with pytest.raises(BadConfig, match="fast_period lies outside"):
        screen_pairs(market, combos, 3, COSTS, space.leverage)


def same(a: Market, b: Market) -> None:
    for left, right in zip((*a.fast, *a.slow), (*b.fast, *b.slow), strict=True):
        assert np.array_equal(left.values, right.values, equal_nan=True)
        assert np.array_equal(left.known, right.known)
    for one, other in zip(a.grids, b.grids, strict=True):
        for name in ("at", "fast", "low", "high", "fast_window", "slow_window"):
            assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name
    for name in ("tiles", "low", "high", "day", "charges", "day_close", "day_charges"):
        assert np.array_equal(getattr(a.prices, name), getattr(b.prices, name), equal_nan=True), name


@pytest.mark.parametrize("bars", [BARS, gapped(BARS)], ids=["whole", "gapped"])
def test_a_rebuilt_market_is_the_prepared_one_to_the_last_bit(bars: Bars) -> None:
    space = mtf_ema.space_for("balanced")
    rebuilder = Rebuilder(cpu.prepare(bars, space))
    other = walk(days=120, seed=9)
    o, h, low, c, v = (one[: len(bars)] for one in other.columns)
    for changed in (replace(bars, open=o, high=h, low=low, close=c, volume=v), bars):
        same(rebuilder.rebuild(changed), cpu.prepare(changed, space))
