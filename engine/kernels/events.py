"""The event form of a backtest: from cross to cross, and from entry to the first bar that touches an exit.

Every decision (which side, which bar, which exit) is made in float64 and equals the exact simulator's. Notation as in
market.py; s = +1 long, -1 short. In signed coordinates (s * price) a stop always lies below and a take above, so one
code serves both sides.
"""

from typing import Any

import numpy as np
from numba import njit

from .simd import BLOCK, LANES, above_below, lowest_bit, touches

TILE = 3 * LANES  # lows, highs, opens


@njit(cache=True, nogil=True)
def find_crosses(
    fast: Any, fast_low: Any, fast_high: Any, slow: Any, slow_low: Any, slow_high: Any, at: Any,
    fast64: Any, fast_window: Any, slow64: Any, slow_window: Any, bar: Any, side_of: Any,
) -> int:  # fmt: skip
    """Write the bars at whose open a cross acts, and its side, into `bar` and `side_of`; returns how many."""
    count, side = 0, 0
    for block in range(len(fast_low)):
        uniform = 0
        if fast_low[block] > slow_high[block]:
            uniform = 1
        elif fast_high[block] < slow_low[block]:
            uniform = -1
        first = block * BLOCK
        if uniform != 0:
            if side == -uniform:
                bar[count] = at[first] + 1
                side_of[count] = uniform
                count += 1
            side = uniform
            continue
        above, below = above_below(fast, first, slow, first)
        level = ~(above | below)
        while level != 0:
            k = lowest_bit(level)
            level &= level - np.uint64(1)
            p = first + k
            if fast[p] == slow[p]:
                f, s = fast64[fast_window[p]], slow64[slow_window[p]]
                above |= np.uint64(f > s) << np.uint64(k)
                below |= np.uint64(f < s) << np.uint64(k)
        decided = above | below
        if decided == ~np.uint64(0):
            before = above if side == 0 else np.uint64(side > 0)
            turns = above ^ ((above << np.uint64(1)) | (before & np.uint64(1)))
            side = 1 if above >> np.uint64(BLOCK - 1) else -1
        else:
            turns, side = _turns_with_holes(above, decided, side)
        while turns != 0:
            k = lowest_bit(turns)
            turns &= turns - np.uint64(1)
            bar[count] = at[first + k] + 1
            side_of[count] = 1 if (above >> np.uint64(k)) & np.uint64(1) else -1
            count += 1
    return count


@njit(cache=True, nogil=True)
def _turns_with_holes(above: Any, decided: Any, side: int) -> Any:
    """(bits where the side turns, last side) when some points have no side: they keep the one before."""
    turns = np.uint64(0)
    while decided != 0:
        k = lowest_bit(decided)
        decided &= decided - np.uint64(1)
        new = 1 if (above >> np.uint64(k)) & np.uint64(1) else -1
        if side == -new:
            turns |= np.uint64(1) << np.uint64(k)
        side = new
    return turns, side


@njit(cache=True, nogil=True, inline="always")
def touch_in_tile(tiles: Any, tile: int, lane: int, s: int, stop: float, take: float) -> int:
    """The first lane of the tile from `lane` on whose worst price is at the stop or best at the take; 16 if none.

    stop, take: levels in signed coordinates, infinite when off.
    """
    lows, highs = tile * TILE, tile * TILE + LANES
    worst, best = (lows, highs) if s > 0 else (highs, lows)
    touched = touches(tiles, worst, tiles, best, float(s), stop, take) & (~np.uint64(0) << np.uint64(lane))
    return lowest_bit(touched) if touched != 0 else LANES


@njit(cache=True, nogil=True, inline="always")
def next_tile(low: Any, high: Any, tile: int, until: int, s: int, stop: float, take: float) -> int:
    """The first tile in [tile, until) that holds a touch; `until` if none."""
    while tile < until:
        if s > 0:
            touched = touches(low, tile, high, tile, 1.0, stop, take)
        else:
            touched = touches(high, tile, low, tile, -1.0, stop, take)
        if touched != 0:
            return min(tile + lowest_bit(touched), until)
        tile += LANES
    return until


@njit(cache=True, nogil=True)
def trail_in_tile(
    tiles: Any, tile: int, lane: int, s: int, best: float, stop: float, take: float, factor: float
) -> Any:
    """(lane, best price seen, stop in force) like touch_in_tile, with a stop that also follows the best price x factor.

    best, stop, take: signed coordinates.
    """
    lows, highs = tile * TILE, tile * TILE + LANES
    worst_at, best_at = (lows, highs) if s > 0 else (highs, lows)
    for k in range(lane, LANES):
        level = max(stop, best * factor)
        reach = s * tiles[best_at + k]
        if s * tiles[worst_at + k] <= level or reach >= take:
            return k, best, level
        best = max(best, reach)
    return LANES, best, stop


@njit(cache=True, nogil=True)
def trail_next_tile(
    low: Any, high: Any, tile: int, until: int, s: int, best: float, stop: float, take: float, factor: float
) -> Any:
    """(tile, best price seen before it): the first tile in [tile, until) that may hold a touch; `until` if none."""
    while tile < until:
        worst = s * (low[tile] if s > 0 else high[tile])
        reach = s * (high[tile] if s > 0 else low[tile])
        most = max(best, reach)
        if worst <= max(stop, most * factor) or reach >= take:
            return tile, best
        best = most
        tile += 1
    return until, best
