"""Combinatorial purged cross-validation: every choice of test groups, the paths they make up, and the purged training.

Notation: T observations in N contiguous groups, k of them tested at a time: C(N, k) splits, C(N, k) k / N paths.
Lopez de Prado (2018), Advances in Financial Machine Learning, chapter 12.
"""

from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb

import numpy as np
from numpy.typing import NDArray

from ..bars import Floats, Ints
from .block_statistics import annual_sharpe, edges

NULL_HYPOTHESIS = "none: the spread of the out-of-sample Sharpe ratio over all ways to hold days out"


@dataclass(frozen=True, eq=False)
class Splits:
    """Per split: training indexes, one index array per tested group, and the path each tested group belongs to."""

    train: list[Ints]
    test: list[list[Ints]]
    path_ids: list[list[int]]


def counts(groups: int, tested: int) -> tuple[int, int]:
    """Number of splits and of paths."""
    splits = comb(groups, tested)
    return splits, splits * tested // groups


def splits(n: int, groups: int, tested: int, purge: int = 0, embargo: int = 0) -> Splits:
    """All splits; `purge` observations are dropped on both sides of a test group, `embargo` more after it."""
    bounds = edges(n, groups)
    blocks = [np.arange(start, stop) for start, stop in pairwise(bounds)]
    used = [0] * groups
    train, test, path_ids = [], [], []
    for chosen in combinations(range(groups), tested):
        allowed = np.ones(n, dtype=np.bool_)
        for group in chosen:
            start, stop = int(bounds[group]), int(bounds[group + 1])
            allowed[max(0, start - purge) : stop + purge + embargo] = False
        train.append(np.flatnonzero(allowed))
        test.append([blocks[group] for group in chosen])
        path_ids.append([used[group] for group in chosen])
        for group in chosen:
            used[group] += 1
    return Splits(train, test, path_ids)


def path_sharpes(sums: Floats, trades: NDArray[np.int32], days: Ints, tested: int, min_trades: int) -> Floats:
    """Annual Sharpe ratio of each path, float64 [paths]: the best of the training blocks, followed in its test blocks.

    sums float64 [K, B, >= 2]; trades int32 [K, B]; days int64 [B]. A path with a split in which no configuration has
    `min_trades` training trades is NaN.
    """
    groups = len(days)
    _, paths = counts(groups, tested)
    first = np.zeros((paths, groups))
    second = np.zeros((paths, groups))
    used = [0] * groups
    total, all_trades = sums[:, :, :2].sum(axis=1), trades.sum(axis=1)
    for chosen in combinations(range(groups), tested):
        test = list(chosen)
        inside = total - sums[:, test, :2].sum(axis=1)
        metric = annual_sharpe(inside[:, 0], inside[:, 1], int(days.sum() - days[test].sum()))
        metric[(all_trades - trades[:, test].sum(axis=1) < min_trades) | np.isnan(metric)] = -np.inf
        best = int(np.argmax(metric))
        found = sums[best] if np.isfinite(metric[best]) else np.full(sums.shape[1:], np.nan)
        for group in chosen:
            first[used[group], group], second[used[group], group] = found[group, 0], found[group, 1]
            used[group] += 1
    return annual_sharpe(first.sum(axis=1), second.sum(axis=1), int(days.sum()))
