"""The score of a trial against its definition, computed plainly."""

import math
from itertools import pairwise

import numpy as np
import pytest

from btswarm.engine.bars import Bars
from btswarm.engine.costs import Costs
from btswarm.engine.kernels import exact
from btswarm.engine.metrics import metrics, sharpe
from btswarm.engine.neighbourhood import FOLDS, NEIGHBOURS, Evaluator, fold_sharpes, median, offsets
from btswarm.engine.strategies import mtf_ema
from btswarm.engine.strategies.api import Params

from .conftest import MODE

SPACE = mtf_ema.space_for(MODE)
COSTS = Costs()


@pytest.fixture(scope="module")
def evaluator(bars: Bars) -> Evaluator:
    return Evaluator.prepare(bars, SPACE, COSTS, 30)


def defined(bars: Bars, row: np.ndarray, min_trades: int) -> float:
    """The score as it is defined: every one of the 65 simulated exactly."""
    values = []
    for one in [row, *mtf_ema.neighbours(SPACE, row, offsets())]:
        found = metrics(exact.simulate(bars, Params.from_row(one), COSTS, SPACE.leverage))
        usable = mtf_ema.faster(one[None, :])[0] and found["total_trades"] >= min_trades
        values.append(found["sharpe"] if usable and not math.isnan(found["sharpe"]) else -math.inf)
    middle = sorted(values)[NEIGHBOURS // 2]
    return middle if math.isfinite(middle) else math.nan


def test_the_score_is_the_median_sharpe_of_the_neighbourhood_simulated_one_by_one(
    bars: Bars, evaluator: Evaluator
) -> None:
    for row in mtf_ema.draw(SPACE, 2, 0, 6):
        found = evaluator.evaluate(row)
        assert found.score == pytest.approx(defined(bars, row, 30), abs=1e-9, nan_ok=True)
        assert found.metrics == pytest.approx(metrics(evaluator.simulate(row)), nan_ok=True)


def test_a_neighbour_that_breaks_the_order_of_the_emas_is_worthless(bars: Bars, evaluator: Evaluator) -> None:
    row = Params(60, 19, 60, 20, 0.05, 0.1, 0.0, "both").to_row()
    around = mtf_ema.neighbours(SPACE, row, offsets())
    assert 0 < np.count_nonzero(mtf_ema.faster(around)) < NEIGHBOURS
    score = evaluator.evaluate(row).score
    assert score == pytest.approx(defined(bars, row, 30), abs=1e-9)
    all_of_them = [sharpe(evaluator.simulate(one).daily_returns()) for one in [row, *around]]
    assert score < median(np.array(all_of_them)) - 1e-6, "without that rule it would be another"


def test_where_most_neighbours_have_too_few_trades_there_is_no_score(bars: Bars) -> None:
    demanding = Evaluator.prepare(bars, SPACE, COSTS, 100_000)
    assert math.isnan(demanding.evaluate(mtf_ema.draw(SPACE, 2, 0, 1)[0]).score)


def test_offsets_are_64_different_points_centred_on_the_point_itself() -> None:
    found = offsets()
    assert found.shape == (NEIGHBOURS, 5)
    assert np.all(np.abs(found) < 1)
    assert np.allclose(found.mean(axis=0), 0)
    assert all(len(set(column)) == NEIGHBOURS for column in found.T.tolist())
    assert found[:3].tolist() == [
        [-0.984375] * 5,
        [0.015625] * 5,
        [0.515625, -0.484375, -0.484375, -0.484375, 0.515625],
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0, 1.0, 2.0], 2.0), ([math.nan, 1.0, 2.0], 1.0), ([math.nan, math.nan, 2.0], math.nan), ([-1.0] * 3, -1.0)],
)
def test_an_undefined_sharpe_is_the_worst_of_all(values: list[float], expected: float) -> None:
    assert median(np.array(values)) == pytest.approx(expected, nan_ok=True)


def test_folds_are_slices_of_one_runs_days_the_first_ones_longer() -> None:
    r = np.random.default_rng(0).normal(0, 0.01, 103)
    edges = [0, 21, 42, 63, 83, 103]
    expected = [sharpe(r[start:stop]) for start, stop in pairwise(edges)]
    assert fold_sharpes(r) == expected
    assert len(fold_sharpes(r[:3])) == FOLDS
    assert all(math.isnan(fold) for fold in fold_sharpes(np.zeros(50)))


@pytest.mark.parametrize(
    ("trades", "drawdown", "feasible"), [(30, 0.6, True), (29, 0.1, False), (500, 0.6000001, False), (0, 0.0, False)]
)
def test_a_point_needs_its_trades_and_must_stay_inside_the_modes_drawdown(
    evaluator: Evaluator, trades: int, drawdown: float, feasible: bool
) -> None:
    violations = evaluator.violations({"total_trades": trades, "max_drawdown_daily": drawdown})
    assert all(value <= 0 for value in violations.values()) == feasible
