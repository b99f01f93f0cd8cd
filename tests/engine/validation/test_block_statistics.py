"""Slices of days, and figures that follow from a slice's sums alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.engine.metrics import sharpe
from btswarm.engine.validation.block_statistics import annual_sharpe, block_sums, edges, merged, sharpe_from_sums


def test_the_first_blocks_are_one_day_longer() -> None:
    assert np.diff(edges(730, 16)).tolist() == [46] * 10 + [45] * 6
    assert np.diff(edges(16, 16)).tolist() == [1] * 16
    with pytest.raises(ValueError, match="15 days cannot fill 16 blocks"):
        edges(15, 16)


@settings(max_examples=50, deadline=None)
@given(st.integers(16, 900), st.integers(0, 2**32 - 1))
def test_the_sharpe_ratio_of_any_union_of_blocks_follows_from_their_sums(days: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    r = rng.normal(0.001, 0.02, days)
    bounds = edges(days, 16)
    chosen = rng.permutation(16)[: rng.integers(1, 17)]
    sums = block_sums(r, bounds)[chosen].sum(axis=0)
    slices = np.concatenate([r[bounds[b] : bounds[b + 1]] for b in chosen])
    found = float(annual_sharpe(sums[0], sums[1], len(slices)))
    if len(slices) < 2:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(sharpe(slices), rel=1e-9, abs=1e-9)


def test_returns_that_do_not_vary_have_no_sharpe_ratio_and_never_an_infinite_one() -> None:
    bounds = edges(32, 16)
    for r in (np.zeros(32), np.full(32, 0.001), np.full(32, -0.3)):
        sums = block_sums(r, bounds).sum(axis=0)
        assert math.isnan(float(sharpe_from_sums(sums[0], sums[1], 32)))
    assert math.isnan(float(sharpe_from_sums(np.array(0.1), np.array(0.01), 1)))


def test_blocks_of_a_fine_division_add_up_to_those_of_a_coarse_one() -> None:
    r = np.random.default_rng(1).normal(size=(3, 730))
    fine = np.union1d(edges(730, 16), edges(730, 9))
    sums = np.stack([block_sums(row, fine) for row in r])
    for count in (16, 9):
        direct = np.stack([block_sums(row, edges(730, count)) for row in r])
        assert np.allclose(merged(sums, fine, edges(730, count)), direct, rtol=1e-12, atol=1e-12)
