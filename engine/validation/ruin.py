"""Probability of losing a given share of the equity, and the drawdown to expect, for a drift and a volatility.

Notation: log equity as a Brownian motion with drift mu and volatility sigma, both per year, watched continuously (daily
marks see slightly less). Karatzas and Shreve (1991) for first passage; Feller (1968) for bets; Magdon-Ismail, Atiya,
Pratap and Abu-Mostafa (2004), On the Maximum Drawdown of a Brownian Motion.
"""

import math

import numpy as np
from scipy.stats import norm

from ..bars import Floats
from ..metrics import DAYS_PER_YEAR

NULL_HYPOTHESIS = (
    "none: it assumes independent, identically distributed log returns with the drift and volatility given"
)


def ruin_probability(mu: float, sigma: float, barrier: float, years: float | None = None) -> float:
    """Probability that log equity falls by `barrier` > 0 within `years`, or ever when None."""
    if years is None:
        return 1.0 if mu <= 0 else math.exp(-2.0 * mu * barrier / sigma**2)
    spread = sigma * math.sqrt(years)
    below = norm.cdf((-barrier - mu * years) / spread)
    # a product of what overflows and what vanishes when a steady loss outweighs the volatility: taken in logs
    reflected = math.exp(-2.0 * mu * barrier / sigma**2 + norm.logcdf((-barrier + mu * years) / spread))
    return min(1.0, float(below + reflected))


def gamblers_ruin(p_win: float, units: int) -> float:
    """Probability to lose `units` equal bets in the long run, each won with probability p_win."""
    return 1.0 if p_win <= 0.5 else ((1.0 - p_win) / p_win) ** units


def expected_max_drawdown(sigma: float, years: float) -> float:
    """Expected largest fall of log equity without drift."""
    return math.sqrt(math.pi / 2.0) * sigma * math.sqrt(years)


def ruin_with_uncertainty(r: Floats, loss: float, years: float, draws: int, seed: int) -> float:
    """Probability of a fall by the fraction `loss` below the start within `years`, averaged over what mu and sigma may
    be given daily returns r float64 [D] (Student and chi-squared, no prior knowledge). NaN for fewer than three days.
    """
    logs = np.log1p(r[r > -1])
    if len(logs) < 3 or np.all(logs == logs[0]) or len(logs) < len(r):
        return 1.0 if len(logs) < len(r) else math.nan
    rng = np.random.default_rng(seed)
    n = len(logs)
    sigma = np.std(logs, ddof=1) * np.sqrt((n - 1) / rng.chisquare(n - 1, draws))
    mu = rng.normal(np.mean(logs), sigma / math.sqrt(n))
    barrier = -math.log1p(-loss)
    yearly = zip(mu * DAYS_PER_YEAR, sigma * math.sqrt(DAYS_PER_YEAR), strict=True)
    return float(np.mean([ruin_probability(m, s, barrier, years) for m, s in yearly]))
