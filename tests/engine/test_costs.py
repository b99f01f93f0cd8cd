"""What trading may be said to cost."""

import math

import pytest

from btswarm.engine.costs import Costs
from btswarm.engine.strategies.api import Params, combos_of, refuse_impossible
from btswarm.state.errors import BadConfig


def test_the_defaults_are_five_basis_points_of_fee_two_of_slippage_and_no_funding() -> None:
    assert (Costs().fee, Costs().slippage, Costs().funding) == (0.0005, 0.0002, 0.0)


@pytest.mark.parametrize("value", [-0.0001, 0.1, 5, math.nan, math.inf])
@pytest.mark.parametrize("name", ["fee", "slippage"])
def test_a_fee_or_slippage_that_is_no_small_fraction_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(BadConfig, match=name):
        Costs(**{name: value})


@pytest.mark.parametrize("value", [-0.1, 0.1, math.nan, -math.inf])
def test_a_funding_rate_may_be_negative_but_not_huge(value: float) -> None:
    assert Costs(funding=-0.0001).funding == -0.0001
    with pytest.raises(BadConfig, match="funding"):
        Costs(funding=value)


def test_cost_stress_scales_fee_and_slippage_and_leaves_funding() -> None:
    assert Costs(0.0005, 0.0002, 0.0001).times(2) == Costs(0.001, 0.0004, 0.0001)


def params(stop: float, trail: float) -> Params:
    return Params(15, 5, 60, 20, stop, 0.1, trail, "both")


@pytest.mark.parametrize(("stop", "trail"), [(0.0, 0.0), (0.0005, 0.0), (0.0, 0.0005), (0.05, 0.001)])
def test_a_stop_is_off_or_more_than_twice_the_slippage(stop: float, trail: float) -> None:
    refuse_impossible(combos_of([params(stop, trail)]), Costs(slippage=0.0002), 5)


@pytest.mark.parametrize(
    ("stop", "trail", "named"),
    [(0.0004, 0.0, "stop_loss"), (0.0, 0.0004, "trailing_stop"), (0.0001, 0.05, "stop_loss")],
)
def test_a_stop_within_twice_the_slippage_is_refused_by_name(stop: float, trail: float, named: str) -> None:
    with pytest.raises(BadConfig, match=f"{named} .* not more than twice the slippage 0.0002"):
        refuse_impossible(combos_of([params(0.05, 0.0), params(stop, trail)]), Costs(slippage=0.0002), 5)


def test_a_timeframe_that_does_not_fit_the_bars_is_refused_by_name() -> None:
    with pytest.raises(BadConfig, match="fast_tf 15 is no multiple of the data's 10 minutes"):
        refuse_impossible(combos_of([params(0.05, 0.0)]), Costs(), 10)
    with pytest.raises(BadConfig, match="slow_tf 60"):
        refuse_impossible(combos_of([Params(50, 5, 60, 20, 0.05, 0.1, 0.0, "both")]), Costs(), 25)
