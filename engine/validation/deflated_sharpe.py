"""The Sharpe ratio that the best of N tries shows by luck alone, and the probability that an observed one beats it.

Notation: N trials (effective: as many independent ones as would do the same), Sharpe ratios per observation, V their
variance across trials, T observations. Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, Journal of
Portfolio Management 40(5), SSRN 2460551.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

from .sharpe_ratio import Moments, psr

NULL_HYPOTHESIS = (
    "the true Sharpe ratio is at most what the best of N independent configurations without an edge is expected to show"
)
EULER = float(np.euler_gamma)
MOST = 1e12  # trials: nobody makes more
HALVINGS = 60
TAIL = 12.0  # a standard normal holds nothing beyond, in float64


@dataclass(frozen=True)
class Deflated:
    """sr0: the Sharpe ratio to beat, per observation. dsr: the confidence that it is beaten."""

    sr0: float
    dsr: float


def expected_max_z(trials: float) -> float:
    """Expected maximum of N standard normals, the paper's approximation; 0 for a single one."""
    if trials <= 1:
        return 0.0
    return float((1 - EULER) * norm.ppf(1 - 1 / trials) + EULER * norm.ppf(1 - 1 / (trials * math.e)))


def max_z_moments(trials: int) -> tuple[float, float]:
    """Mean and standard deviation of the maximum of N standard normals, by integration."""

    def moment(power: int) -> float:
        def density(z: float) -> float:
            return float(z**power * trials * norm.pdf(z) * norm.cdf(z) ** (trials - 1))

        return float(quad(density, -TAIL, TAIL, limit=200, epsabs=1e-12, points=[math.sqrt(2 * math.log(trials))])[0])

    if trials <= 1:
        return 0.0, 1.0
    mean = moment(1)
    return mean, math.sqrt(moment(2) - mean**2)


def max_z_quantile(trials: float, q: float = 0.95) -> float:
    """Quantile q of the maximum of N standard normals."""
    return float(norm.ppf(q ** (1 / trials)))


def deflated_sharpe_ratio(observed: Moments, trials: float, variance: float, mean: float = 0.0) -> Deflated:
    """Deflate `observed` by N trials whose Sharpe ratios have this variance and mean, all per observation."""
    sr0 = mean + math.sqrt(variance) * expected_max_z(trials)
    return Deflated(sr0, psr(observed.sr, sr0, observed.n, observed.skew, observed.kurtosis))


def trials_that_reach(z: float) -> float:
    """The number of standard normals whose expected maximum is `z`, from 2 to MOST; the inverse of `expected_max_z`."""
    low, high = math.log(2.0), math.log(MOST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if expected_max_z(math.exp(middle)) < z else (low, middle)
    return math.exp((low + high) / 2)


def prudent(trials: float, variance: float, mean: float, n: int) -> tuple[float, float, float]:
    """N at least 2, V at least that of estimation alone, 1 / (T - 1), and a mean of at least 0."""
    return max(2.0, trials), max(variance, 1.0 / (n - 1)), max(0.0, mean)
