"""Costs scaled, and the cost at which nothing is left; neighbours simulated."""

import math

import numpy as np
import pytest

from btswarm.engine.costs import Costs
from btswarm.engine.kernels.exact import simulate
from btswarm.engine.metrics import metrics, sharpe
from btswarm.engine.split import split
from btswarm.engine.strategies import mtf_ema
from btswarm.engine.strategies.api import Params
from btswarm.engine.validation.cost_stress import MULTIPLES, at_multiples, break_even
from btswarm.engine.validation.plateau import offsets, plateau

from .case import COSTS, SPACE, best_of, market

BARS = split(market()).training(market())
PARAMS = best_of(BARS)


def test_each_row_is_the_exact_run_at_that_multiple_and_more_costs_leave_less() -> None:
    rows = at_multiples(BARS, PARAMS, COSTS, SPACE.leverage)
    assert [row.multiple for row in rows] == list(MULTIPLES)
    found = [row.metrics["total_return"] for row in rows if row.metrics]
    assert len(found) == len(MULTIPLES)
    assert found == sorted(found, reverse=True)
    assert found[2] == metrics(simulate(BARS, PARAMS, COSTS, SPACE.leverage))["total_return"]


def test_costs_at_which_a_stop_would_be_refused_give_a_row_that_says_so() -> None:
    rows = at_multiples(BARS, PARAMS, Costs(0.0005, 0.004), SPACE.leverage)
    assert rows[-1].metrics is None
    assert "not more than twice the slippage" in rows[-1].reason
    assert rows[0].metrics is not None


def test_at_the_break_even_cost_nothing_is_left() -> None:
    cost, reason = break_even(BARS, PARAMS, COSTS, SPACE.leverage)
    assert reason == ""
    left = simulate(BARS, PARAMS, Costs(cost, 0.0), SPACE.leverage).equity[-1] - 1
    assert left == pytest.approx(0.0, abs=1e-3)
    below = simulate(BARS, PARAMS, Costs(cost - 1e-6, 0.0), SPACE.leverage).equity[-1] - 1
    above = simulate(BARS, PARAMS, Costs(cost + 1e-6, 0.0), SPACE.leverage).equity[-1] - 1
    assert above < 0 < below


def test_what_loses_without_costs_or_never_trades_has_no_break_even_cost() -> None:
    runs = {}
    for row in mtf_ema.draw(SPACE, 1, 0, 60):
        params = Params.from_row(row)
        runs[params] = simulate(BARS, params, Costs(0, 0), SPACE.leverage).equity[-1] - 1
    worst = min(runs, key=lambda one: runs[one])
    cost, reason = break_even(BARS, worst, COSTS, SPACE.leverage)
    assert math.isnan(cost)
    assert reason == "it earns nothing even without costs"
    cost, reason = break_even(BARS.slice(0, 12), PARAMS, COSTS, SPACE.leverage)
    assert math.isnan(cost)
    assert reason == "it does not trade"


def test_the_plateau_is_made_of_exact_runs_of_the_neighbours() -> None:
    found = plateau(BARS, SPACE, PARAMS, COSTS, 30)
    around = mtf_ema.neighbours(SPACE, PARAMS.to_row(), offsets())
    for number in (0, 17, 255):
        run = simulate(BARS, Params.from_row(around[number]), COSTS, SPACE.leverage)
        expected = sharpe(run.daily_returns()) if len(run.trades) >= 30 else math.nan
        assert np.isclose(found.sharpes[number], expected, equal_nan=True)
    assert found.own == sharpe(simulate(BARS, PARAMS, COSTS, SPACE.leverage).daily_returns())
    assert 0 <= found.share_positive <= 1


def test_a_neighbour_with_too_few_trades_is_worthless() -> None:
    found = plateau(BARS, SPACE, PARAMS, COSTS, 10_000)
    assert np.all(np.isnan(found.sharpes))
    assert found.share_positive == 0
    assert math.isnan(found.median_ratio)
