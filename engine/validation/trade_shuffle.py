"""What the order of the trades did to the drawdown.

Notation: steps float64 [N], the change of log equity by each trade, so that trades are replayed as returns and never as
cash amounts. A shuffle keeps the final equity: it says nothing about an edge, only about luck in the order.
"""

import numpy as np

from ..bars import Floats

NULL_HYPOTHESIS = "the order of the trades is exchangeable"
CHUNK = 1000  # orders held in memory at once


def fall(steps: Floats) -> Floats:
    """Largest fall of the running sum from its peak, the start included, along the last axis; >= 0."""
    path = np.cumsum(steps, axis=-1)
    peak = np.maximum(np.maximum.accumulate(path, axis=-1), 0.0)
    found: Floats = np.max(peak - path, axis=-1, initial=0.0)
    return found


def shuffled_drawdowns(net_returns: Floats, paths: int, seed: int) -> Floats:
    """Drawdowns (positive fractions) of `paths` random orders of the trades' net returns, float64 [paths].

    A trade that lost everything makes every drawdown 1.
    """
    if np.any(net_returns <= -1):
        return np.ones(paths)
    rng = np.random.default_rng(seed)
    steps = np.log1p(net_returns)
    drawdowns = np.empty(paths)
    for start in range(0, paths, CHUNK):
        part = drawdowns[start : start + CHUNK]
        part[:] = -np.expm1(-fall(rng.permuted(np.broadcast_to(steps, (len(part), len(steps))), axis=1)))
    return drawdowns
