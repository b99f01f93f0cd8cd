"""Probability of backtest overfitting: how often the best half of the past is below the median in the other half.

Notation: K configurations, B blocks of days, C(B, B/2) splits of the blocks into training and test. Metric: mean / std
(ddof 1) of the daily returns of a half. Rank: ascending with average ties; omega = rank / (K + 1);
lambda = ln(omega / (1 - omega)); lambda <= 0 counts as overfit. Bailey, Borwein, Lopez de Prado and Zhu (2017), The
Probability of Backtest Overfitting, Journal of Computational Finance 20(4), SSRN 2326253.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..bars import Floats, Ints
from .block_statistics import sharpe_from_sums

NULL_HYPOTHESIS = (
    "choosing the best configuration of one half of the days says nothing about its rank in the other half; "
    "then the probability is one half"
)


CHUNK = 64  # halves a thread takes at once
Row = tuple[int, float, float, float]


@dataclass(frozen=True, eq=False)
class Pbo:
    """pbo: share of splits with lambda <= 0. prob_loss: share whose chosen one loses in the test half.

    slope, intercept: test metric of the chosen one regressed on its training metric. Per split, in order: lambdas
    float64, chosen int64, in_sample and out_of_sample float64.
    """

    pbo: float
    prob_loss: float
    slope: float
    intercept: float
    lambdas: Floats
    chosen: Ints
    in_sample: Floats
    out_of_sample: Floats


def pbo_cscv(sums: Floats, days: Ints, threads: int = 1, on_splits: Callable[[int], None] = lambda done: None) -> Pbo:
    """CSCV over block sums float64 [K, B, >= 2] (sums of r and r^2) and days int64 [B] per block, B even.

    A configuration without a defined metric in a half ranks worst there. `on_splits` is told how many are done; what it
    raises ends it. Raises ValueError for an odd B.
    """
    if len(days) % 2:
        raise ValueError(f"{len(days)} blocks cannot be halved")
    halves = list(combinations(range(len(days)), len(days) // 2))
    by_block = np.ascontiguousarray(np.moveaxis(sums[:, :, :2], 0, 2))  # B, 2, K: a half adds whole rows
    total, all_days = by_block.sum(axis=0), int(days.sum())

    def both(half: tuple[int, ...]) -> tuple[Row, Row]:
        """A half and its complement, each training and test in turn."""
        first = by_block[list(half)].sum(axis=0)
        n = int(days[list(half)].sum())
        one, other = _metric(first, n), _metric(total - first, all_days - n)
        return _choose(one, other), _choose(other, one)

    def chunk(start: int) -> list[tuple[Row, Row]]:
        return [both(half) for half in halves[start : min(start + CHUNK, len(halves) // 2)]]

    pairs: list[tuple[Row, Row]] = []
    with ThreadPoolExecutor(max_workers=threads) as pool:
        try:
            for part in pool.map(chunk, range(0, len(halves) // 2, CHUNK)):
                pairs += part
                on_splits(2 * len(pairs))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    # the complement of a half stands as far from the other end of the list
    rows = [pair[0] for pair in pairs] + [pair[1] for pair in reversed(pairs)]
    chosen, ranks, inside, outside = (np.array(column) for column in zip(*rows, strict=True))
    omega = ranks / (sums.shape[0] + 1)
    lambdas = np.log(omega / (1 - omega))
    slope, intercept = _line(inside, outside)
    overfit, lost = float(np.mean(lambdas <= 0)), float(np.mean(outside < 0))
    return Pbo(overfit, lost, slope, intercept, lambdas, chosen.astype(np.int64), inside, outside)


def _metric(sums: Floats, n: int) -> Floats:
    """float64 [K] from sums [2, K]; the worst where it is undefined."""
    metric = sharpe_from_sums(sums[0], sums[1], n)
    return np.where(np.isnan(metric), -np.inf, metric)


def _choose(inside: Floats, outside: Floats) -> Row:
    """Chosen configuration, its rank in the test half, its training and its test metric."""
    best = int(np.argmax(inside))
    value = outside[best]
    below, equal = np.count_nonzero(outside < value), np.count_nonzero(outside == value)
    return best, below + (equal + 1) / 2, float(inside[best]), float(value)


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Least squares slope and intercept over the finite points; NaN without spread in x."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) < 2 or np.all(x == x[0]):
        return math.nan, math.nan
    away = x - np.mean(x)
    slope = float(away @ (y - np.mean(y)) / (away @ away))
    return slope, float(np.mean(y) - slope * np.mean(x))
