"""Every figure of `validation.json` worked out again, from exact runs of all combos over the training days."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import norm

from btswarm.engine import validate
from btswarm.engine.artifacts import read_model
from btswarm.engine.backtest import Backtest
from btswarm.engine.bars import Floats, Ints
from btswarm.engine.costs import Costs
from btswarm.engine.kernels.exact import simulate
from btswarm.engine.metrics import jsonable, metrics, sharpe
from btswarm.engine.progress import Silent
from btswarm.engine.split import split
from btswarm.engine.strategies import mtf_ema
from btswarm.engine.strategies.api import Params
from btswarm.engine.validation import cpcv, sections, walk_forward
from btswarm.engine.validation.block_statistics import block_sums, edges
from btswarm.engine.validation.concentration import best_share
from btswarm.engine.validation.cost_stress import break_even
from btswarm.engine.validation.monte_carlo import bootstrap
from btswarm.engine.validation.pbo import pbo_cscv
from btswarm.engine.validation.plateau import offsets
from btswarm.engine.validation.ruin import ruin_with_uncertainty
from btswarm.engine.validation.sharpe_ratio import Moments
from btswarm.engine.validation.thresholds import TABLE, judge
from btswarm.engine.validation.trade_shuffle import shuffled_drawdowns
from btswarm.state.models.validation import Figure, Section, Validation

from .case import COMBOS, COSTS, SPACE, best_of, job_for, market

BARS = market()
CUT = split(BARS)
TRAINING = CUT.training(BARS)
PATHS = 50
LEAST = 200  # trades a combo must have: the market is lively, and some of its combos shall not count


def run_of(params: Params, costs: Costs = COSTS) -> Backtest:
    return simulate(TRAINING, params, costs, SPACE.leverage)


@dataclass(frozen=True)
class Worked:
    """The usable combos: r float64 [K, D], days of exit per combo; and the candidate's own run."""

    r: Floats
    exits: list[Ints]
    own: Backtest

    def blocks(self, bounds: Ints) -> tuple[Floats, np.ndarray]:
        """Sums float64 [K, B, 4] and trades int32 [K, B]."""
        trades = [np.histogram(one, bins=[*bounds[:-1], bounds[-1] + 1])[0] for one in self.exits]
        return np.stack([block_sums(row, bounds) for row in self.r]), np.array(trades, dtype=np.int32)


@pytest.fixture(scope="module")
def worked() -> Worked:
    first = int(TRAINING.day[0])
    runs = [run_of(Params.from_row(row)) for row in mtf_ema.draw(SPACE, 0, 0, COMBOS)]
    usable = [run for run in runs if len(run.trades) >= LEAST]
    assert 0 < len(usable) < COMBOS, "the sample has combos that do not count"
    r = np.stack([run.daily_returns() for run in usable])
    return Worked(r, [TRAINING.day[run.trades["exit"]] - first for run in usable], run_of(best_of(TRAINING)))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Validation:
    job = job_for(tmp_path_factory.mktemp("figures"), BARS, paths=PATHS)
    (path,) = validate.run(job.model_copy(update={"min_trades": LEAST}), BARS, Silent())
    return read_model(path, Validation)


def values(section: Section, *names: str) -> list[float | None]:
    return [section.figures[name].value for name in names]


def near(*expected: float) -> list[object]:
    return [None if math.isnan(value) else pytest.approx(value, rel=1e-6, abs=1e-9) for value in expected]


def moments(r: Floats) -> tuple[float, float, float]:
    """Sharpe ratio per day, skew, kurtosis (3 for a normal)."""
    z = (r - r.mean()) / r.std()
    return float(r.mean() / r.std(ddof=1)), float((z**3).mean()), float((z**4).mean())


def test_the_sample_is_what_was_screened_with_enough_trades(found: Validation, worked: Worked) -> None:
    assert (found.sample.combos, found.sample.usable) == (COMBOS, len(worked.r))
    assert found.training == jsonable(metrics(worked.own))


def test_the_sharpe_ratio_and_what_it_is_worth(found: Validation, worked: Worked) -> None:
    r = worked.own.daily_returns()
    sr, skew, kurtosis = moments(r)
    one = 1 - skew * sr + (kurtosis - 1) / 4 * sr**2
    error = math.sqrt(one / (len(r) - 1))
    assert sr > 0
    names = ("sharpe", "standard_error", "probability", "skew", "kurtosis", "days_had", "days_needed")
    year, needed = math.sqrt(365), 1 + one * (norm.ppf(0.95) / sr) ** 2
    assert values(found.sharpe, *names) == near(
        sharpe(r), error * year, norm.cdf(sr / error), skew, kurtosis, len(r), needed
    )


def test_the_deflated_sharpe_ratio_rests_on_the_spread_and_the_likeness_of_the_sample(
    found: Validation, worked: Worked
) -> None:
    observed = worked.own.daily_returns()
    sr, skew, kurtosis = moments(observed)
    sharpes = worked.r.mean(axis=1) / worked.r.std(axis=1, ddof=1)
    spread = max(float(np.var(sharpes, ddof=1)), 1 / (len(observed) - 1))
    eigen = np.linalg.eigvalsh(np.corrcoef(worked.r))[::-1]
    components = int(np.argmax(np.cumsum(eigen) >= 0.95 * eigen.sum())) + 1
    trials = max(50, components)
    best = (1 - np.euler_gamma) * norm.ppf(1 - 1 / trials) + np.euler_gamma * norm.ppf(1 - 1 / (trials * math.e))
    beat = max(0.0, float(sharpes.mean())) + math.sqrt(spread) * best
    error = math.sqrt((1 - skew * sr + (kurtosis - 1) / 4 * sr**2) / (len(observed) - 1))
    names = ("probability", "sharpe_to_beat", "effective_trials", "variance_of_trials", "combos_tried")
    assert values(found.deflated_sharpe, *names) == near(
        norm.cdf((sr - beat) / error), beat * math.sqrt(365), trials, spread, COMBOS
    )
    assert components < 50, "so that the floor is what counts here"


def test_a_sample_that_spreads_widely_and_earns_on_average_sets_a_higher_bar() -> None:
    observed = Moments(n=401, sr=0.15, skew=0.0, kurtosis=3.0)
    sharpes = np.array([-0.1, 0.0, 0.05, 0.1, 0.2])
    section = sections.of_deflated_sharpe(observed, sharpes, 80, 7)
    spread = ((sharpes - 0.05) ** 2).sum() / 4
    best = (1 - np.euler_gamma) * norm.ppf(1 - 1 / 80) + np.euler_gamma * norm.ppf(1 - 1 / (80 * math.e))
    beat = 0.05 + math.sqrt(spread) * best
    names = ("probability", "sharpe_to_beat", "effective_trials", "variance_of_trials", "combos_tried")
    assert values(section, *names) == near(
        norm.cdf((0.15 - beat) / math.sqrt((1 + 0.5 * 0.15**2) / 400)), beat * math.sqrt(365), 80, spread, 7
    )


def test_overfitting_over_the_sixteen_blocks(found: Validation, worked: Worked) -> None:
    bounds = edges(worked.r.shape[1], 16)
    expected = pbo_cscv(worked.blocks(bounds)[0], np.diff(bounds))
    names = ("pbo", "prob_loss", "slope", "intercept", "splits", "combos")
    assert values(found.pbo, *names) == near(
        expected.pbo, expected.prob_loss, expected.slope, expected.intercept, math.comb(16, 8), len(worked.r)
    )
    assert found.pbo.logits is not None
    assert sum(found.pbo.logits.counts) == math.comb(16, 8)


@pytest.mark.parametrize("anchored", [False, True])
def test_walk_forward_over_the_nine_slices(found: Validation, worked: Worked, anchored: bool) -> None:
    bounds = edges(worked.r.shape[1], 9)
    sums, trades = worked.blocks(bounds)
    expected = walk_forward.walk_forward(sums, trades, bounds, anchored=anchored, min_trades=LEAST)
    section = found.walk_forward_anchored if anchored else found.walk_forward_rolling
    names = ("efficiency", "sharpe", "annual_return", "trades", "positive_folds")
    assert values(section, *names) == near(
        expected.efficiency, expected.sharpe, expected.test_return, expected.test_trades, expected.positive_folds
    )
    first = np.datetime64("1970-01-01") + int(TRAINING.day[0])
    for fold, one in zip(section.folds, expected.folds, strict=True):
        assert (fold.train_from, fold.test_from) == (str(first + one.train_first), str(first + one.test_first))
        assert (fold.train_to, fold.test_to) == (str(first + one.test_first - 1), str(first + one.test_stop - 1))
        assert (fold.params is None) == (one.chosen is None)


def test_the_two_walk_forwards_differ(found: Validation) -> None:
    rolling, anchored = found.walk_forward_rolling, found.walk_forward_anchored
    assert rolling.folds[1].train_from != anchored.folds[1].train_from
    assert "rolling" in rolling.method
    assert "anchored" in anchored.method


def test_cross_validation_over_pairs_of_blocks(found: Validation, worked: Worked) -> None:
    bounds = edges(worked.r.shape[1], 16)
    paths = cpcv.path_sharpes(*worked.blocks(bounds), np.diff(bounds), 2, LEAST)
    names = ("paths", "sharpe_p05", "sharpe_p50", "sharpe_p95", "share_negative")
    assert np.isfinite(paths).all()
    assert values(found.cross_validation, *names) == near(
        15, *np.quantile(paths, (0.05, 0.5, 0.95)), float(np.mean(paths < 0))
    )


def test_the_bootstrap_and_the_order_of_the_trades(found: Validation, worked: Worked) -> None:
    drawn = bootstrap(worked.own.daily_returns(), PATHS, 0)
    for part, column in (
        ("sharpe", drawn.sharpe),
        ("total_return", drawn.total_return),
        ("annual_return", drawn.annual_return),
        ("max_drawdown", drawn.max_drawdown),
    ):
        names = [f"{part}_p{q}" for q in ("05", "50", "95")]
        assert values(found.monte_carlo, *names) == near(*np.quantile(column, (0.05, 0.5, 0.95)))
    assert values(found.monte_carlo, "paths", "block_days", "share_losing") == near(
        PATHS, drawn.block, float(np.mean(drawn.total_return <= 0))
    )
    net = worked.own.trades["net_return"]
    equity = np.cumprod(1 + net)
    own = float(np.max(1 - equity / np.maximum(np.maximum.accumulate(equity), 1)))
    orders = shuffled_drawdowns(net, PATHS, 0)
    order_names = ("observed", "max_drawdown_p50", "max_drawdown_p95", "share_at_least_observed")
    share = float(np.mean(orders >= own - 1e-12))
    assert values(found.trade_order, *order_names) == near(own, *np.quantile(orders, (0.5, 0.95)), share)


def test_concentration_costs_and_ruin(found: Validation, worked: Worked) -> None:
    walked, held = found.walk_forward_rolling.figures["trades"].value, found.holdout.figures["total_trades"].value
    assert walked is not None
    assert held is not None
    assert walked != held
    net = worked.own.trades["net_return"]
    assert values(found.concentration, "training_trades", "later_trades", "best_five_share") == near(
        len(net), max(walked, held), best_share(net)
    )
    params = best_of(TRAINING)
    assert values(found.cost_stress, "break_even_per_side", "assumed_per_side") == near(
        break_even(TRAINING, params, COSTS, SPACE.leverage)[0], COSTS.fee + COSTS.slippage
    )
    rows = {row.multiple: row.metrics for row in found.cost_stress.rows}
    assert rows[2.0] == jsonable(metrics(run_of(params, COSTS.times(2.0))))
    assert values(found.ruin, "probability_of_losing_half_in_a_year") == near(
        ruin_with_uncertainty(worked.own.daily_returns(), 0.5, 1.0, PATHS, 0)
    )


def test_the_plateau(found: Validation, worked: Worked) -> None:
    params = best_of(TRAINING)
    around = mtf_ema.neighbours(SPACE, params.to_row(), offsets())
    runs = [run_of(Params.from_row(row)) for row in around]
    counts = mtf_ema.faster(around) & np.array([len(run.trades) >= LEAST for run in runs])
    sharpes = np.where(counts, [sharpe(run.daily_returns()) for run in runs], -np.inf)
    own, median = sharpe(worked.own.daily_returns()), float(np.median(sharpes))
    names = ("neighbours", "usable", "own_sharpe", "median_sharpe", "median_ratio", "share_positive")
    assert values(found.plateau, *names) == near(
        256, int(counts.sum()), own, median, median / own, float(np.mean(sharpes > 0))
    )


def test_the_holdout_at_the_costs_and_at_twice_the_costs(found: Validation) -> None:
    start, stop = CUT.holdout_range(BARS)
    once, twice = (
        metrics(simulate(BARS.slice(0, stop), best_of(TRAINING), costs, SPACE.leverage, trade_from=start))
        for costs in (COSTS, Costs(2 * COSTS.fee, 2 * COSTS.slippage))
    )
    assert once["sharpe"] != twice["sharpe"]
    names = ("sharpe", "total_return", "max_drawdown", "total_trades", "sharpe_at_twice_the_costs")
    assert values(found.holdout, *names) == near(*(once[name] for name in names[:4]), twice["sharpe"])
    assert found.holdout.metrics == jsonable(once)
    assert found.holdout.metrics_at_twice_the_costs == jsonable(twice)


# the gates, as the certificate's page lists them: figure -> the worst value that passes, and whether less is better

ALPHA = 0.0075
GATES = {
    "certificate.adjusted": (ALPHA, True),
    "p_holdout": (0.25, True),
    "holdout.sharpe_at_twice_the_costs": (math.nextafter(0.0, 1.0), False),
    "concentration.training_trades": (30, False),
    "concentration.later_trades": (30, False),
    "concentration.best_five_share": (0.5, True),
    "plateau.median_ratio": (0.7, False),
    "plateau.share_positive": (0.9, False),
    "deflated_sharpe.probability": (0.9, False),
    "pbo.pbo": (0.6, True),
    "monte_carlo.max_drawdown_p95": (0.45, True),
}


def passed(figures: dict[str, Figure]) -> dict[str, bool]:
    return {gate.figure: gate.passed for gate in judge(figures, 0.45, ALPHA)}


def test_each_gate_passes_at_its_limit_and_not_beyond() -> None:
    assert {one.figure for one in TABLE} == GATES.keys()
    at = {name: Figure(value=limit) for name, (limit, _) in GATES.items()}
    assert passed(at) == dict.fromkeys(GATES, True)
    for name, (limit, less_is_better) in GATES.items():
        beyond = math.nextafter(limit, math.inf if less_is_better else -math.inf)
        assert passed(at | {name: Figure(value=beyond)}) == {other: other != name for other in GATES}
        assert passed(at | {name: Figure(value=None, reason="undefined")})[name] is False


def test_the_gates_judge_the_figures_that_are_shown(found: Validation) -> None:
    for gate in found.gates:
        section, _, name = gate.figure.rpartition(".")
        shown = getattr(found, section).figures[name] if section else getattr(found, name)
        assert gate.value == shown.value
        _, less_is_better = GATES[gate.figure]
        limit = 0.04 if gate.figure == "certificate.adjusted" else GATES[gate.figure][0]
        expected = gate.value is not None and (gate.value <= limit if less_is_better else gate.value >= limit)
        assert gate.passed == expected
