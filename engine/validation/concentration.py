"""On how few trades does the profit rest? Notation: net float64 [N], net returns of the trades."""

import math

import numpy as np

from ..bars import Floats

NULL_HYPOTHESIS = "none: a profit made by a handful of trades is a handful of observations"
BEST = 5


def best_share(net: Floats, best: int = BEST) -> float:
    """The sum of the `best` largest net returns over the sum of all; NaN when that is not positive."""
    profit = float(np.sum(net))
    return float(np.sum(np.sort(net)[-best:])) / profit if profit > 0 else math.nan
