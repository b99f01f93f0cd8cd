"""The choice in each fold against plain loops over daily returns, and that no fold sees its own future."""

import math

import numpy as np
import pytest

from btswarm.engine.bars import Floats, Ints
from btswarm.engine.metrics import sharpe
from btswarm.engine.validation.block_statistics import block_sums
from btswarm.engine.validation.cpcv import path_sharpes
from btswarm.engine.validation.walk_forward import WalkForward, efficiency, fold_edges, walk_forward

DAYS = 731
K = 25


def noise(seed: int = 0, days: int = DAYS) -> Floats:
    return np.random.default_rng(seed).normal(0.0005, 0.02, (K, days))


def summed(r: Floats) -> tuple[Floats, Ints]:
    bounds = fold_edges(r.shape[1])
    return np.stack([block_sums(row, bounds) for row in r]), bounds


def many_trades() -> np.ndarray:
    return np.full((K, 9), 30, dtype=np.int32)


def walk(r: Floats, *, anchored: bool = False) -> WalkForward:
    sums, bounds = summed(r)
    return walk_forward(sums, many_trades(), bounds, anchored=anchored, min_trades=30)


@pytest.mark.parametrize("anchored", [False, True])
def test_each_fold_chooses_the_best_of_its_past_and_is_measured_on_what_follows(anchored: bool) -> None:
    r = noise()
    found = walk(r, anchored=anchored)
    bounds = fold_edges(DAYS)
    strung = []
    for number, fold in enumerate(found.folds):
        first, test, stop = 0 if anchored else bounds[number], bounds[number + 3], bounds[number + 4]
        assert (fold.train_first, fold.test_first, fold.test_stop) == (first, test, stop)
        best = int(np.argmax([sharpe(row[first:test]) for row in r]))
        assert fold.chosen == best
        assert fold.train_sharpe == pytest.approx(sharpe(r[best, first:test]))
        assert fold.test_sharpe == pytest.approx(sharpe(r[best, test:stop]))
        assert fold.test_return == pytest.approx(np.mean(r[best, test:stop]) * 365)
        strung.append(r[best, test:stop])
    assert len(found.folds) == 6
    assert found.sharpe == pytest.approx(sharpe(np.concatenate(strung)))
    assert found.efficiency == pytest.approx(
        np.mean([f.test_return for f in found.folds]) / np.mean([f.train_return for f in found.folds])
    )


def test_rolling_training_is_three_times_the_fold_and_the_folds_cover_the_rest() -> None:
    bounds = fold_edges(730)
    found = walk(noise(days=730))
    assert all(f.test_first - f.train_first == sum(np.diff(bounds)[n : n + 3]) for n, f in enumerate(found.folds))
    assert [f.test_stop for f in found.folds[:-1]] == [f.test_first for f in found.folds[1:]]
    assert found.folds[-1].test_stop == 730


@pytest.mark.parametrize("anchored", [False, True])
def test_what_happens_in_a_fold_and_after_does_not_change_what_it_chose(anchored: bool) -> None:
    r, other = noise(), noise(seed=1)
    before = walk(r, anchored=anchored)
    for number, fold in enumerate(before.folds):
        changed = r.copy()
        changed[:, fold.test_first :] = other[:, fold.test_first :]
        after = walk(changed, anchored=anchored)
        assert [f.chosen for f in after.folds[: number + 1]] == [f.chosen for f in before.folds[: number + 1]]


def test_only_configurations_with_enough_training_trades_are_chosen() -> None:
    r = noise()
    sums, bounds = summed(r)
    free = walk(r)
    trades = many_trades()
    trades[free.folds[0].chosen, :3] = (10, 10, 9)
    found = walk_forward(sums, trades, bounds, anchored=False, min_trades=30)
    assert found.folds[0].chosen != free.folds[0].chosen


def test_a_fold_that_cannot_choose_leaves_the_whole_undefined() -> None:
    sums, bounds = summed(noise())
    trades = many_trades()
    trades[:, :3] = 0
    found = walk_forward(sums, trades, bounds, anchored=False, min_trades=30)
    assert found.folds[0].chosen is None
    assert math.isnan(found.sharpe)
    assert math.isnan(found.efficiency)
    assert found.test_trades == 5 * 30


def test_the_efficiency_of_a_training_that_earned_nothing_is_undefined() -> None:
    assert math.isnan(efficiency([0.0, 0.0], [0.1, 0.1]))
    assert efficiency([0.2, 0.4], [0.1, -0.4]) == pytest.approx(-0.5)


def test_each_cross_validation_path_is_strung_from_what_was_chosen_without_it() -> None:
    r = noise(days=120)
    bounds = np.arange(0, 121, 30)
    sums = np.stack([block_sums(row, bounds) for row in r])
    trades = np.full((K, 4), 30, dtype=np.int32)
    found = path_sharpes(sums, trades, np.diff(bounds), 2, 30)
    train = {(0, 1): (2, 3), (0, 2): (1, 3), (0, 3): (1, 2), (1, 2): (0, 3), (1, 3): (0, 2), (2, 3): (0, 1)}
    slices = [slice(30 * b, 30 * b + 30) for b in range(4)]
    best = {
        test: int(np.argmax([sharpe(np.concatenate([row[slices[b]] for b in rest])) for row in r]))
        for test, rest in train.items()
    }
    paths = [[(0, 1), (0, 1), (0, 2), (0, 3)], [(0, 2), (1, 2), (1, 2), (1, 3)], [(0, 3), (1, 3), (2, 3), (2, 3)]]
    for number, path in enumerate(paths):
        strung = np.concatenate([r[best[split], slices[b]] for b, split in enumerate(path)])
        assert found[number] == pytest.approx(sharpe(strung))


def test_a_configuration_with_too_few_training_trades_is_chosen_in_no_split() -> None:
    r = noise(days=120)
    bounds = np.arange(0, 121, 30)
    sums = np.stack([block_sums(row, bounds) for row in r])
    trades = np.full((K, 4), 15, dtype=np.int32)  # 30 in every training of two blocks
    best = int(np.argmax([sharpe(row) for row in r]))

    def paths(trades: np.ndarray, min_trades: int = 30) -> list[float]:
        kept = [k for k in range(K) if k != best or trades[best].any()]
        return [float(one) for one in path_sharpes(sums[kept], trades[kept], np.diff(bounds), 2, min_trades)]

    fewer, absent = trades.copy(), trades.copy()
    fewer[best], absent[best] = 14, 0
    assert paths(fewer) == paths(absent)
    assert paths(fewer) != paths(trades)
    assert all(math.isnan(one) for one in paths(trades, 31))
