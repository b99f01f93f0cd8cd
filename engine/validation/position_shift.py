"""Does it matter when the positions were held, or would the same positions at other times have done as well?

Notation: r float64 [T] returns of the market, position float64 [T] held over them. Every circular shift keeps exposure,
number and length of the trades, and the market's path; only their timing is lost.
"""

import numpy as np

from ..bars import Floats

NULL_HYPOTHESIS = "the timing of the positions is unrelated to the market's returns"


def shifted_sums(r: Floats, position: Floats) -> Floats:
    """sum(position rolled by s, times r) for every shift s = 0..T-1, float64 [T]."""
    n = len(r)
    found: Floats = np.array([float(np.roll(position, shift) @ r) for shift in range(n)])
    return found


def shift_p_value(statistics: Floats) -> float:
    """Share of shifts, the observed one at index 0 included, that do at least as well. Rounding counts as a tie."""
    slack = 1e-12 * max(1.0, float(np.max(np.abs(statistics))))
    return float(np.mean(statistics >= statistics[0] - slack))
