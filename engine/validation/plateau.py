"""Does the result depend on the exact parameters? The same strategy at 256 points around its own.

Notation: u float64 [M, 5] in (-1, 1), fixed Sobol offsets (Sobol 1967), the same for every candidate; the neighbourhood
is that of the strategy. A neighbour that is undefined, trades too little or whose fast EMA is not the faster one is
worthless: it ranks below all others and is not positive.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import qmc

from ..bars import Bars, Floats
from ..costs import Costs
from ..kernels.exact import simulate
from ..metrics import sharpe
from ..strategies import mtf_ema
from ..strategies.api import Params

NULL_HYPOTHESIS = "none: it shows whether the candidate is a plateau or a peak; a plateau may still be luck"
NEIGHBOURS = 256


@dataclass(frozen=True, eq=False)
class Plateau:
    """`sharpes` float64 [256], NaN for a worthless neighbour. `median_ratio` NaN when `own` is not positive."""

    own: float
    sharpes: Floats
    median: float
    median_ratio: float
    share_positive: float


def plateau(
    bars: Bars,
    space: mtf_ema.Space,
    params: Params,
    costs: Costs,
    min_trades: int,
    on_neighbour: Callable[[int], None] = lambda done: None,
) -> Plateau:
    """Simulate the candidate and its neighbours exactly."""
    around = mtf_ema.neighbours(space, params.to_row(), offsets())
    usable = mtf_ema.faster(around)
    sharpes = np.full(len(around), math.nan)
    for number in np.flatnonzero(usable):
        run = simulate(bars, Params.from_row(around[number]), costs, space.leverage)
        if len(run.trades) >= min_trades:
            sharpes[number] = sharpe(run.daily_returns())
        on_neighbour(int(number) + 1)
    return judged(sharpe(simulate(bars, params, costs, space.leverage).daily_returns()), sharpes)


def judged(own: float, sharpes: Floats) -> Plateau:
    """Median ratio and share of positive ones, from the Sharpe ratios of the candidate and its neighbours."""
    ranked = np.sort(np.where(np.isnan(sharpes), -np.inf, sharpes))
    lower, upper = ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]
    median = float(lower + upper) / 2 if np.isfinite(lower) else math.nan
    ratio = median / own if own > 0 else math.nan
    return Plateau(own, sharpes, median, ratio, float(np.mean(sharpes > 0)))


@cache
def offsets(count: int = NEIGHBOURS) -> Floats:
    """float64 [count, 5]: the first points of the unscrambled sequence, each in the middle of its cell."""
    points: Floats = qmc.Sobol(len(mtf_ema.NEIGHBOUR_COLUMNS), scramble=False).random(count)
    return 2.0 * (points + 0.5 / count) - 1.0
