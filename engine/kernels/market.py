"""Candles prepared for the screen: every series of a space once, and a pyramid over the prices.

Notation: T bars; W windows of one timeframe; P decision points. Two EMAs can only change sides where a window of either
becomes known, so each fast timeframe has its own list of decision points: the bars at which one of its windows or one
of any slow timeframe becomes known. Series are float64 at their own resolution; the fast ones are also laid out on
the decision points as float32, which may only be trusted where the two sides differ: rounding is monotone, so equal
float32 values are decided by the float64 ones.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..bars import Bars, Floats, Ints
from ..indicators import ema
from ..strategies.mtf_ema import Space
from ..timeframes import Windows, windows
from .exact import day_slots
from .reference import FUNDING_MS
from .simd import BLOCK, LANES

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Bank:
    """The series of one timeframe, one row per period from `first_period` on.

    values float64 [R, W], NaN where not valid; known int64 [W].
    """

    tf: int
    first_period: int
    values: Floats
    known: Ints


@dataclass(frozen=True, eq=False)
class Grid:
    """The decision points of one fast timeframe, padded with NaN to whole blocks of 64.

    at int32 [P]: the bar of each point. fast float32 [R, P]; low, high float32 [R, P/64]: extremes of each block,
    infinite where a value is missing. fast_window int32 [P], slow_window int32 [S, P]: newest window known at
    the point, -1 if none, for this timeframe and for each slow one.
    """

    at: I32
    fast: F32
    low: F32
    high: F32
    fast_window: I32
    slow_window: I32


@dataclass(frozen=True, eq=False)
class Prices:
    """Prices in tiles of 16 bars, so that what one exit needs lies together.

    tiles float64 [B * 48]: per tile 16 lows, 16 highs, 16 opens; bars past the end touch nothing. low, high float64
    [B + 16]: extremes of each tile. day int32 [T]: index of the bar's UTC day. charges int32 [T]: funding times up to
    each bar's open. day_close, day_charges float64 [D]: close of each day's last bar, and its funding times.
    """

    tiles: Floats
    low: Floats
    high: Floats
    day: I32
    charges: I32
    day_close: Floats
    day_charges: Floats


@dataclass(frozen=True, eq=False)
class Market:
    """All a screen of `space` over `bars` needs; shared by threads, never written."""

    bars: Bars
    space: Space
    fast: tuple[Bank, ...]
    slow: tuple[Bank, ...]
    grids: tuple[Grid, ...]
    prices: Prices

    @property
    def days(self) -> int:
        return len(self.prices.day_close)


def prepare(bars: Bars, space: Space, *, threads: int = 1) -> Market:
    """Build series and price pyramid. Raises BadConfig for a timeframe that is no multiple of the bars' own."""
    with ThreadPoolExecutor(max_workers=threads) as pool:
        fast = tuple(pool.map(lambda tf: _bank(bars, tf, space.fast_period), space.fast_tf))
        slow = tuple(pool.map(lambda tf: _bank(bars, tf, space.slow_period), space.slow_tf))
        newest = [newest_window(bank.known, len(bars)) for bank in slow]
        grids = tuple(pool.map(lambda bank: _grid(bank, newest, len(bars)), fast))
    return Market(bars, space, fast, slow, grids, _prices(bars))


def _bank(bars: Bars, tf: int, periods: tuple[int, int]) -> Bank:
    found: Windows = windows(bars, tf)
    values = np.empty((periods[1] - periods[0] + 1, len(found)), dtype=np.float64)
    for row, period in enumerate(range(periods[0], periods[1] + 1)):
        values[row] = ema(found.close, period)
    return Bank(tf, periods[0], values, found.known)


def _grid(fast: Bank, slow: list[I32], bars: int) -> Grid:
    at, fast_window, slow_window = decision_points(newest_window(fast.known, bars), slow, BLOCK)
    values = np.empty((len(fast.values), len(fast_window)), dtype=np.float32)
    low = np.empty((len(values), len(fast_window) // BLOCK), dtype=np.float32)
    high = np.empty_like(low)
    for row in range(len(values)):
        lay_out(fast.values[row], fast_window, values[row], low[row], high[row])
    return Grid(at, values, low, high, fast_window, slow_window)


def newest_window(known: Ints, bars: int) -> I32:
    """int32 [T]: the newest window known at each bar, -1 if none. known: the bar at which each window is."""
    counts = np.bincount(known, minlength=bars)[:bars]
    return np.cumsum(counts, dtype=np.int32) - np.int32(1)


def decision_points(fast: I32, slow: list[I32], block: int) -> tuple[I32, I32, I32]:
    """Where a pair with this fast timeframe can turn: `at` int32 [P'], and `fast_window` int32 [P] and `slow_window`
    int32 [S, P] as in Grid, padded to whole blocks.

    fast, slow: the newest window of each timeframe at each bar, int32 [T].
    """
    changed = fast[:-1] > np.append(np.int32(-1), fast[:-2])  # a cross at the last bar acts nowhere
    for newest in slow:
        changed |= newest[:-1] > np.append(np.int32(-1), newest[:-2])
    at = np.flatnonzero(changed)
    places = -(-max(len(at), 1) // block) * block
    windows_at = np.full((1 + len(slow), places), -1, dtype=np.int32)
    for row, newest in zip(windows_at, (fast, *slow), strict=True):
        row[: len(at)] = newest[at]
    return at.astype(np.int32), windows_at[0], windows_at[1:]


@njit(cache=True, nogil=True)
def lay_out(values: Floats, window: I32, out: F32, low: F32, high: F32) -> None:
    """Lay a series, float64 [W], on decision points: out float32 [P], and the extremes of each block of 64."""
    for block in range(len(low)):
        least, most, missing = np.float32(np.inf), np.float32(-np.inf), False
        for p in range(block * BLOCK, (block + 1) * BLOCK):
            value = np.float32(values[window[p]]) if window[p] >= 0 else np.float32(np.nan)
            out[p] = value
            least, most = min(least, value), max(most, value)
            missing |= value != value
        low[block] = -np.inf if missing else least
        high[block] = np.inf if missing else most


def _prices(bars: Bars) -> Prices:
    count = -(-len(bars) // LANES)
    tiles = np.stack(
        [
            padded(bars.low, count * LANES, np.inf).reshape(count, LANES),
            padded(bars.high, count * LANES, -np.inf).reshape(count, LANES),
            padded(bars.open, count * LANES, np.nan).reshape(count, LANES),
        ],
        axis=1,
    )
    day, charges, last = daily(bars)
    return Prices(
        tiles=tiles.ravel(),
        low=padded(tiles[:, 0].min(axis=1), count + LANES, np.inf),
        high=padded(tiles[:, 1].max(axis=1), count + LANES, -np.inf),
        day=day,
        charges=charges,
        day_close=bars.close[last],
        day_charges=charges[last].astype(np.float64),
    )


def daily(bars: Bars) -> tuple[I32, I32, Ints]:
    """`day` and `charges`, int32 [T], as in Prices, and int64 [D]: the last bar of each day."""
    _, slot = day_slots(bars, 0)
    last = np.append(np.flatnonzero(slot[1:] != slot[:-1]), len(bars) - 1)
    charges = bars.time // FUNDING_MS - bars.time[0] // FUNDING_MS
    return slot, charges.astype(np.int32), last


def padded(values: Floats, length: int, filler: float) -> Floats:
    return np.concatenate([values, np.full(length - len(values), filler)])
