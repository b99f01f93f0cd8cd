"""The compiled simulator does what the definition in plain Python does, to the last bit, whatever the input."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from btswarm.engine.backtest import REASONS, Backtest
from btswarm.engine.bars import Bars
from btswarm.engine.costs import Costs
from btswarm.engine.kernels import exact, reference
from btswarm.engine.strategies.api import Direction, Params
from btswarm.state.errors import BadConfig

from ..market import ms, walk
from .drawn import LEVERAGES, configurations, costs_of_any_kind, markets, random_market
from .markets import FREE, same_bits
from .real import candles, days_from


def assert_same(bars: Bars, params: Params, costs: Costs, leverage: float, trade_from: int = 0) -> Backtest:
    one = reference.simulate(bars, params, costs, leverage, trade_from=trade_from)
    other = exact.simulate(bars, params, costs, leverage, trade_from=trade_from)
    assert same_bits(one, other), f"{params} {costs} leverage {leverage} from {trade_from}"
    return other


def random_params(rng: np.random.Generator) -> Params:
    """Over all parameters, wider than any mode: exits off or on, short periods too, so that a month has trades."""

    def exit_of(most: int) -> float:
        return 0.0 if rng.random() < 0.35 else int(rng.integers(10, most)) / 10_000

    directions: tuple[Direction, ...] = ("both", "long", "short")
    return Params(
        fast_tf=int(rng.choice([5, 15, 30, 45, 60])),
        fast_period=int(rng.integers(1, 30)),
        slow_tf=int(rng.choice([15, 60, 120, 240, 360])),
        slow_period=int(rng.integers(2, 60)),
        stop_loss=exit_of(800),
        take_profit=exit_of(2500),
        trailing_stop=exit_of(800),
        direction=directions[rng.integers(3)],
    )


def random_costs(rng: np.random.Generator) -> Costs:
    funding = float(rng.choice([0.0, 0.0, 0.0001, -0.0003, 0.01]))
    return Costs(
        fee=float(rng.choice([0.0, 0.0005, 0.002])), slippage=float(rng.choice([0.0, 0.0002])), funding=funding
    )


@pytest.mark.slow
@pytest.mark.parametrize("symbol", ["SOLUSDT", "BTCUSDT"])
@pytest.mark.parametrize("start", ["2023-03-12T01:35", "2023-03-24T00:00", "2024-11-02T22:10"])
def test_on_real_candles_over_all_parameters(market_data: Path, symbol: str, start: str) -> None:
    """60 configurations each: 360 in all, 240 of them over the halt of 2023-03-24."""
    bars = days_from(candles(market_data, symbol), start, 16)
    assert (np.diff(bars.time).max() > bars.base_ms) == start.startswith("2023")
    rng = np.random.default_rng([ms(start) // 60_000, len(symbol) + ord(symbol[0])])
    reasons: set[int] = set()
    sides: set[int] = set()
    for _ in range(60):
        leverage = float(rng.choice([1, 2, 3, 5, 10, 20]))
        trade_from = int(rng.choice([0, 0, 1, 777, len(bars) // 2]))
        backtest = assert_same(bars, random_params(rng), random_costs(rng), leverage, trade_from)
        reasons |= set(backtest.trades["reason"].tolist())
        sides |= set(backtest.trades["side"].tolist())
    assert {REASONS[reason] for reason in reasons} >= {"signal", "stop", "take", "end"}
    assert sides == {-1, 1}


@settings(max_examples=1000, deadline=None)
@given(data=st.data(), bars=markets(), costs=costs_of_any_kind(), leverage=LEVERAGES)
def test_on_random_small_markets(data: st.DataObject, bars: Bars, costs: Costs, leverage: float) -> None:
    params = data.draw(configurations(bars.base_minutes))
    trade_from = data.draw(st.one_of(st.just(0), st.integers(0, len(bars))))
    assert_same(bars, params, costs, leverage, trade_from)


def test_the_random_small_markets_reach_every_reason_and_exits_of_every_kind() -> None:
    """The property test above is worth something: its markets do hold what can go wrong."""
    rng = np.random.default_rng(0)
    seen: set[tuple[str, bool]] = set()
    same_bar = ruined = 0
    for seed in range(150):
        bars = random_market(seed, 200, 60, gaps=0.05, level=12)
        stop, take, trail = (int(rng.choice([0, 500, 1500])) / 10_000 for _ in range(3))
        params = Params(60, 1, 60 * int(rng.integers(1, 4)), int(rng.integers(1, 4)), stop, take, trail, "both")
        backtest = assert_same(bars, params, FREE, float(rng.choice([1.0, 20.0])))
        seen |= {(REASONS[one["reason"]], bool(one["at_open"])) for one in backtest.trades}
        same_bar += int((backtest.trades["entry"] == backtest.trades["exit"]).sum())
        ruined += int((backtest.trades["net_return"] == -1).sum())
    everywhere = {(reason, at_open) for reason in ("stop", "take") for at_open in (True, False)}
    assert seen == everywhere | {("signal", True), ("end", False), ("ruin", False)}
    assert same_bar > 50
    assert ruined > 20


@settings(max_examples=200, deadline=None)
@given(bars=markets(least=3), data=st.data())
def test_the_last_bars_can_be_cut_off_without_changing_the_past(bars: Bars, data: st.DataObject) -> None:
    params = data.draw(configurations(bars.base_minutes))
    kept = data.draw(st.integers(2, len(bars) - 1))
    whole = exact.simulate(bars, params, Costs(), 1.0).trades
    cut = exact.simulate(bars.slice(0, kept), params, Costs(), 1.0).trades
    before = whole[whole["exit"] < kept - 1]
    assert cut[: len(before)].tobytes() == before.tobytes()
    assert len(cut) <= len(whole[whole["entry"] < kept])


@settings(max_examples=200, deadline=None)
@given(bars=markets(), data=st.data(), leverage=LEVERAGES, costs=costs_of_any_kind())
@example(bars=random_market(1, 1, 5), data=None, leverage=1.0, costs=FREE)
def test_equity_is_what_its_trades_make_of_it(
    bars: Bars, data: st.DataObject | None, leverage: float, costs: Costs
) -> None:
    params = data.draw(configurations(bars.base_minutes)) if data else Params(5, 1, 5, 2, 0.0, 0.0, 0.0, "both")
    backtest = exact.simulate(bars, params, costs, leverage)
    assert backtest.equity[-1] == pytest.approx(np.prod(1.0 + backtest.trades["net_return"]), rel=1e-9, abs=1e-12)
    assert (backtest.equity >= 0).all()
    assert (backtest.trades["entry"][1:] >= backtest.trades["exit"][:-1]).all()
    assert np.prod(1.0 + backtest.daily_returns()) == pytest.approx(backtest.equity[-1], rel=1e-9, abs=1e-12)
    assert len(backtest.day) == len(set(bars.day.tolist()))


@pytest.mark.parametrize("simulator", [reference.simulate, exact.simulate])
@pytest.mark.parametrize("fast_tf", [7, 12])
def test_a_timeframe_that_does_not_fit_is_refused(simulator: object, fast_tf: int) -> None:
    with pytest.raises(BadConfig, match=f"timeframe {fast_tf} is no multiple"):
        simulator(walk(days=1), Params(fast_tf, 5, 60, 20, 0.0, 0.0, 0.0, "both"), FREE, 1.0)  # type: ignore[operator]


def test_two_runs_give_the_same_bytes() -> None:
    bars, params = walk(days=20, seed=3), Params(15, 5, 60, 20, 0.01, 0.02, 0.01, "both")
    one, other = (exact.simulate(bars, params, Costs(), 3.0) for _ in range(2))
    assert len(one.trades) > 10
    assert same_bits(one, other)
