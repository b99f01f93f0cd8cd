"""Does it matter when the positions were held, or would the same positions at other times have done as well?

Notation: r float64 [T] returns of the market, position float64 [T] held over them. Every circular shift keeps exposure,
number and length of the trades, and the market's path; only their timing is lost. Costs are the same for every shift.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..backtest import Backtest
from ..bars import Bars, Floats

NULL_HYPOTHESIS = "the timing of the positions is unrelated to the market's returns"
SHIFTS = 9_999


@dataclass(frozen=True)
class Timing:
    """`p` of the observed timing among `shifts` others, `better` of which do at least as well; `exposure`: share of
    bars with a position; `earned`: sum of position times return."""

    p: float
    shifts: int
    better: int
    exposure: float
    earned: float


def timing(run: Backtest, bars: Bars, start: int) -> Timing:
    """p of the positions of `run`, traded on `bars` from bar `start` on, bar by bar.

    A position is held over a bar from its open to the next one; a bar inside which it is closed counts in full.
    Shifts are drawn without replacement by a seed that follows from the candles; all of them when there are fewer.
    p = (1 + better) / (1 + shifts); 1 without a trade.
    """
    opens = bars.open[start:]
    r = np.append(opens[1:], bars.close[-1]) / opens - 1.0
    position = positions(run, len(bars))[start:]
    sums = shifted_sums(r, position)
    words = [int(bars.sha256[at : at + 8], 16) for at in range(0, 32, 8)]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
    others = np.sort(rng.permutation(np.arange(1, len(r)))[:SHIFTS])
    better = int(np.count_nonzero(sums[others] >= sums[0] - _slack(sums)))
    p = (1 + better) / (1 + len(others))
    return Timing(p, len(others), better, float(np.mean(position != 0)), float(sums[0]))


def positions(run: Backtest, bars: int) -> Floats:
    """float64 [bars]: the side held over each bar."""
    held = np.zeros(bars)
    for one in run.trades:
        held[one["entry"] : one["exit"] + (not one["at_open"])] = one["side"]
    return held


def shifted_sums(r: Floats, position: Floats) -> Floats:
    """sum(position rolled by s, times r) for every shift s = 0..T-1, float64 [T], all at once in the frequencies."""
    n = len(r)
    found: Floats = np.fft.irfft(np.fft.rfft(r) * np.conj(np.fft.rfft(position)), n)
    found[0] = math.fsum(position * r)
    return found


def shift_p_value(statistics: Floats) -> float:
    """Share of shifts, the observed one at index 0 included, that do at least as well. Rounding counts as a tie."""
    return float(np.mean(statistics >= statistics[0] - _slack(statistics)))


def _slack(statistics: Floats) -> float:
    return 1e-12 * max(1.0, float(np.max(np.abs(statistics))))
