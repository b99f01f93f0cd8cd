"""The same market with other prices at the same times: what a permutation needs thousands of.

Everything that follows from the timestamps (windows, decision points, days, funding times) is taken from a prepared
market; what follows from the prices is written into buffers that are used again. Notation as in market.py.
"""

from typing import Any

import numpy as np
from numba import njit

from ..bars import MINUTE_MS, Bars, Ints
from ..timeframes import windows
from .market import Bank, Grid, Market, Prices, lay_out
from .simd import LANES

AT_ONCE = 8  # averages that advance together: one alone waits for its own last value


class Rebuilder:
    """Buffers for one market at a time; one of these per thread."""

    def __init__(self, real: Market) -> None:
        self._real = real
        self._ends = [_ends(real.bars, bank.tf) for bank in (*real.fast, *real.slow)]
        self._fast = tuple(Bank(b.tf, b.first_period, np.empty_like(b.values), b.known) for b in real.fast)
        self._slow = tuple(Bank(b.tf, b.first_period, np.empty_like(b.values), b.known) for b in real.slow)
        self._grids = tuple(
            Grid(g.at, np.empty_like(g.fast), np.empty_like(g.low), np.empty_like(g.high), g.fast_window, g.slow_window)
            for g in real.grids
        )
        p = real.prices
        self._tiles, self._low, self._high = p.tiles.copy(), p.low.copy(), p.high.copy()
        self._last_of_day = np.append(np.flatnonzero(np.diff(p.day)), len(p.day) - 1)

    def rebuild(self, bars: Bars) -> Market:
        """The market of `bars`, which have the times of the real ones. It is good until the next call.

        Equal, to the last bit, to preparing it anew.
        """
        real, p = self._real, self._real.prices
        for bank, end in zip((*self._fast, *self._slow), self._ends, strict=True):
            averages(bars.close[end], bank.first_period, bank.values)
        for bank, grid in zip(self._fast, self._grids, strict=True):
            _lay_out_all(bank.values, grid.fast_window, grid.fast, grid.low, grid.high)
        _fill_tiles(bars.open, bars.high, bars.low, self._tiles, self._low, self._high)
        closes = bars.close[self._last_of_day]
        prices = Prices(self._tiles, self._low, self._high, p.day, p.charges, closes, p.day_charges)
        return Market(bars, real.space, self._fast, self._slow, self._grids, prices)


def _ends(bars: Bars, tf: int) -> Ints:
    """int64 [W]: the last bar of each window."""
    last: Ints = np.searchsorted(bars.time, windows(bars, tf).start + tf * MINUTE_MS) - 1
    return last


@njit(cache=True, nogil=True)
def averages(close: Any, first_period: int, out: Any) -> None:
    """`ema` of float64 [W] for each period from `first_period` on: float64 [R, W], equal to the last bit."""
    rows, count = out.shape
    if count == 0:
        return
    y = np.empty(AT_ONCE, dtype=np.float64)
    a = np.empty(AT_ONCE, dtype=np.float64)
    for first in range(0, rows, AT_ONCE):
        used = min(AT_ONCE, rows - first)
        for j in range(AT_ONCE):
            a[j] = 2.0 / (first_period + first + j + 1.0)
            y[j] = close[0]
        for j in range(used):
            out[first + j, 0] = close[0]
        for k in range(1, count):
            c = close[k]
            for j in range(AT_ONCE):
                y[j] = y[j] + a[j] * (c - y[j])
            for j in range(used):
                out[first + j, k] = y[j]
    for row in range(rows):
        out[row, : first_period + row - 1] = np.nan


@njit(cache=True, nogil=True)
def _lay_out_all(values: Any, window: Any, out: Any, low: Any, high: Any) -> None:
    for row in range(len(values)):
        lay_out(values[row], window, out[row], low[row], high[row])


@njit(cache=True, nogil=True)
def _fill_tiles(opened: Any, highest: Any, lowest: Any, tiles: Any, low: Any, high: Any) -> None:
    """Overwrite the bars in the tiles and the extremes of each tile; what pads them stays."""
    bars = len(opened)
    for tile in range((bars + LANES - 1) // LANES):
        first = tile * 3 * LANES
        least, most = np.inf, -np.inf
        for lane in range(min(LANES, bars - tile * LANES)):
            i = tile * LANES + lane
            tiles[first + lane] = lowest[i]
            tiles[first + LANES + lane] = highest[i]
            tiles[first + 2 * LANES + lane] = opened[i]
            least, most = min(least, lowest[i]), max(most, highest[i])
        low[tile], high[tile] = least, most


@njit(cache=True, nogil=True)
def prices_from_ratios(first_open: float, gap: Any, high: Any, low: Any, close: Any, shift: float, out: Any) -> None:
    """Open, high, low, close, float64 [4, T], of bars whose open is `gap` times the close before, times `shift`.

    high, low, close float64 [T] over the open. Products of rounded factors keep their order: no low is above its open.
    """
    last = first_open
    for i in range(len(gap)):
        opened = last * (gap[i] * shift)
        last = opened * close[i]
        out[0, i] = opened
        out[1, i] = opened * high[i]
        out[2, i] = opened * low[i]
        out[3, i] = last


@njit(cache=True, nogil=True)
def last_close(first_open: float, gap: Any, close: Any) -> float:
    """The last close that these ratios lead to."""
    last = first_open
    for i in range(len(gap)):
        last = last * gap[i] * close[i]
    return last
