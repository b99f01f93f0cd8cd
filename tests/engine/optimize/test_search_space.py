"""The space as the sampler sees it: the same points as the strategy's, and only points that exist."""

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution

from btswarm.engine.search_space import (
    NUMBERS,
    STARTUP,
    SpaceSampler,
    distributions,
    is_inside,
    is_legal,
    point_of,
    row_of,
)
from btswarm.engine.strategies import api, mtf_ema

SPACES = [mtf_ema.space_for(mode) for mode in mtf_ema.MODES]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.mode)
def test_every_combo_of_the_space_becomes_a_point_and_the_same_combo_again(space: mtf_ema.Space) -> None:
    for row in mtf_ema.draw(space, 1, 0, 200):
        point = point_of(space, row)
        assert point.keys() == distributions(space).keys()
        assert all(known._contains(known.to_internal_repr(point[name])) for name, known in distributions(space).items())
        assert np.array_equal(row_of(space, point), row)
        assert is_inside(space, row)


@given(st.sampled_from(SPACES), st.sampled_from(NUMBERS), st.floats(0, 1))
def test_rounding_never_leaves_a_range(space: mtf_ema.Space, name: str, share: float) -> None:
    known = distributions(space)[name]
    assert isinstance(known, FloatDistribution)
    low, high = getattr(space, name)
    assert low <= round(known.low + share * (known.high - known.low)) <= high


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (api.FAST_TF, 20),
        (api.SLOW_TF, 15),
        (api.FAST_PERIOD, 4),
        (api.SLOW_PERIOD, 201),
        (api.STOP_LOSS, 0),
        (api.TAKE_PROFIT, 9999),
        (api.TRAILING_STOP, 50),
        (api.DIRECTION, 1),
    ],
)
def test_a_combo_with_one_value_outside_is_outside(column: int, value: int) -> None:
    row = mtf_ema.draw(SPACES[2], 1, 0, 1)[0]
    row[column] = value
    assert not is_inside(SPACES[2], row)


def test_a_trailing_stop_that_is_off_is_inside_and_stays_off() -> None:
    row = mtf_ema.draw(SPACES[2], 1, 0, 1)[0]
    row[api.TRAILING_STOP] = 0
    assert is_inside(SPACES[2], row)
    assert row_of(SPACES[2], point_of(SPACES[2], row))[api.TRAILING_STOP] == 0


def proposed(space: mtf_ema.Space, seed: int, trials: int) -> list[list[int]]:
    """What the sampler proposes when the slower fast EMA is told to be the better one: towards the illegal."""
    study = optuna.create_study(direction="maximize", sampler=SpaceSampler(space, seed))
    rows = []
    for _ in range(trials):
        trial = study.ask(distributions(space))
        rows.append(row_of(space, trial.params))
        study.tell(trial, trial.params["fast_period"] - trial.params["slow_period"])
    return [row.tolist() for row in rows]


def test_no_proposal_breaks_the_order_of_the_emas_even_where_that_would_pay() -> None:
    rows = np.array(proposed(SPACES[2], 3, 60), dtype=np.int32)
    assert all(is_inside(SPACES[2], row) for row in rows)
    assert rows[-20:, api.FAST_PERIOD].mean() > rows[:STARTUP, api.FAST_PERIOD].mean(), "it learns all the same"


def test_proposals_depend_on_the_seed_alone() -> None:
    assert proposed(SPACES[0], 3, 25) == proposed(SPACES[0], 3, 25)
    assert proposed(SPACES[0], 3, 25) != proposed(SPACES[0], 4, 25)


def test_the_first_points_are_the_strategys_own_random_ones() -> None:
    rows = proposed(SPACES[1], 8, STARTUP)
    assert rows == mtf_ema.draw(SPACES[1], 8, 0, STARTUP).tolist()


def test_a_space_with_a_single_timeframe_and_a_single_period_is_searched_in_what_is_left() -> None:
    space = mtf_ema.space_for("balanced", {"fast_tf": (15,), "slow_tf": (240,), "fast_period": (9, 9)})
    rows = np.array(proposed(space, 1, 20), dtype=np.int32)
    assert set(rows[:, api.FAST_PERIOD]) == {9}
    assert len(set(rows[:, api.SLOW_PERIOD])) > 5
    assert all(is_legal(row) for row in rows)
