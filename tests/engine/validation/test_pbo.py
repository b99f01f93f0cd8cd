"""CSCV against a plain loop, and what it does with ties and with configurations that never trade."""

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy.stats import rankdata

from btswarm.engine.bars import Floats
from btswarm.engine.validation.block_statistics import block_sums, edges
from btswarm.engine.validation.pbo import Pbo, pbo_cscv


def cscv(returns: Floats, blocks: int, threads: int = 1) -> Pbo:
    bounds = edges(len(returns), blocks)
    return pbo_cscv(np.stack([block_sums(column, bounds) for column in returns.T]), np.diff(bounds), threads)


def plain(returns: Floats, blocks: int) -> list[float]:
    """The logits, by the definition."""
    bounds = edges(len(returns), blocks)
    parts = [returns[a:b] for a, b in pairwise(bounds)]
    logits = []
    for half in combinations(range(blocks), blocks // 2):
        train = np.concatenate([parts[b] for b in half])
        test = np.concatenate([parts[b] for b in range(blocks) if b not in half])
        inside = train.mean(axis=0) / train.std(axis=0, ddof=1)
        outside = test.mean(axis=0) / test.std(axis=0, ddof=1)
        omega = rankdata(outside)[np.argmax(inside)] / (returns.shape[1] + 1)
        logits.append(math.log(omega / (1 - omega)))
    return logits


@pytest.mark.parametrize(("days", "configurations", "blocks"), [(97, 7, 6), (160, 20, 8), (64, 2, 4)])
def test_it_equals_a_plain_loop_also_when_the_blocks_differ_in_length(
    days: int, configurations: int, blocks: int
) -> None:
    returns = np.random.default_rng(days).normal(0.001, 0.02, (days, configurations))
    found = cscv(returns, blocks)
    assert np.allclose(found.lambdas, plain(returns, blocks), atol=1e-12)
    assert found.pbo == np.mean(np.array(plain(returns, blocks)) <= 0)


def test_the_number_of_threads_changes_nothing() -> None:
    returns = np.random.default_rng(0).normal(0.001, 0.02, (160, 50))
    one, two = cscv(returns, 10), cscv(returns, 10, threads=2)
    assert one.lambdas.tolist() == two.lambdas.tolist()
    assert one.chosen.tolist() == two.chosen.tolist()


def test_a_configuration_that_is_flat_in_a_half_ranks_worst_there_and_is_never_chosen_for_it() -> None:
    returns = np.random.default_rng(0).normal(-0.002, 0.02, (64, 3))
    returns[:, 1] = 0.0
    found = cscv(returns, 4)
    assert 1 not in found.chosen
    assert np.all(np.isfinite(found.lambdas))


def test_pure_noise_is_overfit_about_half_the_time() -> None:
    rng = np.random.default_rng(5)
    shares = [cscv(rng.normal(0, 0.02, (320, 40)), 8).pbo for _ in range(40)]
    assert 0.4 < np.mean(shares) < 0.65


def test_an_odd_number_of_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="5 blocks cannot be halved"):
        cscv(np.random.default_rng(0).normal(size=(50, 3)), 5)
