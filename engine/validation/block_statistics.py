"""Days in contiguous blocks, and what can be computed from a block's sums alone.

Notation: D days in B blocks, the first D mod B one day longer. From the sums of r and r^2 over any union of blocks
follow its mean, variance and Sharpe ratio: no second backtest is needed to evaluate a slice of the days.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..bars import Floats, Ints
from ..metrics import DAYS_PER_YEAR

BLOCKS = 16
ROUNDING = 1e-14  # a variance below this share of the mean square is what cancellation leaves of none


def edges(days: int, blocks: int = BLOCKS) -> Ints:
    """int64 [B + 1]: day indexes where the blocks begin and end. Raises ValueError for fewer days than blocks."""
    if days < blocks:
        raise ValueError(f"{days} days cannot fill {blocks} blocks")
    size, longer = divmod(days, blocks)
    found: Ints = np.concatenate([[0], np.cumsum(size + (np.arange(blocks) < longer))]).astype(np.int64)
    return found


def block_sums(r: Floats, boundaries: Ints) -> Floats:
    """float64 [B, 4]: sums of r, r^2, r^3, r^4 of daily returns r float64 [D] in each block."""
    powers = np.stack([r, r**2, r**3, r**4], axis=1)
    return np.add.reduceat(powers, boundaries[:-1], axis=0)


def merged(values: NDArray[np.generic], fine: Ints, coarse: Ints) -> NDArray[np.generic]:
    """Add up the blocks of `fine` [K, B, ...] into those of `coarse`, whose boundaries are all among the fine ones."""
    starts = np.searchsorted(fine, coarse[:-1])
    total: NDArray[np.generic] = np.add.reduceat(values[:, : int(np.searchsorted(fine, coarse[-1]))], starts, axis=1)
    return total


def sharpe_from_sums(first: Floats, second: Floats, days: int) -> Floats:
    """mean / std (ddof 1) per day from sums of r and r^2 over `days`; NaN where the returns do not vary."""
    if days < 2:
        return np.full(np.shape(first), math.nan)
    mean = first / days
    variance = (second - first * mean) / (days - 1)
    flat = variance <= ROUNDING * second
    deviation = np.sqrt(np.where(flat, 1.0, variance))
    return np.where(flat, math.nan, mean / deviation)


def annual_sharpe(first: Floats, second: Floats, days: int) -> Floats:
    """The same, annualised over 365 days."""
    return sharpe_from_sums(first, second, days) * math.sqrt(DAYS_PER_YEAR)
