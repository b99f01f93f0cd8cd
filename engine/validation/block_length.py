"""How long the blocks of a bootstrap must be to keep the dependence of a series.

Politis and White (2004), Automatic Block-Length Selection, Econometric Reviews 23(1), corrected by Patton, Politis and
White (2009); computed by `arch`.
"""

from dataclasses import dataclass

import numpy as np
from arch.bootstrap import optimal_block_length

from ..bars import Floats

NULL_HYPOTHESIS = "none: a tuning constant; it assumes a stationary series"


@dataclass(frozen=True)
class BlockLength:
    """Mean block length of the stationary bootstrap and block length of the circular one, in observations."""

    stationary: float
    circular: float


def block_length(r: Floats) -> BlockLength:
    """The optimal lengths for r float64 [T], at least 1; 1 for a constant series."""
    if len(r) < 8 or np.all(r == r[0]):
        return BlockLength(1.0, 1.0)
    table = optimal_block_length(r)
    stationary, circular = (float(table[name].iloc[0]) for name in ("stationary", "circular"))
    return BlockLength(max(1.0, stationary), max(1.0, circular))
