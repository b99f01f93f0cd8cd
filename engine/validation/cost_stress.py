"""What the result is at other costs, and the cost at which nothing is left.

Costs are fractions of traded notional, per side. At a multiple, fee and slippage are scaled together and the whole run
is simulated again: stops lie elsewhere when fills do. The break-even cost is a fee without slippage, at which the
trades stay the same and only their results change, so that it is defined by one number.
"""

import math
from dataclasses import dataclass

from ...state.errors import BadConfig
from ..bars import Bars
from ..costs import Costs
from ..kernels.exact import simulate
from ..metrics import metrics
from ..strategies.api import Params, combos_of, refuse_impossible

NULL_HYPOTHESIS = "none: it shows how much of the result is the assumed costs"
MULTIPLES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
HIGHEST_FEE = 0.0999
PRECISION = 1e-7


@dataclass(frozen=True)
class Stressed:
    """`metrics` None when the configuration is refused at these costs, for `reason`."""

    multiple: float
    metrics: dict[str, float] | None
    reason: str = ""


def at_multiples(bars: Bars, params: Params, costs: Costs, leverage: float) -> list[Stressed]:
    """The exact metrics at each of MULTIPLES of fee and slippage."""
    return [_at(bars, params, costs, leverage, multiple) for multiple in MULTIPLES]


def break_even(bars: Bars, params: Params, costs: Costs, leverage: float) -> tuple[float, str]:
    """The fee per side, without slippage, at which the total return is nil, to 1e-7; else NaN and why."""

    def earned(fee: float) -> float:
        return simulate(bars, params, Costs(fee, 0.0, costs.funding), leverage).equity[-1] - 1.0

    if len(simulate(bars, params, Costs(0.0, 0.0, costs.funding), leverage).trades) == 0:
        return math.nan, "it does not trade"
    if earned(0.0) <= 0:
        return math.nan, "it earns nothing even without costs"
    if earned(HIGHEST_FEE) > 0:
        return math.nan, f"it still earns at {HIGHEST_FEE:.0%} a side"
    low, high = 0.0, HIGHEST_FEE
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if earned(middle) > 0 else (low, middle)
    return (low + high) / 2, ""


def _at(bars: Bars, params: Params, costs: Costs, leverage: float, multiple: float) -> Stressed:
    try:
        scaled = costs.times(multiple)
        refuse_impossible(combos_of([params]), scaled, bars.base_minutes)
    except BadConfig as error:
        return Stressed(multiple, None, error.message)
    return Stressed(multiple, metrics(simulate(bars, params, scaled, leverage)))
