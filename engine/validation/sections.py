"""The statistics as they stand in `validation.json`: each with its null hypothesis, null figures with their reason."""

import math
from collections.abc import Iterable

import numpy as np

from ...state.models import validation as model
from ...state.models.validation import Figure, Section
from ..backtest import Backtest
from ..bars import Floats, Ints
from ..metrics import DAYS_PER_YEAR, jsonable
from ..split import iso_day
from ..strategies.api import Combos, Params
from . import (
    concentration,
    cost_stress,
    cpcv,
    deflated_sharpe,
    effective_trials,
    holdout,
    monte_carlo,
    pbo,
    plateau,
    ruin,
    sharpe_ratio,
    trade_shuffle,
    walk_forward,
)

FLAT = "the daily returns do not vary"
TOO_SHORT = "there are too few training days"
NO_COMBO = "too few combos of the sample have enough trades"
RUIN_LOSS = 0.5
RUIN_YEARS = 1.0
TESTED_BLOCKS = 2
HISTOGRAM_BINS = 40


def figure(value: float, reason: str = "") -> Figure:
    """A figure, null with `reason` where the value is NaN."""
    if not math.isfinite(value):
        return Figure(value=None, reason=reason or "undefined")
    return Figure(value=value)


def missing(reason: str, *names: str) -> dict[str, Figure]:
    """The same figures, all null for one reason."""
    return {name: Figure(value=None, reason=reason) for name in names}


def number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def of_sharpe(observed: sharpe_ratio.Moments) -> Section:
    """Probabilistic Sharpe ratio against 0, standard error, track record needed."""
    shape = (observed.skew, observed.kurtosis)
    year = math.sqrt(DAYS_PER_YEAR)
    needed = sharpe_ratio.min_track_record_length(observed.sr, 0.0, *shape)
    return Section(
        null_hypothesis=sharpe_ratio.NULL_HYPOTHESIS,
        method="Bailey and Lopez de Prado (2012); benchmark 0, confidence 95 %, of the training days",
        figures={
            "sharpe": figure(observed.sr * year, FLAT),
            "standard_error": figure(sharpe_ratio.sr_stderr(observed.sr, observed.n, *shape) * year, FLAT),
            "probability": figure(sharpe_ratio.psr(observed.sr, 0.0, observed.n, *shape), FLAT),
            "skew": figure(observed.skew, FLAT),
            "kurtosis": figure(observed.kurtosis, FLAT),
            "days_had": figure(observed.n),
            "days_needed": figure(needed, "no track record is long enough for a Sharpe ratio that is not positive"),
        },
    )


def of_deflated_sharpe(
    observed: sharpe_ratio.Moments,
    sharpes: Floats,
    components: int,
    tried: int,
    luck: float = math.nan,
    reason: str = NO_COMBO,
) -> Section:
    """`sharpes`: of the sampled combos per observation. `components`: that explain 95 % of their daily returns.

    `luck`: the mean best Sharpe ratio of a year on markets that hold nothing, NaN where none were made.
    """
    names = ("probability", "sharpe_to_beat", "effective_trials", "variance_of_trials", "combos_tried", "days_needed")
    head = {
        "null_hypothesis": deflated_sharpe.NULL_HYPOTHESIS,
        "method": "Bailey and Lopez de Prado (2014); N as many as reach the mean best Sharpe ratio of null markets, "
        f"or else the components that explain 95 % of the daily returns of up to 2,000 sampled combos, at least "
        f"{effective_trials.FLOOR}; V at least 1 / (T - 1), mean of trials at least 0",
    }
    if len(sharpes) < 2 or observed.n < 2:
        return Section(**head, figures=missing(reason, *names))
    spread, mean = float(np.var(sharpes, ddof=1)), float(np.mean(sharpes))
    wanted: float = max(effective_trials.FLOOR, components)
    trials, variance, centre = deflated_sharpe.prudent(wanted, spread, mean, observed.n)
    if math.isfinite(luck):
        best = (luck / math.sqrt(DAYS_PER_YEAR) - centre) / math.sqrt(variance)
        trials = deflated_sharpe.trials_that_reach(best)
    found = deflated_sharpe.deflated_sharpe_ratio(observed, trials, variance, centre)
    needed = sharpe_ratio.min_track_record_length(observed.sr, found.sr0, observed.skew, observed.kurtosis)
    values = (found.dsr, found.sr0 * math.sqrt(DAYS_PER_YEAR), trials, variance, tried)
    figures = {name: figure(value, FLAT) for name, value in zip(names, values, strict=False)}
    figures["days_needed"] = figure(needed, "no track record is long enough: the Sharpe ratio to beat is higher")
    return Section(**head, figures=figures)


def of_pbo(found: pbo.Pbo | None, combos: int, reason: str = NO_COMBO) -> model.Pbo:
    """Of `combos` combos; all null for `reason` without a result."""
    names = ("pbo", "prob_loss", "slope", "intercept", "splits", "combos")
    head = {"null_hypothesis": pbo.NULL_HYPOTHESIS, "method": "CSCV of Bailey et al. (2017), 16 blocks, all halves"}
    if found is None:
        return model.Pbo(**head, figures=missing(reason, *names), logits=None)
    values = (found.pbo, found.prob_loss, found.slope, found.intercept, len(found.lambdas), combos)
    figures = {name: figure(value, "every half chose alike") for name, value in zip(names, values, strict=True)}
    counts, bounds = np.histogram(found.lambdas, bins=HISTOGRAM_BINS)
    return model.Pbo(**head, figures=figures, logits=model.Histogram(edges=bounds.tolist(), counts=counts.tolist()))


def of_walk_forward(found: walk_forward.WalkForward, combos: Combos, day: Ints, *, anchored: bool) -> model.WalkForward:
    """`combos` int32 [K, 8] the folds chose from; `day` int64 [D] the training days since 1970."""
    kind = "anchored: all days before the fold" if anchored else "rolling: three times the fold"
    undecided = "in a fold no combo has enough training trades"
    earned = undecided if any(fold.chosen is None for fold in found.folds) else "the training folds earned nothing"
    return model.WalkForward(
        null_hypothesis=walk_forward.NULL_HYPOTHESIS,
        method=f"six test folds, {kind}; the best training Sharpe ratio is chosen anew in each",
        figures={
            "efficiency": figure(found.efficiency, earned),
            "sharpe": figure(found.sharpe, undecided),
            "annual_return": figure(found.test_return, undecided),
            "trades": figure(found.test_trades),
            "positive_folds": figure(found.positive_folds),
        },
        folds=[_fold(one, combos, day) for one in found.folds],
    )


def without_walk_forward(reason: str) -> model.WalkForward:
    names = ("efficiency", "sharpe", "annual_return", "trades", "positive_folds")
    return model.WalkForward(null_hypothesis=walk_forward.NULL_HYPOTHESIS, figures=missing(reason, *names), folds=[])


def _fold(one: walk_forward.Fold, combos: Combos, day: Ints) -> model.Fold:
    return model.Fold(
        train_from=iso_day(int(day[one.train_first])),
        train_to=iso_day(int(day[one.test_first - 1])),
        test_from=iso_day(int(day[one.test_first])),
        test_to=iso_day(int(day[one.test_stop - 1])),
        params=None if one.chosen is None else Params.from_row(combos[one.chosen]).as_dict(),
        train_sharpe=number(one.train_sharpe),
        test_sharpe=number(one.test_sharpe),
        train_return=number(one.train_return),
        test_return=number(one.test_return),
        test_trades=one.test_trades,
    )


def of_cross_validation(paths: Floats, reason: str = NO_COMBO) -> Section:
    """`paths`: annual Sharpe ratio of each, NaN undefined."""
    defined = paths[np.isfinite(paths)]
    low, middle, high = monte_carlo.quantiles(paths)
    return Section(
        null_hypothesis=cpcv.NULL_HYPOTHESIS,
        method="combinatorial cross-validation of Lopez de Prado (2018), 16 blocks, 2 held out at a time; the run is "
        "continuous and carries no label over a block's end, so nothing is purged",
        figures={
            "paths": figure(len(paths)),
            "sharpe_p05": figure(low, reason),
            "sharpe_p50": figure(middle, reason),
            "sharpe_p95": figure(high, reason),
            "share_negative": figure(float(np.mean(defined < 0)) if len(defined) else math.nan, reason),
        },
    )


def of_monte_carlo(found: monte_carlo.Paths | None, reason: str) -> Section:
    """Quantiles over the paths; all null for `reason` without paths."""
    head = {
        "null_hypothesis": monte_carlo.NULL_HYPOTHESIS,
        "method": "stationary bootstrap of the daily training returns (Politis and Romano 1994), mean block length by "
        "Politis and White (2004)",
    }
    parts = ("sharpe", "total_return", "annual_return", "max_drawdown")
    names = [f"{part}_p{q}" for part in parts for q in ("05", "50", "95")]
    if found is None:
        return Section(**head, figures=missing(reason, "paths", "block_days", "share_losing", *names))
    columns = (found.sharpe, found.total_return, found.annual_return, found.max_drawdown)
    values = [value for column in columns for value in monte_carlo.quantiles(column)]
    figures = {name: figure(value, FLAT) for name, value in zip(names, values, strict=True)}
    figures["paths"] = figure(len(found.sharpe))
    figures["block_days"] = figure(found.block)
    figures["share_losing"] = figure(float(np.mean(found.total_return <= 0)))
    return Section(**head, figures=figures)


def of_trade_order(net: Floats, observed: float, paths: int, seed: int) -> Section:
    """`net` float64 [N] net returns; `observed` the drawdown of their own order."""
    head = {
        "null_hypothesis": trade_shuffle.NULL_HYPOTHESIS,
        "method": "trades replayed as returns in random orders; the final equity stays, so only the drawdown is shown",
    }
    names = ("observed", "max_drawdown_p50", "max_drawdown_p95", "share_at_least_observed")
    if len(net) < 2 or paths < 1:
        return Section(**head, figures=missing("fewer than two trades" if paths else "no paths were asked for", *names))
    drawn = trade_shuffle.shuffled_drawdowns(net, paths, seed)
    _, middle, high = monte_carlo.quantiles(drawn)
    values = (observed, middle, high, float(np.mean(drawn >= observed - 1e-12)))
    return Section(**head, figures={name: figure(value) for name, value in zip(names, values, strict=True)})


def of_concentration(run: Backtest, walk: model.WalkForward, seen: holdout.Seen) -> Section:
    """On how many trades, and on how few, everything rests."""
    later = [walk.figures["trades"].value or 0, len(seen.run.trades) if seen.run else 0]
    return Section(
        null_hypothesis=concentration.NULL_HYPOTHESIS,
        method="later trades: of the hold-out or of the rolling walk-forward, whichever has more",
        figures={
            "training_trades": figure(len(run.trades)),
            "later_trades": figure(max(later)),
            "best_five_share": figure(concentration.best_share(run.trades["net_return"]), "its trades earn nothing"),
        },
    )


def of_cost_stress(
    rows: Iterable[cost_stress.Stressed], break_even: tuple[float, str], per_side: float
) -> model.CostStress:
    """`break_even` and why it is NaN; `per_side` the fee plus slippage assumed."""
    return model.CostStress(
        null_hypothesis=cost_stress.NULL_HYPOTHESIS,
        method="exact runs over the training days at multiples of fee and slippage",
        figures={"break_even_per_side": figure(*break_even), "assumed_per_side": figure(per_side)},
        rows=[
            model.CostRow(
                multiple=one.multiple,
                metrics=None if one.metrics is None else jsonable(one.metrics),
                reason=one.reason,
            )
            for one in rows
        ],
    )


def of_plateau(found: plateau.Plateau) -> model.Plateau:
    return model.Plateau(
        null_hypothesis=plateau.NULL_HYPOTHESIS,
        method="exact runs over the training days at 256 Sobol points within 10 % of every parameter",
        figures={
            "neighbours": figure(len(found.sharpes)),
            "usable": figure(int(np.count_nonzero(np.isfinite(found.sharpes)))),
            "own_sharpe": figure(found.own, FLAT),
            "median_sharpe": figure(found.median, "most neighbours are worthless"),
            "median_ratio": figure(
                found.median_ratio, "its own Sharpe ratio is not positive, or most neighbours are worthless"
            ),
            "share_positive": figure(found.share_positive),
        },
        sharpes=[number(value) for value in found.sharpes.tolist()],
    )


def of_ruin(r: Floats, draws: int, seed: int) -> Section:
    """Probability of losing half of the start within a year, drift and volatility as uncertain as r leaves them."""
    value = ruin.ruin_with_uncertainty(r, RUIN_LOSS, RUIN_YEARS, max(1, draws), seed)
    return Section(
        null_hypothesis=ruin.NULL_HYPOTHESIS,
        method="first passage of a Brownian motion, averaged over drifts and volatilities that the training days allow",
        figures={"probability_of_losing_half_in_a_year": figure(value, FLAT)},
    )
