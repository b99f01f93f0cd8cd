"""What an observed Sharpe ratio is worth: its standard error, the probability that the true one is above a benchmark,
and the track record needed to say so.

Notation: sr, benchmark per observation (not annualised); n observations; skew and kurtosis of the returns with biased
moments, kurtosis not in excess (3 for a normal). Bailey and Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier,
Journal of Risk 15(2). Undefined is NaN.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from ..bars import Floats

NULL_HYPOTHESIS = (
    "the true Sharpe ratio is at most the benchmark, and the daily returns are independent; "
    "nothing is said about how many configurations were tried"
)
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Moments:
    """Of one series of returns: length, Sharpe per observation (ddof 1), biased skew and non-excess kurtosis."""

    n: int
    sr: float
    skew: float
    kurtosis: float


def moments(r: Floats) -> Moments:
    """The moments of returns r, float64 [T]; all NaN for fewer than two or for constant ones."""
    if len(r) < 2 or np.all(r == r[0]):
        return Moments(len(r), math.nan, math.nan, math.nan)
    away = r - np.mean(r)
    variance = float(np.mean(away**2))
    skew = float(np.mean(away**3)) / variance**1.5
    return Moments(len(r), float(np.mean(r) / np.std(r, ddof=1)), skew, float(np.mean(away**4)) / variance**2)


def sr_stderr(sr: float, n: float, skew: float, kurtosis: float) -> float:
    """Standard error of an estimated Sharpe ratio; NaN for n < 2."""
    variance = _variance_of_one(sr, skew, kurtosis)
    return math.sqrt(variance / (n - 1)) if n > 1 and variance > 0 else math.nan


def psr(sr: float, benchmark: float, n: float, skew: float, kurtosis: float) -> float:
    """Probabilistic Sharpe ratio: confidence that the true Sharpe ratio exceeds `benchmark`."""
    error = sr_stderr(sr, n, skew, kurtosis)
    return float(norm.cdf((sr - benchmark) / error))


def min_track_record_length(
    sr: float, benchmark: float, skew: float, kurtosis: float, confidence: float = CONFIDENCE
) -> float:
    """Observations needed until psr reaches `confidence`; NaN when sr does not exceed the benchmark."""
    if not sr > benchmark:
        return math.nan
    return 1.0 + _variance_of_one(sr, skew, kurtosis) * float(norm.ppf(confidence) / (sr - benchmark)) ** 2


def _variance_of_one(sr: float, skew: float, kurtosis: float) -> float:
    return 1.0 - skew * sr + (kurtosis - 1.0) / 4.0 * sr**2
