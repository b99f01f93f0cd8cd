"""The event form of a backtest: from cross to cross, and from entry to the first bar that touches an exit.

Every decision (which side, which bar, which exit) is made in float64 and equals the exact simulator's; float32 only
says quickly where nothing can happen. Notation as in market.py; s = +1 long, -1 short. In signed coordinates
(s * price) a stop always lies below and a take above.
"""

from typing import Any

import numpy as np
from numba import njit

from .simd import BLOCK, LANES, above_below, lowest_bit, touches

SLACK = 2.0e-7  # more than half a float32 ulp: a level pushed out by it covers its own rounding


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def first_touch(prices: Any, entry: int, end: int, s: int, stop: float, take: float) -> int:
    """The first bar in [entry, end) whose worst price is at the stop or best at the take; `end` if none.

    stop, take: levels in signed coordinates, infinite when off.
    """
    ohlc, low, high, low16, high16 = prices
    worst, best = (low, high) if s > 0 else (high, low)
    worst16, best16 = (low16, high16) if s > 0 else (high16, low16)
    near, far = np.float32(stop + abs(stop) * SLACK), np.float32(take - abs(take) * SLACK)
    sign = np.float32(s)
    block = entry // LANES
    inside = np.uint64(touches(worst, best, block * LANES, sign, near, far))
    inside &= ~np.uint64(0) << np.uint64(entry - block * LANES)
    while inside != 0:
        j = block * LANES + lowest_bit(inside)
        if j >= end:
            return end
        if _really(ohlc, j, s, stop, take):
            return j
        inside &= inside - np.uint64(1)
    block += 1
    while block * LANES < end:
        group = block // LANES * LANES
        blocks = np.uint64(touches(worst16, best16, group, sign, near, far))
        blocks &= ~np.uint64(0) << np.uint64(block - group)
        while blocks != 0:
            first = (group + lowest_bit(blocks)) * LANES
            if first >= end:
                return end
            blocks &= blocks - np.uint64(1)
            inside = np.uint64(touches(worst, best, first, sign, near, far))
            while inside != 0:
                j = first + lowest_bit(inside)
                if j >= end:
                    return end
                if _really(ohlc, j, s, stop, take):
                    return j
                inside &= inside - np.uint64(1)
        block = group + LANES
    return end


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _really(ohlc: Any, j: int, s: int, stop: float, take: float) -> bool:
    worst, best = (ohlc[j, 2], ohlc[j, 1]) if s > 0 else (ohlc[j, 1], ohlc[j, 2])
    return s * worst <= stop or s * best >= take


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def first_touch_trailing(
    ohlc: Any, block_low: Any, block_high: Any, entry: int, end: int, s: int,
    pe: float, stop: float, take: float, factor: float,
) -> Any:  # fmt: skip
    """(bar, stop in force there) like first_touch, with a stop that also follows the best price seen, x `factor`.

    stop, take, and the stop returned: signed coordinates.
    """
    worst_column, best_column = (2, 1) if s > 0 else (1, 2)
    best_so_far = s * pe
    j = entry
    while j < end:
        if j % LANES == 0:
            block = j // LANES
            worst = s * (block_low[block] if s > 0 else block_high[block])
            best = s * (block_high[block] if s > 0 else block_low[block])
            most = max(best_so_far, best)
            if worst > max(stop, most * factor) and best < take:
                best_so_far = most
                j += LANES
                continue
        stop_now = max(stop, best_so_far * factor)
        until = min(end, (j // LANES + 1) * LANES)
        while j < until:
            best = s * ohlc[j, best_column]
            if s * ohlc[j, worst_column] <= stop_now or best >= take:
                return j, stop_now
            best_so_far = max(best_so_far, best)
            stop_now = max(stop, best_so_far * factor)
            j += 1
    return end, -np.inf
