"""What the page computes beyond the metrics."""

import math

import numpy as np
import pytest

from btswarm.engine.metrics import sharpe
from btswarm.engine.tearsheet.figures import compounded, drawdown, matched, months, rolling_sharpe, trade_stats

from .helpers import trade


def test_drawdown_is_counted_from_a_peak_that_includes_the_start() -> None:
    assert drawdown(np.array([0.9, 1.2, 0.6, 1.2])) == pytest.approx([-0.1, 0.0, -0.5, 0.0])


def test_the_matched_market_is_the_market_at_full_weight_and_flat_at_none() -> None:
    close = np.array([11.0, 9.9, 19.8])
    assert matched(close, 10.0, 1.0) == pytest.approx(close / 10.0)
    assert matched(close, 10.0, 0.0) == pytest.approx([1.0, 1.0, 1.0])


def test_a_leveraged_market_that_lost_everything_stays_lost() -> None:
    assert matched(np.array([5.0, 50.0]), 10.0, 3.0) == pytest.approx([0.0, 0.0])


def test_rolling_sharpe_is_the_sharpe_of_the_days_before_and_needs_all_of_them() -> None:
    r = np.random.default_rng(1).normal(0, 0.01, 120)
    rolled = rolling_sharpe(r)
    assert np.isnan(rolled[:89]).all()
    assert rolled[89] == pytest.approx(sharpe(r[:90]))
    assert rolled[119] == pytest.approx(sharpe(r[30:120]))


def test_rolling_sharpe_of_days_that_do_not_vary_is_undefined() -> None:
    assert np.isnan(rolling_sharpe(np.zeros(100))).all()
    assert len(rolling_sharpe(np.zeros(3))) == 3


def test_months_compound_to_the_whole() -> None:
    day = np.arange(19_700, 19_900)
    equity = np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.02, 200)))
    found = months(day, equity)
    assert compounded([one.change for one in found]) == pytest.approx(equity[-1] - 1)
    assert [(one.year, one.month) for one in found][:2] == [(2023, 12), (2024, 1)]


def test_a_month_after_ruin_has_no_return() -> None:
    found = months(np.array([19_723, 19_754]), np.array([0.0, 0.0]))
    assert found[0].change == -1.0
    assert math.isnan(found[1].change)


def test_statistics_of_trades_follow_their_definitions() -> None:
    stats = trade_stats([trade(0, 1, 0.1), trade(1, 2, -0.05), trade(2, 4, 0.05, side=-1)])
    assert stats.count == 3
    assert stats.win_rate == pytest.approx(2 / 3)
    assert stats.profit_factor == pytest.approx(3.0)
    assert stats.expectancy == pytest.approx(0.1 / 3)
    assert stats.duration_ms == pytest.approx(4 / 3 * 86_400_000)
    assert stats.concentration == pytest.approx(1.0)


def test_statistics_of_no_trade_are_undefined() -> None:
    assert trade_stats([]).count == 0
    assert math.isnan(trade_stats([]).win_rate)


def test_concentration_is_the_share_of_the_five_best_in_all_gains() -> None:
    assert trade_stats([trade(k, k + 1, 0.01) for k in range(10)]).concentration == pytest.approx(0.5)
