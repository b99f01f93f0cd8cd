"""What serial correlation does to an annualised Sharpe ratio. Lo (2002), The Statistics of Sharpe Ratios, FAJ 58(4)."""

import math

import numpy as np

from ..bars import Floats

NULL_HYPOTHESIS = "none: it corrects the factor by which a per-observation Sharpe ratio is annualised"


def annualisation_factor(q: int, correlations: Floats) -> float:
    """eta(q) = q / sqrt(q + 2 sum (q - k) rho_k), with rho_1.. float64 [K]; sqrt(q) without correlation.

    NaN where the correlations contradict each other (a variance of q summed returns at or below 0).
    """
    lags = np.arange(1, min(q - 1, len(correlations)) + 1)
    variance = q + 2.0 * float(np.sum((q - lags) * correlations[: len(lags)]))
    return q / math.sqrt(variance) if variance > 0 else math.nan


def autocorrelations(r: Floats, lags: int) -> Floats:
    """rho_1..rho_lags of returns r; NaN when r is constant."""
    away = r - np.mean(r)
    total = float(away @ away)
    found: Floats = np.array(
        [float(away[k:] @ away[:-k]) / total if total > 0 else math.nan for k in range(1, lags + 1)]
    )
    return found
