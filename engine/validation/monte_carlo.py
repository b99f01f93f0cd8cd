"""What else might have happened: the daily returns in other orders, dependence kept inside blocks of random length.

Notation: r float64 [D] daily returns; P paths of D days. Stationary bootstrap of Politis and Romano (1994), JASA 89,
by `arch`; mean block length by Politis and White (2004). Drawdowns are positive fractions of daily equity.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from arch.bootstrap import StationaryBootstrap

from ..bars import Floats
from ..metrics import DAYS_PER_YEAR
from .block_length import block_length

NULL_HYPOTHESIS = (
    "none: intervals around what was observed; they assume that the returns are stationary and that what is further "
    "apart than a block is independent, and know nothing of how many configurations were tried"
)
CHUNK = 1000
QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, eq=False)
class Paths:
    """float64 [P] each: annual Sharpe ratio (NaN on a flat path), return per year, drawdown. `block`: mean, days."""

    block: int
    sharpe: Floats
    annual_return: Floats
    total_return: Floats
    max_drawdown: Floats


def bootstrap(r: Floats, paths: int, seed: int, on_paths: Callable[[int], None] = lambda done: None) -> Paths:
    """Resample `paths` paths from r. The result depends on r, paths and seed only.

    Raises ValueError without paths or for fewer than two days.
    """
    if paths < 1 or len(r) < 2:
        raise ValueError(f"{paths} paths of {len(r)} days are none")
    block = max(1, round(min(block_length(r).stationary, len(r))))
    draws = StationaryBootstrap(block, r, seed=seed).bootstrap(paths)
    parts: list[Floats] = []
    for start in range(0, paths, CHUNK):
        count = min(CHUNK, paths - start)
        chunk = np.empty((count, len(r)))
        for row in chunk:
            row[:] = next(draws)[0][0]
        parts.append(_measured(chunk))
        on_paths(start + count)
    sharpe, annual, total, fall = np.concatenate(parts, axis=1)
    return Paths(block, sharpe, annual, total, fall)


def quantiles(values: Floats) -> tuple[float, float, float]:
    """The 5, 50 and 95 % points of the defined values; NaN without any."""
    defined = values[np.isfinite(values)]
    if len(defined) == 0:
        return float("nan"), float("nan"), float("nan")
    low, middle, high = np.quantile(defined, QUANTILES)
    return float(low), float(middle), float(high)


def _measured(paths: Floats) -> Floats:
    """Sharpe ratio, annual and total return, drawdown of each path: float64 [4, P]."""
    days = paths.shape[1]
    deviation = paths.std(axis=1, ddof=1)
    flat = np.all(paths == paths[:, :1], axis=1)
    sharpe = paths.mean(axis=1) / np.where(flat, 1.0, deviation) * np.sqrt(DAYS_PER_YEAR)
    equity = np.cumprod(1.0 + paths, axis=1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    final = np.maximum(equity[:, -1], 0.0)
    annual = final ** (DAYS_PER_YEAR / days) - 1.0
    fall = np.max(1.0 - equity / peak, axis=1, initial=0.0)
    return np.stack([np.where(flat, np.nan, sharpe), annual, final - 1.0, fall])
