"""Which of K strategies beat the benchmark, with the probability of any false one controlled and their dependence used.

Notation: t float64 [K] observed studentised statistics; boot float64 [B, K] the same on B resamples under the null.
Romano and Wolf (2005), Econometrica 73(4); p-values as in Romano and Wolf (2016), (1 + #) / (B + 1).
"""

import numpy as np

from ..bars import Floats

NULL_HYPOTHESIS = "no strategy beats the benchmark; the resamples were drawn under that null"


def single_step(t: Floats, boot: Floats) -> Floats:
    """p-values against the maximum over all K."""
    return _p_values(t, boot.max(axis=1))


def step_down(t: Floats, boot: Floats) -> Floats:
    """p-values against the maximum over those not larger than the one tested, made monotone."""
    order = np.argsort(-t, kind="stable")
    largest = np.maximum.accumulate(boot[:, order[::-1]], axis=1)[:, ::-1]
    stepped = (1 + np.count_nonzero(largest >= t[order], axis=0)) / (len(boot) + 1)
    adjusted = np.empty(len(t))
    adjusted[order] = np.maximum.accumulate(stepped)
    return adjusted


def _p_values(t: Floats, largest: Floats) -> Floats:
    found: Floats = (1 + np.count_nonzero(largest[:, None] >= t, axis=0)) / (len(largest) + 1)
    return found
