"""The screen decides every trade as the exact simulator does, and marks the same days; here where it is hard to."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.engine.backtest import Backtest
from btswarm.engine.bars import Bars, Floats, Ints
from btswarm.engine.costs import Costs
from btswarm.engine.kernels import cpu, exact
from btswarm.engine.kernels.parity import around_widest_gap, decisions, parity, same_decisions
from btswarm.engine.metrics import max_drawdown, sharpe
from btswarm.engine.strategies import api
from btswarm.engine.strategies.api import Combos, Params
from btswarm.engine.strategies.mtf_ema import MODES, Space, space_for

from ..market import walk
from .drawn import markets, random_market
from .markets import market
from .real import candles


def about(expected: Any, tolerance: float = 1e-9) -> Any:
    return pytest.approx(expected, rel=tolerance, abs=1e-9, nan_ok=True)


def small_space(base: int, leverage: float = 2.0) -> Space:
    """A space that a market of a few bars can fill; like the default one in having four timeframes on each side."""
    return Space(
        mode="small", leverage=leverage, direction="both", max_drawdown=1.0,
        fast_tf=(2 * base, base, 3 * base, 4 * base), slow_tf=(base, 6 * base, 2 * base, 3 * base),
        fast_period=(1, 4), slow_period=(1, 5), stop_loss=(1, 3000), take_profit=(1, 3000), trailing_stop=(1, 3000),
    )  # fmt: skip


def small_combos(space: Space, seed: int, count: int) -> Combos:
    """Any pair of series, the fast one need not be the faster; exits such that levels are touched exactly."""
    rng = np.random.default_rng(seed)
    combos = np.empty((count, len(api.COLUMNS)), dtype=np.int32)
    combos[:, api.FAST_TF] = rng.choice(space.fast_tf, count)
    combos[:, api.SLOW_TF] = rng.choice(space.slow_tf, count)
    combos[:, api.FAST_PERIOD] = rng.integers(1, 5, count)
    combos[:, api.SLOW_PERIOD] = rng.integers(1, 6, count)
    combos[:, api.STOP_LOSS] = rng.choice([500, 1000, 1250, 2000, 2500, 777], count)
    combos[:, api.TAKE_PROFIT] = rng.choice([0, 500, 1000, 2500, 3000, 333], count)
    combos[:, api.TRAILING_STOP] = rng.choice([0, 0, 500, 1000, 2000, 2500, 2999], count)
    combos[:, api.DIRECTION] = rng.integers(-1, 2, count)
    return combos


def assert_screen_equals_exact(bars: Bars, space: Space, combos: Combos, costs: Costs) -> int:
    """Decisions, metrics and segments equal; returns the number of trades."""
    prepared = cpu.prepare(bars, space)
    days = prepared.days
    edges = np.unique(np.array([0, days // 3, days // 2, days], dtype=np.int64))
    screened = cpu.screen(prepared, combos, costs, space.leverage, segments=edges)
    assert screened.sums is not None
    assert screened.segment_trades is not None
    listed = decisions(prepared, combos, costs, screened)
    for k, row in enumerate(combos):
        backtest = exact.simulate(bars, Params.from_row(row), costs, space.leverage)
        assert same_decisions(listed[k], backtest), f"{Params.from_row(row)}"
        r = backtest.daily_returns()
        assert screened.trades[k] == len(backtest.trades)
        assert screened.total_return[k] == about(backtest.equity[-1] - 1.0)
        assert screened.max_drawdown_daily[k] == about(max_drawdown(backtest.equity))
        if np.ptp(r) == 0.0 or np.ptp(r) > 1e-4:  # between, its sums of squares have too few digits for a Sharpe
            assert screened.sharpe[k] == about(sharpe(r), 1e-6)
        assert screened.sums[k] == about(moments(r, edges))
        assert screened.segment_trades[k].tolist() == exits_in(backtest, bars, edges)
    return int(screened.trades.sum())


def moments(r: Floats, edges: Ints) -> Floats:
    """float64 [S, 4]: sums of r to the first four powers in each segment."""
    return np.array([[(r[a:b] ** power).sum() for power in (1, 2, 3, 4)] for a, b in pairwise(edges)])


def exits_in(backtest: Backtest, bars: Bars, edges: Ints) -> list[int]:
    """How many trades were left in each segment of days."""
    day = np.searchsorted(backtest.day, bars.day[backtest.trades["exit"]])
    return [int(((day >= a) & (day < b)).sum()) for a, b in pairwise(edges)]


@settings(max_examples=250, deadline=None)
@given(
    bars=markets(most=400),
    seed=st.integers(0, 2**32 - 1),
    slippage=st.sampled_from([0.0, 0.0002, 0.02]),
    fee=st.sampled_from([0.0, 0.0005]),
    funding=st.sampled_from([0.0, 0.0, 0.0001, -0.0001]),
    leverage=st.sampled_from([1.0, 2.0, 3.0]),
)
def test_on_random_small_markets_every_decision_is_equal(
    bars: Bars, seed: int, slippage: float, fee: float, funding: float, leverage: float
) -> None:
    space = small_space(bars.base_minutes, leverage)
    assert_screen_equals_exact(bars, space, small_combos(space, seed, 12), Costs(fee, slippage, funding))


@pytest.mark.parametrize(
    "length", [1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1024, 1025]
)
def test_no_length_is_special(length: int) -> None:
    bars = random_market(length, length, 5, gaps=0.0, flat=0.0)
    space = small_space(5)
    assert_screen_equals_exact(bars, space, small_combos(space, length, 40), Costs())


def test_the_small_markets_do_trade() -> None:
    space = small_space(60)
    bars = random_market(1, 2000, 60)
    assert assert_screen_equals_exact(bars, space, small_combos(space, 1, 60), Costs()) > 5000


def test_a_market_too_short_for_any_series_trades_nothing() -> None:
    space = space_for("balanced")
    bars = walk(days=3, seed=2)
    combos = api.combos_of([Params(60, 50, 360, 200, 0.05, 0.1, 0.0, "both")])
    screened = cpu.screen(cpu.prepare(bars, space), combos, Costs(), 2.0)
    assert screened.trades.tolist() == [0]
    assert screened.total_return.tolist() == [0.0]
    assert screened.max_drawdown_daily.tolist() == [0.0]
    assert np.isnan(screened.sharpe).all()


def test_a_flat_market_is_all_ties_and_trades_nothing() -> None:
    space = small_space(5)
    bars = market([100.0] * 500)
    assert assert_screen_equals_exact(bars, space, small_combos(space, 3, 30), Costs()) == 0


def test_averages_that_meet_only_within_float32_are_decided_in_float64() -> None:
    """Steps of 1e-6 around 1000 vanish in float32: every point is a tie there, and the sides still come out right."""
    rng = np.random.default_rng(5)
    bars = market([1000.0 + 1e-6 * step for step in rng.integers(-10, 11, 3000)])
    assert (bars.close.astype(np.float32) == np.float32(1000)).all()
    space = small_space(5)
    assert assert_screen_equals_exact(bars, space, small_combos(space, 5, 40), Costs(0.0, 0.0)) > 1000


@pytest.mark.parametrize("length", [63, 64, 65, 128, 640])
def test_sides_that_are_kept_over_whole_blocks_turn_on_their_edges_too(length: int) -> None:
    """Sides are compared 64 points at a time; on these steps one average lies wholly above the other in most blocks."""
    levels = 1000.0 * np.cumprod(np.random.default_rng(length).choice([0.9, 1.1], 6400 // length + 4))
    bars = market(list(np.repeat(levels, length)))
    space = small_space(5, leverage=1.0)
    combos = small_combos(space, length, 60)
    combos[:, [api.STOP_LOSS, api.TAKE_PROFIT]] = 3000, 0
    assert assert_screen_equals_exact(bars, space, combos, Costs()) > 100


def test_the_first_side_is_no_cross_wherever_in_a_block_it_stands() -> None:
    """Slow averages of 60 to 70 bars become valid on both sides of the edge of the first 64 points, and on it."""
    bars = random_market(4, 600, 5, gaps=0.0)
    space = small_space(5).model_copy(update={"slow_period": (60, 70)})
    combos = small_combos(space, 4, 88)
    combos[:, api.SLOW_PERIOD] = np.repeat(np.arange(60, 71), 8)
    combos[:, api.SLOW_TF], combos[:, api.FAST_TF] = 5, 5
    combos[:, api.DIRECTION] = 0
    assert assert_screen_equals_exact(bars, space, combos, Costs()) > 500


@pytest.mark.parametrize("scale", [1e-7, 1e-3, 1e6])
def test_prices_of_any_size_are_decided_alike(scale: float) -> None:
    bars = random_market(9, 1500, 15)
    scaled = replace(bars, **{name: getattr(bars, name) * scale for name in ("open", "high", "low", "close")})
    space = small_space(15)
    assert assert_screen_equals_exact(scaled, space, small_combos(space, 9, 40), Costs()) > 1000


def test_ruin_at_a_fill_ends_the_trading_on_both_sides() -> None:
    space = small_space(60, leverage=3.0)
    bars = random_market(3, 1500, 60, level=8)  # steps of a quarter of the price: opens jump far beyond the stops
    combos = small_combos(space, 3, 60)
    screened = cpu.screen(cpu.prepare(bars, space), combos, Costs(), space.leverage)
    assert (screened.total_return == -1.0).sum() > 20
    assert_screen_equals_exact(bars, space, combos, Costs())


def test_ruin_at_a_daily_mark_ends_the_trading() -> None:
    """With a stop wider than 1 / leverage equity can be gone at a close: both see it where that close ends a day."""
    closes = [100.0, 99.0, 101.0, 101.0, 80.0, 80.0, 120.0, 60.0, 120.0, 60.0]
    bars = market(closes, minutes=1440)
    space = small_space(1440, leverage=10.0)
    combos = api.combos_of([Params(1440, 1, 1440, 2, 0.25, 0.0, 0.0, "long")])
    screened = cpu.screen(cpu.prepare(bars, space), combos, Costs(), space.leverage)
    backtest = exact.simulate(bars, Params.from_row(combos[0]), Costs(), space.leverage)
    assert (screened.trades.tolist(), screened.total_return.tolist()) == ([1], [-1.0])
    assert (len(backtest.trades), backtest.equity[-1]) == (1, 0.0)


def test_exactly_nothing_left_at_a_daily_mark_is_ruin() -> None:
    lost = (99.0, 150.0, 99.0, 150.0)
    bars = market([100.0, 101.0, 99.0, (100.0, 100.0, 99.0, 99.0), lost, 120.0, 90.0], minutes=1440)
    space = small_space(1440).model_copy(update={"stop_loss": (1, 9000)})
    combos = api.combos_of([Params(1440, 1, 1440, 2, 0.6, 0.0, 0.0, "short")])
    screened = cpu.screen(cpu.prepare(bars, space), combos, Costs(0.0, 0.0), space.leverage)
    backtest = exact.simulate(bars, Params.from_row(combos[0]), Costs(0.0, 0.0), space.leverage)
    assert screened.total_return.tolist() == [-1.0]  # short of 100 at twice the equity, marked at 150
    assert (screened.trades.tolist(), len(backtest.trades), backtest.equity[-1]) == ([1], 1, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("symbol", ["SOLUSDT", "BTCUSDT"])
@pytest.mark.parametrize("gap", [False, True], ids=["gap-free", "with the halt"])
def test_on_real_candles_every_demand_is_met_and_every_trade_is_equal(
    market_data: Path, symbol: str, mode: str, gap: bool
) -> None:
    everything = candles(market_data, symbol)
    bars = around_widest_gap(everything, 150) if gap else everything.last_days(150)
    assert bars is not None
    found = parity(cpu.prepare(bars, space_for(mode)), 400, seed=17, min_trades=5)
    assert found.missing_bars == (16 if gap else 0)
    assert found.failures() == []
    assert found.trades > 5000
    assert (found.trade_counts_equal, found.trades_equal, found.top_kept) == (1.0, 1.0, found.top)
    assert found.sharpe_difference["1.0"] < 1e-9
