"""Scales, ticks and paths."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btswarm.engine.tearsheet import plot


def test_a_log_scale_puts_equal_factors_at_equal_distances() -> None:
    scale = plot.Scale(1.0, 100.0, log=True)
    assert scale.at(np.array([1.0, 10.0, 100.0])) == pytest.approx([0.0, 0.5, 1.0])


def test_a_log_scale_draws_ruin_at_its_floor() -> None:
    y = plot.log_padded(np.array([1.0, 2.0, 0.0]))
    assert np.isfinite(y.at(np.array([0.0]))).all()
    assert y.low > 0


@given(low=st.floats(-1e6, 1e6), spread=st.floats(1e-6, 1e6), count=st.integers(1, 12))
def test_round_values_lie_inside_and_are_few(low: float, spread: float, count: int) -> None:
    high = low + spread
    values = plot.nice_values(low, high, count)
    slack = 1e-6 * (abs(low) + spread)
    assert all(low - slack <= one <= high + slack for one in values)
    assert len(values) <= count + 2


@given(low=st.floats(1e-3, 10), factor=st.floats(1.05, 1e5))
def test_a_log_axis_has_at_least_two_labels_and_not_many(low: float, factor: float) -> None:
    scale = plot.Scale(low, low * factor, log=True)
    values = plot.log_values(scale)
    assert 1 <= len(values) <= 9
    assert all(scale.low * (1 - 1e-9) <= one <= scale.high * (1 + 1e-9) for one in values)


@given(first=st.integers(0, 40_000), days=st.integers(1, 20_000))
def test_an_axis_of_days_is_labelled_whatever_its_length(first: int, days: int) -> None:
    ticks = plot.day_ticks(plot.day_scale(first, first + days))
    assert 1 <= len(ticks) <= 12
    assert all(0 <= one.at <= 100 for one in ticks)
    assert all(one.label for one in ticks)


def test_the_first_label_and_each_january_carry_the_year() -> None:
    first = 19_540  # 2 Jul 2023
    labels = [one.label for one in plot.day_ticks(plot.day_scale(first, first + 730))]
    assert labels[0] == "Oct 2023"
    assert "Jan 2024" in labels
    assert "Apr" in labels


def test_a_gap_lifts_the_pen() -> None:
    d = plot.line(np.array([0.0, 0.5, 1.0]), np.array([0.0, math.nan, 1.0]))
    assert d == "M0 1000M1000 0"


def test_a_surface_is_closed_at_its_base() -> None:
    assert plot.area(np.array([0.0, 1.0]), np.array([0.25, 0.5]), 1.0) == "M0 750L1000 500L1000 0L0 0Z"


def test_equal_values_still_make_a_scale_with_height() -> None:
    for scale in (plot.padded(np.zeros(3)), plot.padded(np.full(2, np.nan)), plot.log_padded(np.ones(3))):
        assert scale.high > scale.low


@pytest.mark.parametrize(("values", "digits"), [([0, 5], 0), ([2.5, 5], 1), ([0.25], 2), ([1 / 3], 4)])
def test_labels_get_as_many_decimals_as_they_need(values: list[float], digits: int) -> None:
    assert plot.decimals(values) == digits
