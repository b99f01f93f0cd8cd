"""Each indicator against its definition in plain Python, to the last bit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.engine.indicators import ema


def plainly(close: list[float], period: int) -> list[float]:
    a = 2.0 / (period + 1.0)
    values: list[float] = []
    for k, price in enumerate(close):
        values.append(price if k == 0 else values[-1] + a * (price - values[-1]))
    return [math.nan if k < period - 1 else value for k, value in enumerate(values)]


def test_an_average_of_one_window_is_the_close() -> None:
    assert ema(np.array([3.0, 1.0, 2.0]), 1).tolist() == [3.0, 1.0, 2.0]


def test_the_first_value_is_the_first_close_and_each_step_goes_its_share_of_the_way() -> None:
    # a = 1/2: 8, 8 + (4 - 8)/2 = 6, 6 + (10 - 6)/2 = 8, 8 + (0 - 8)/2 = 4
    values = ema(np.array([8.0, 4.0, 10.0, 0.0]), 3)
    assert np.isnan(values).tolist() == [True, True, False, False]
    assert values[2:].tolist() == [8.0, 4.0]


def test_it_is_not_valid_before_it_has_seen_its_period() -> None:
    assert np.isnan(ema(np.arange(5.0), 5)).tolist() == [True] * 4 + [False]
    assert np.isnan(ema(np.arange(5.0), 6)).all()
    assert np.isnan(ema(np.arange(5.0), 10_000)).all()


def test_of_nothing_is_nothing() -> None:
    assert len(ema(np.empty(0), 3)) == 0


def test_a_constant_stays_exactly_constant() -> None:
    assert ema(np.full(1000, 0.1), 7)[6:].tolist() == [0.1] * 994


@settings(max_examples=200, deadline=None)
@given(close=st.lists(st.floats(1e-9, 1e6), max_size=60), period=st.integers(1, 70))
def test_it_equals_its_definition_to_the_last_bit(close: list[float], period: int) -> None:
    assert ema(np.array(close, dtype=np.float64), period).tobytes() == np.array(plainly(close, period)).tobytes()


@pytest.mark.parametrize("period", [5, 50, 200])
def test_a_value_depends_on_the_past_alone(period: int) -> None:
    close = np.random.default_rng(1).uniform(10, 20, 500)
    assert ema(close[:300], period).tobytes() == ema(close, period)[:300].tobytes()
