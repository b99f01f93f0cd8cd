"""The Sharpe ratio test with serial correlation, its power, and how often a discovery is false.

Notation as in sharpe_ratio.py; rho is the first autocorrelation of the returns; sr0 and sr1 the Sharpe ratios under the
null and the alternative; alpha the size of the test, beta its miss rate; p_h1 the share of strategies with an edge.
Lopez de Prado, Lipton and Zoonekynd (2025), How to Use the Sharpe Ratio, SSRN 5520741. Variances are taken under the
null, over n and not n - 1.
"""

import math

from scipy.stats import norm

NULL_HYPOTHESIS = "the true Sharpe ratio is sr0, and the returns follow an AR(1) with correlation rho"


def sr_stderr_ar1(sr: float, n: float, skew: float, kurtosis: float, rho: float = 0.0) -> float:
    """Standard error of a Sharpe ratio estimated from AR(1) returns; NaN where the variance is not positive."""
    single, double = rho / (1.0 - rho), rho**2 / (1.0 - rho**2)
    variance = (1 + 2 * single) - (1 + single + double) * skew * sr + (1 + 2 * double) * (kurtosis - 1) / 4 * sr**2
    return math.sqrt(variance / n) if n > 0 and variance > 0 else math.nan


def psr_ar1(sr: float, sr0: float, n: float, skew: float, kurtosis: float, rho: float = 0.0) -> float:
    """Confidence that the true Sharpe ratio exceeds sr0."""
    return float(norm.cdf((sr - sr0) / sr_stderr_ar1(sr0, n, skew, kurtosis, rho)))


def min_track_record_length_ar1(
    sr: float, sr0: float, skew: float, kurtosis: float, confidence: float = 0.95, rho: float = 0.0
) -> float:
    """Observations needed until psr_ar1 reaches `confidence`; NaN when sr does not exceed sr0."""
    if not sr > sr0:
        return math.nan
    return float(sr_stderr_ar1(sr0, 1, skew, kurtosis, rho) * norm.ppf(confidence) / (sr - sr0)) ** 2


def miss_rate(sr0: float, sr1: float, n: float, skew: float, kurtosis: float, alpha: float = 0.05) -> float:
    """beta: how often a true Sharpe ratio of sr1 is not recognised at size alpha. The power is 1 - beta."""
    critical = sr0 + sr_stderr_ar1(sr0, n, skew, kurtosis) * norm.ppf(1 - alpha)
    return float(norm.cdf((critical - sr1) / sr_stderr_ar1(sr1, n, skew, kurtosis)))


def planned_false_discovery_rate(p_h1: float, alpha: float, beta: float) -> float:
    """Share of false ones among the discoveries of a test of size alpha and miss rate beta."""
    return 1.0 / (1.0 + (1.0 - beta) * p_h1 / (alpha * (1.0 - p_h1)))


def observed_false_discovery_rate(
    sr: float, sr0: float, sr1: float, n: float, p_h1: float, skew: float, kurtosis: float
) -> float:
    """Probability that a strategy with an observed Sharpe ratio of at least sr has none."""
    p0 = norm.sf((sr - sr0) / sr_stderr_ar1(sr0, n, skew, kurtosis))
    p1 = norm.sf((sr - sr1) / sr_stderr_ar1(sr1, n, skew, kurtosis))
    return float(p0 * (1 - p_h1) / (p0 * (1 - p_h1) + p1 * p_h1))
