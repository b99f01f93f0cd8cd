"""Candles laid out for the screen on a GPU: the arrays it is handed, and the records that tell it where they are.

Notation as in market.py, with blocks and tiles of 32, a warp's width. Series and their extremes are built on the
device; what is prepared here are windows, decision points and prices. The records mirror the structures of screen.cu.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bars import Bars, Floats
from ..strategies.mtf_ema import Space
from ..timeframes import Windows, windows
from .market import I32, daily, decision_points, newest_window, padded

WARP = 32

SERIES = np.dtype(
    [("exact", "u8"), ("rounded", "u8"), ("close", "u8")]
    + [(name, "i4") for name in ("minutes", "first_period", "rows", "windows")]
)
GRID = np.dtype(
    [(name, "u8") for name in ("at", "fast_window", "slow_window", "fast_low", "fast_high", "slow_low", "slow_high")]
    + [("points", "i4"), ("blocks", "i4")]
)
MARKET = np.dtype(
    [
        (name, "u8")
        for name in (
            "grids", "fast", "slow", "low", "high", "open", "tile_low", "tile_high", "day", "charges", "day_close",
            "day_charges",
        )
    ]
    + [(name, "i4") for name in ("bars", "days", "fast_tfs", "slow_tfs")]
)  # fmt: skip
DECISION = np.dtype([(name, "i4") for name in ("entry", "exit", "side", "reason")])
WORK = np.dtype([(name, "i4") for name in ("groups", "blocks", "bars", "tiles", "marks", "trades")])
"""Steps of a whole warp: comparing 32 blocks by their extremes, 32 points, 32 bars, 32 tiles, up to 32 days."""


@dataclass(frozen=True, eq=False)
class Bank:
    """One timeframe whose EMAs are to be built, a row per period from `first_period` on."""

    minutes: int
    first_period: int
    rows: int
    windows: Windows

    @property
    def values(self) -> int:
        return self.rows * len(self.windows)


@dataclass(frozen=True, eq=False)
class Points:
    """The decision points of one fast timeframe, see Grid of market.py."""

    at: I32
    fast_window: I32
    slow_window: I32

    @property
    def blocks(self) -> int:
        return len(self.fast_window) // WARP


@dataclass(frozen=True, eq=False)
class Layout:
    """What goes to the device. low, high, open float64 [B * 32]; tile_low, tile_high float64 [B]; the rest as in Prices
    of market.py."""

    fast: tuple[Bank, ...]
    slow: tuple[Bank, ...]
    points: tuple[Points, ...]
    prices: dict[str, Floats | I32]
    bars: int
    days: int

    @property
    def extremes(self) -> int:
        """How many blocks of all series have their extremes on the device."""
        slow_rows = sum(bank.rows for bank in self.slow)
        return sum((bank.rows + slow_rows) * points.blocks for bank, points in zip(self.fast, self.points, strict=True))

    @property
    def nbytes(self) -> int:
        """Memory the market takes on the device."""
        points = sum(p.at.nbytes + p.fast_window.nbytes + p.slow_window.nbytes for p in self.points)
        series = sum(12 * bank.values + bank.windows.close.nbytes for bank in (*self.fast, *self.slow))
        return points + series + 8 * self.extremes + sum(values.nbytes for values in self.prices.values())


def lay_out(bars: Bars, space: Space) -> Layout:
    """Raises BadConfig for a timeframe that is no multiple of the bars' own."""
    fast = tuple(_bank(bars, tf, space.fast_period) for tf in space.fast_tf)
    slow = tuple(_bank(bars, tf, space.slow_period) for tf in space.slow_tf)
    newest = [newest_window(bank.windows.known, len(bars)) for bank in (*fast, *slow)]
    points = tuple(Points(*decision_points(one, newest[len(fast) :], WARP)) for one in newest[: len(fast)])
    day, charges, last = daily(bars)
    count = -(-len(bars) // WARP)
    low, high = padded(bars.low, count * WARP, np.inf), padded(bars.high, count * WARP, -np.inf)
    prices: dict[str, NDArray[np.float64] | I32] = {
        "low": low,
        "high": high,
        "open": padded(bars.open, count * WARP, np.nan),
        "tile_low": low.reshape(count, WARP).min(axis=1),
        "tile_high": high.reshape(count, WARP).max(axis=1),
        "day": day,
        "charges": charges,
        "day_close": bars.close[last],
        "day_charges": charges[last].astype(np.float64),
    }
    return Layout(fast, slow, points, prices, len(bars), len(last))


def _bank(bars: Bars, tf: int, periods: tuple[int, int]) -> Bank:
    return Bank(tf, periods[0], periods[1] - periods[0] + 1, windows(bars, tf))
