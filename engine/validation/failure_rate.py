"""How many of n null markets may be certified for the rate of false certificates to be below a bound.

Clopper and Pearson (1934), one-sided.
"""

from scipy.stats import beta, binom

NULL_HYPOTHESIS = "the rate of false certificates is at least the bound"


def upper_bound(failures: int, n: int, confidence: float = 0.95) -> float:
    """The rate above which so few failures have a probability under 1 - confidence."""
    return float(beta.ppf(confidence, failures + 1, n - failures)) if failures < n else 1.0


def max_failures(n: int, rate: float = 0.05, confidence: float = 0.95) -> int | None:
    """Most failures in n trials for which upper_bound is still at most `rate`; None when even 0 is too many."""
    allowed = None
    for failures in range(n + 1):
        if upper_bound(failures, n, confidence) > rate:
            break
        allowed = failures
    return allowed


def pass_probability(allowed: int, n: int, true_rate: float) -> float:
    """Probability of at most `allowed` failures in n at a true rate."""
    return float(binom.cdf(allowed, n, true_rate))
