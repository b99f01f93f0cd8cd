"""Metrics of backtests small enough to work by hand, and what is undefined."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.engine.backtest import REASONS, SIGNAL, TRADE, Backtest, trades_as_rows
from btswarm.engine.kernels import exact
from btswarm.engine.metrics import NAMES, annual_return, jsonable, max_drawdown, metrics, sharpe, sortino

from .kernels.markets import FREE, TURN_UP, about, market, params, trades_of
from .market import ms


def traded(*net: float, held: int = 3, at_open: bool = True) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Trades with these net returns, one after the other, each from an open to the open `held` bars later."""
    rows = [(10 * n, 10 * n + held, 1, 100.0, 100.0, value, 0.001, SIGNAL, at_open) for n, value in enumerate(net)]
    return np.array(rows, dtype=TRADE)


def of(equity: list[float], *net: float, bars: int = 100, drawdown: float = 0.0, at_open: bool = True) -> Backtest:
    day = np.arange(len(equity), dtype=np.int64)
    return Backtest(traded(*net, at_open=at_open), day, np.array(equity, dtype=np.float64), drawdown, bars)


EQUITY = [1.1, 0.99, 0.99, 1.089]  # daily returns +10 %, -10 %, 0, +10 %


def test_daily_returns_begin_at_one_and_are_zero_after_ruin() -> None:
    assert of(EQUITY).daily_returns().tolist() == about([0.1, -0.1, 0.0, 0.1])
    assert of([0.5, 0.0, 0.0]).daily_returns().tolist() == [-0.5, -1.0, 0.0]


def test_sharpe_is_the_mean_over_the_sample_deviation_a_year() -> None:
    # mean 0.025, sum of squares 0.03 - 4 * 0.025^2 = 0.0275, / 3
    assert metrics(of(EQUITY))["sharpe"] == about(0.025 / math.sqrt(0.0275 / 3) * math.sqrt(365))


def test_sortino_is_the_mean_over_the_root_mean_square_of_the_losses() -> None:
    assert metrics(of(EQUITY))["sortino"] == about(0.025 / math.sqrt(0.01 / 4) * math.sqrt(365))


def test_returns_in_all_and_a_year() -> None:
    found = metrics(of(EQUITY))
    assert found["total_return"] == about(0.089)
    assert found["annual_return"] == about(1.089 ** (365 / 4) - 1)


def test_the_daily_drawdown_and_calmar() -> None:
    found = metrics(of(EQUITY, drawdown=0.25))
    assert found["max_drawdown_daily"] == about(0.1)
    assert found["max_drawdown"] == 0.25
    assert found["calmar"] == about((1.089 ** (365 / 4) - 1) / 0.1)


def test_a_fall_below_the_start_is_a_drawdown_from_one() -> None:
    assert max_drawdown(np.array([0.9, 0.8, 0.95])) == about(0.2)
    assert max_drawdown(np.array([1.5, 1.2, 1.6, 0.8])) == about(0.5)
    assert max_drawdown(np.empty(0)) == 0.0


def test_trades_counted_won_and_averaged() -> None:
    found = metrics(of(EQUITY, 0.05, -0.02, 0.0, 0.03))
    assert found["total_trades"] == 4
    assert found["win_rate"] == 0.5  # a trade that earns nothing is not won
    assert found["profit_factor"] == about(0.08 / 0.02)
    assert found["expectancy"] == about(0.015)
    assert found["fees_paid"] == about(0.004)


def test_bars_held_end_before_an_exit_at_the_open_and_with_the_bar_of_any_other() -> None:
    at_open = metrics(of(EQUITY, 0.1, -0.1, bars=60))
    assert (at_open["exposure"], at_open["avg_trade_bars"]) == (about(6 / 60), 3.0)
    inside = metrics(of(EQUITY, 0.1, -0.1, bars=60, at_open=False))
    assert (inside["exposure"], inside["avg_trade_bars"]) == (about(8 / 60), 4.0)


def test_without_trades_what_needs_one_is_undefined() -> None:
    found = metrics(of([1.0, 1.0, 1.0]))
    undefined = {name for name, value in found.items() if math.isnan(value)}
    assert undefined == {"win_rate", "sharpe", "sortino", "calmar", "profit_factor", "expectancy", "avg_trade_bars"}
    assert found["total_trades"] == 0
    assert {found[name] for name in set(NAMES) - undefined - {"total_trades"}} == {0.0}


def test_without_a_loss_profit_factor_and_sortino_are_undefined_and_not_infinite() -> None:
    found = metrics(of([1.1, 1.3], 0.1, 0.2))
    assert math.isnan(found["profit_factor"])
    assert math.isnan(found["sortino"])
    assert math.isnan(found["calmar"])
    assert found["win_rate"] == 1.0


def test_with_losses_only_the_profit_factor_is_zero() -> None:
    assert metrics(of([0.9, 0.8], -0.1, -0.1))["profit_factor"] == 0.0


def test_one_day_or_equal_days_have_no_sharpe() -> None:
    assert math.isnan(sharpe(np.array([0.1])))
    assert math.isnan(sharpe(np.empty(0)))
    assert math.isnan(sharpe(np.full(5, 0.1)))
    assert math.isnan(sharpe(np.array([0.25, np.nextafter(0.25, 1), 0.25])))  # else 1e16, and the best of all
    assert sharpe(np.array([0.25, 0.25 + 1e-9])) > 1e9
    assert math.isnan(sortino(np.empty(0)))


def test_ruin_is_a_return_of_minus_one_and_a_drawdown_of_one() -> None:
    found = metrics(of([0.5, 0.0, 0.0], -0.5, -1.0, drawdown=1.0))
    assert (found["total_return"], found["annual_return"], found["max_drawdown_daily"]) == (-1.0, -1.0, 1.0)
    assert found["calmar"] == -1.0


def test_no_days_at_all_leave_everything_undefined_but_the_counts() -> None:
    found = metrics(of([], bars=0))
    assert math.isnan(found["total_return"])
    assert math.isnan(found["annual_return"])
    assert math.isnan(found["exposure"])
    assert found["max_drawdown_daily"] == 0.0


def test_a_return_too_large_for_a_year_is_undefined_and_no_error() -> None:
    assert math.isnan(annual_return(8.0, 1))  # 8^365 is beyond float64
    assert annual_return(1.5, 1) == about(1.5**365 - 1)
    found = metrics(of([48.0, 47.9999999999], 47.0))  # 48^182 is not, but it is when divided by so small a drawdown
    assert math.isfinite(found["annual_return"])
    assert math.isnan(found["calmar"])


def test_json_has_null_for_what_is_undefined_and_whole_numbers_for_counts() -> None:
    found = jsonable(metrics(of([1.0, 1.0])))
    assert tuple(found) == NAMES
    assert found["sharpe"] is None
    assert found["total_return"] == 0.0
    assert isinstance(found["total_trades"], int)
    assert jsonable({"x": math.inf, "y": -math.inf, "z": 1.5}) == {"x": None, "y": None, "z": 1.5}


def test_trades_as_rows_carry_times_of_opens_and_names_of_reasons() -> None:
    bars = market([*TURN_UP, (100, 104, 100, 103)])
    backtest = exact.simulate(bars, params(), FREE, 1.0)
    (row,) = trades_as_rows(backtest.trades, bars)
    start = ms("2024-01-01T00:15")
    assert row == {
        "entry_time": start,
        "exit_time": start,
        "side": 1,
        "entry_price": 100.0,
        "exit_price": 103.0,
        "net_return": trades_of(backtest)[0].net_return,
        "reason": "end",
    }
    assert REASONS == ("signal", "stop", "take", "end", "ruin")


@settings(max_examples=100, deadline=None)
@given(r=st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=40))
def test_sharpe_and_sortino_equal_their_textbook_form(r: list[float]) -> None:
    values = np.array(r)
    spread = math.sqrt(sum((x - sum(r) / len(r)) ** 2 for x in r) / (len(r) - 1))
    if spread > 1e-12:
        assert sharpe(values) == pytest.approx(sum(r) / len(r) / spread * math.sqrt(365), rel=1e-9, abs=1e-9)
    losses = math.sqrt(sum(min(x, 0.0) ** 2 for x in r) / len(r))
    if losses > 1e-12:
        assert sortino(values) == pytest.approx(sum(r) / len(r) / losses * math.sqrt(365), rel=1e-9, abs=1e-9)
