"""p-values of several hypotheses corrected for their number, and independent p-values combined into one.

Holm (1979); Benjamini, Hochberg and Yekutieli (2001), c(M) = sum 1/i as in Harvey and Liu (2015), Backtesting, Journal
of Portfolio Management 42(1); Fisher (1925).
"""

import math

import numpy as np
from scipy.stats import chi2

from ..bars import Floats

NULL_HYPOTHESIS = "every hypothesis tested is null (Bonferroni, Holm: probability of any false one; BHY: their share)"


def bonferroni(p: Floats) -> Floats:
    """min(1, M p)."""
    return np.minimum(1.0, len(p) * np.asarray(p, dtype=np.float64))


def holm(p: Floats) -> Floats:
    """Step-down: the k-th smallest times M - k + 1, never below a smaller one."""
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p, dtype=np.float64)[order] * (len(p) - np.arange(len(p)))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return adjusted


def benjamini_hochberg(p: Floats) -> Floats:
    """Step-up false discovery rate for independent tests."""
    return _step_up(np.asarray(p, dtype=np.float64), 1.0)


def benjamini_hochberg_yekutieli(p: Floats) -> Floats:
    """Step-up false discovery rate under any dependence."""
    return _step_up(np.asarray(p, dtype=np.float64), float(np.sum(1.0 / np.arange(1, len(p) + 1))))


def fisher(p: Floats) -> float:
    """One p-value of independent ones: chi-squared of -2 sum ln p with 2 M degrees of freedom."""
    if np.any(np.asarray(p) <= 0):
        return 0.0
    return float(chi2.sf(-2.0 * sum(math.log(one) for one in p), 2 * len(p)))


def _step_up(p: Floats, factor: float) -> Floats:
    order = np.argsort(p, kind="stable")
    stepped = p[order] * factor * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(stepped[::-1])[::-1])
    return adjusted
