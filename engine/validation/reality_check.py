"""Is the best of K strategies better than holding cash, given that it is the best of K?

White (2000), Econometrica 68(5); Hansen (2005), A Test for Superior Predictive Ability, JBES 23(4); computed by `arch`,
which takes losses: the negated returns.
"""

from dataclasses import dataclass

import numpy as np
from arch.bootstrap import SPA
from scipy.stats import norm

from ..bars import Floats

NULL_HYPOTHESIS = "no strategy has a mean daily return above 0"


@dataclass(frozen=True)
class SuperiorPredictiveAbility:
    """p-values from the most liberal to the most conservative recentring; the middle one is Hansen's."""

    lower: float
    consistent: float
    upper: float


def superior_predictive_ability(returns: Floats, block: int, reps: int, seed: int) -> SuperiorPredictiveAbility:
    """Hansen's test for daily returns float64 [D, K] with stationary blocks of mean length `block`."""
    test = SPA(np.zeros(len(returns)), -returns, block_size=block, reps=reps, seed=seed)
    test.compute()
    found = test.pvalues
    return SuperiorPredictiveAbility(*(float(found[name]) for name in ("lower", "consistent", "upper")))


def independent_p_value(strategies: int, largest: float) -> float:
    """What the test tends to for K independent studentised statistics of which the largest is `largest`."""
    return float(-np.expm1(strategies * norm.logcdf(largest)))
