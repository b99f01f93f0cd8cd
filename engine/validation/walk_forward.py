"""Walk-forward: choose on the past, trade what follows, again and again.

Notation: K configurations; D days in 9 slices, the first D mod 9 one day longer; the last 6 are test folds. Rolling
training is the 3 slices before a fold, anchored training all slices before it. In each fold the whole selection is run
again: the highest training Sharpe ratio among configurations with enough training trades. Everything comes from sums
over slices of one continuous run, so a fold costs a sum, not a backtest. Efficiency after Pardo (2008), The Evaluation
and Optimization of Trading Strategies, as a ratio of means.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bars import Floats, Ints
from ..metrics import DAYS_PER_YEAR
from .block_statistics import annual_sharpe, edges

NULL_HYPOTHESIS = "the chosen configuration earns nothing after it was chosen; the folds are few and not independent"
FOLDS = 6
TRAIN_FOLDS = 3
SLICES = FOLDS + TRAIN_FOLDS


@dataclass(frozen=True)
class Fold:
    """One choice and what became of it. Days are indexes; returns are means of daily returns times 365.

    `chosen` is None when no configuration had enough training trades; the numbers are then NaN.
    """

    train_first: int
    test_first: int
    test_stop: int
    chosen: int | None
    train_sharpe: float
    test_sharpe: float
    train_return: float
    test_return: float
    test_trades: int


@dataclass(frozen=True)
class WalkForward:
    """All folds; `sharpe` of the test days strung together, NaN when a fold could not choose."""

    folds: list[Fold]
    efficiency: float
    sharpe: float
    test_return: float
    test_trades: int
    positive_folds: int


def fold_edges(days: int) -> Ints:
    """int64 [10]: boundaries of the slices."""
    return edges(days, SLICES)


def walk_forward(
    sums: Floats, trades: NDArray[np.int32], boundaries: Ints, *, anchored: bool, min_trades: int
) -> WalkForward:
    """All folds of one kind.

    sums float64 [K, 9, >= 2], of r and r^2 per slice; trades int32 [K, 9] by day of exit; boundaries int64 [10].
    """
    folds = []
    chosen_sums = np.zeros(2)
    for test in range(TRAIN_FOLDS, SLICES):
        first = 0 if anchored else test - TRAIN_FOLDS
        fold = _fold(sums, trades, boundaries, first, test, min_trades)
        folds.append(fold)
        chosen_sums += math.nan if fold.chosen is None else sums[fold.chosen, test, :2]
    tested = int(boundaries[-1] - boundaries[TRAIN_FOLDS])
    return WalkForward(
        folds,
        efficiency([fold.train_return for fold in folds], [fold.test_return for fold in folds]),
        float(annual_sharpe(chosen_sums[0], chosen_sums[1], tested)),
        float(chosen_sums[0] / tested * DAYS_PER_YEAR),
        sum(fold.test_trades for fold in folds),
        sum(fold.test_return > 0 for fold in folds),
    )


def efficiency(train_returns: list[float], test_returns: list[float]) -> float:
    """Mean test return over mean training return; NaN when training earned nothing or a fold is undefined."""
    earned = float(np.mean(train_returns))
    return float(np.mean(test_returns)) / earned if earned > 0 else math.nan


def _fold(sums: Floats, trades: NDArray[np.int32], boundaries: Ints, first: int, test: int, min_trades: int) -> Fold:
    """Choose on slices first..test-1, test on slice `test`."""
    span = int(boundaries[first]), int(boundaries[test]), int(boundaries[test + 1])
    train_days, test_days = span[1] - span[0], span[2] - span[1]
    train = sums[:, first:test, :2].sum(axis=1)
    metric = annual_sharpe(train[:, 0], train[:, 1], train_days)
    metric[(trades[:, first:test].sum(axis=1) < min_trades) | np.isnan(metric)] = -np.inf
    best = int(np.argmax(metric)) if len(metric) else -1
    if best < 0 or not np.isfinite(metric[best]):
        return Fold(*span, None, math.nan, math.nan, math.nan, math.nan, 0)
    tested = sums[best, test, :2]
    return Fold(
        *span,
        best,
        float(metric[best]),
        float(annual_sharpe(tested[0], tested[1], test_days)),
        float(train[best, 0]) / train_days * DAYS_PER_YEAR,
        float(tested[0]) / test_days * DAYS_PER_YEAR,
        int(trades[best, test]),
    )
