"""All statistics of one candidate in order, each ready for `validation.json`. Nothing here can reach the hold-out.

Notation: r float64 [D], the candidate's daily returns over the training days.
"""

from dataclasses import dataclass
from math import comb

import numpy as np

from ...state.models.validation import CostStress, Pbo, Plateau, Section, WalkForward
from ..backtest import Backtest
from ..bars import Bars, Floats
from ..costs import Costs
from ..metrics import max_drawdown
from ..progress import Reporter
from ..strategies.api import Params
from ..strategies.mtf_ema import Space
from . import cost_stress, cpcv, effective_trials, monte_carlo, pbo, plateau, sections, walk_forward
from .block_statistics import BLOCKS
from .sample import FOR_COMPONENTS, Sample, daily_returns, draw_sample
from .sharpe_ratio import Moments, moments


@dataclass(frozen=True, eq=False)
class Subject:
    """The candidate, the training bars, and what it is judged by. `tried`: combos of the round."""

    training: Bars
    space: Space
    costs: Costs
    params: Params
    min_trades: int
    paths: int
    seed: int
    tried: int
    threads: int = 1


@dataclass(frozen=True)
class FromSample:
    """What rests on the other combos of the round."""

    deflated_sharpe: Section
    pbo: Pbo
    walk_forward_rolling: WalkForward
    walk_forward_anchored: WalkForward
    cross_validation: Section


@dataclass(frozen=True)
class FromCandidate:
    """What rests on the candidate's own run."""

    sharpe: Section
    monte_carlo: Section
    trade_order: Section
    cost_stress: CostStress
    plateau: Plateau
    ruin: Section


def sample_of(subject: Subject, seed: int, size: int, report: Reporter) -> Sample | None:
    """Screen the first `size` combos of the stream `seed`; None when there are fewer training days than blocks."""
    if len(set(subject.training.day.tolist())) < BLOCKS:
        return None
    report.phase("batch", size, "combos")
    return draw_sample(
        subject.training,
        subject.space,
        subject.costs,
        seed,
        size,
        subject.min_trades,
        subject.threads,
        on_batch=lambda done: report.step(done, next_s=10),
    )


def from_sample(
    subject: Subject, sample: Sample | None, observed: Moments, luck: float, report: Reporter
) -> FromSample:
    """Deflated Sharpe ratio, PBO, both walk-forwards, combinatorial cross-validation.

    `luck`: the mean best Sharpe ratio on markets that hold nothing, NaN where none were made.
    """
    if sample is None or len(sample.combos) == 0:
        return _without_sample(subject, observed, sections.TOO_SHORT if sample is None else sections.NO_COMBO)
    report.phase("exact", min(FOR_COMPONENTS, len(sample.combos)), "combos")
    returns = daily_returns(
        subject.training, sample, subject.costs, subject.space.leverage, subject.threads, on_combo=report.step
    )
    components = effective_trials.pca95(returns)
    sums, trades, days = sample.blocks
    report.phase("fold", comb(BLOCKS, BLOCKS // 2), "splits")
    overfit = pbo.pbo_cscv(sums, days, subject.threads, on_splits=report.step) if len(sums) > 1 else None
    rolling, anchored = (_walk_forward(subject, sample, anchored=kind) for kind in (False, True))
    paths = cpcv.path_sharpes(sums, trades, days, sections.TESTED_BLOCKS, subject.min_trades)
    return FromSample(
        sections.of_deflated_sharpe(observed, sample.sharpes, components, subject.tried, luck),
        sections.of_pbo(overfit, len(sums)),
        rolling,
        anchored,
        sections.of_cross_validation(paths),
    )


def from_candidate(subject: Subject, run: Backtest, observed: Moments, report: Reporter) -> FromCandidate:
    """Probabilistic Sharpe ratio, bootstrap, trade order, cost stress, plateau, ruin."""
    r, costs, leverage = run.daily_returns(), subject.costs, subject.space.leverage
    report.phase("exact", plateau.NEIGHBOURS, "neighbours")
    around = plateau.plateau(
        subject.training, subject.space, subject.params, costs, subject.min_trades, on_neighbour=report.step
    )
    stressed = cost_stress.at_multiples(subject.training, subject.params, costs, leverage)
    nothing_left = cost_stress.break_even(subject.training, subject.params, costs, leverage)
    bootstrapped, reason = _bootstrap(subject, r, report)
    observed_fall = max_drawdown((1 + run.trades["net_return"]).cumprod())
    return FromCandidate(
        sections.of_sharpe(observed),
        sections.of_monte_carlo(bootstrapped, reason),
        sections.of_trade_order(run.trades["net_return"], observed_fall, subject.paths, subject.seed),
        sections.of_cost_stress(stressed, nothing_left, costs.fee + costs.slippage),
        sections.of_plateau(around),
        sections.of_ruin(r, subject.paths, subject.seed),
    )


def observed_of(run: Backtest) -> Moments:
    """The moments of the candidate's training days."""
    return moments(run.daily_returns())


def _bootstrap(subject: Subject, r: Floats, report: Reporter) -> tuple[monte_carlo.Paths | None, str]:
    """The paths, or why there are none."""
    if subject.paths < 1:
        return None, "no paths were asked for"
    if len(r) < BLOCKS:
        return None, sections.TOO_SHORT
    report.phase("permute", subject.paths, "paths")
    return monte_carlo.bootstrap(r, subject.paths, subject.seed, on_paths=report.step), ""


def _walk_forward(subject: Subject, sample: Sample, *, anchored: bool) -> WalkForward:
    sums, trades, bounds = sample.slices
    found = walk_forward.walk_forward(sums, trades, bounds, anchored=anchored, min_trades=subject.min_trades)
    return sections.of_walk_forward(found, sample.combos, sample.day, anchored=anchored)


def _without_sample(subject: Subject, observed: Moments, reason: str) -> FromSample:
    none = np.empty(0)
    walk = sections.without_walk_forward(reason)
    return FromSample(
        sections.of_deflated_sharpe(observed, none, 0, subject.tried, reason=reason),
        sections.of_pbo(None, 0, reason),
        walk,
        walk,
        sections.of_cross_validation(none, reason),
    )
