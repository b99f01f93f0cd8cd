"""Variance of a resampled mean in closed form: what a bootstrap must converge to, so that one can be checked.

Notation: r float64 [T]. Politis and Romano (1992) for circular blocks of length b; Politis and Romano (1994) for the
stationary bootstrap with restart probability p (mean block length 1 / p). Autocovariances are circular, over T.
"""

import numpy as np

from ..bars import Floats

NULL_HYPOTHESIS = "none: the variance of the mean under the resampling scheme itself"


def stationary_variance_of_mean(r: Floats, p: float) -> float:
    """Exact variance of the mean of a stationary bootstrap resample."""
    n = len(r)
    away = r - np.mean(r)
    total = float(away @ away) / n
    for lag in range(1, n):
        weight = (1 - lag / n) * (1 - p) ** lag + lag / n * (1 - p) ** (n - lag)
        total += weight * float(away @ np.roll(away, -lag)) / n
    return total / n


def circular_variance_of_mean(r: Floats, block: int) -> float:
    """Exact variance of the mean of a circular block bootstrap resample; T must be a multiple of `block`."""
    n = len(r)
    if n % block:
        raise ValueError(f"{n} returns are no multiple of the block length {block}")
    wrapped = np.concatenate([r, r[: block - 1]])
    means = np.convolve(wrapped, np.full(block, 1.0 / block), mode="valid")
    return float(np.mean((means - np.mean(r)) ** 2)) * block / n
