"""From the crosses of one combo to its daily equity: orders, their exits, the money, and the moments of its returns.

Notation as in market.py and events.py; D days. Equity is marked once a day and ruin tested there and at fills.
"""

from typing import Any

import numpy as np
from numba import njit

from ..metrics import DAYS_PER_YEAR
from .events import TILE, next_tile, touch_in_tile, trail_in_tile, trail_next_tile
from .simd import LANES, prefetch

MOMENTS = 4
AHEAD = 8  # orders whose prices are asked for ahead of the one at work

ORDER = np.dtype(
    [
        ("entry", np.int64),
        ("end", np.int64),
        ("exit", np.int64),
        ("tile", np.int64),
        ("side", np.int64),
        ("price", np.float64),
        ("best", np.float64),
        ("stop", np.float64),
        ("take", np.float64),
        ("trail", np.float64),
    ]
)
"""One trade on its way. end: bar of the cross that closes it at the latest, T if none. tile: where to look next. best,
stop, take, trail: signed coordinates; trail is the stop in force at the exit."""


@njit(cache=True, nogil=True)
def trade(
    pyramid: Any,
    days: Any,
    combo: Any,
    money: Any,
    bar: Any,
    side: Any,
    orders: Any,
    edges: Any,
    marks: Any,
    exits: Any,
) -> None:
    """Trade one combo from cross to cross: daily equity into marks, exits counted by segment.

    marks float64 [D + 1], the first is 1.
    """
    count = _place(bar, side, combo[7], pyramid[3], orders)
    _find_exits(pyramid, combo, money[1], orders[:count])
    _settle(pyramid, days, money, orders[:count], edges, marks, exits)


@njit(cache=True, nogil=True)
def _place(bar: Any, side: Any, allowed: int, bars: int, orders: Any) -> int:
    """The trades that the crosses ask for: entry bar, side, and the bar of the cross that ends them at the latest."""
    count = 0
    for k in range(len(bar)):
        if allowed == 0 or allowed == side[k]:
            order = orders[count]
            order.entry = bar[k]
            order.end = bar[k + 1] if k + 1 < len(bar) else bars
            order.side = side[k]
            count += 1
    return count


@njit(cache=True, nogil=True)
def _find_exits(pyramid: Any, combo: Any, slippage: float, orders: Any) -> None:
    """Entry price, levels and exit bar of every order, in two passes: memory is asked for before it is needed."""
    tiles, low, high, _ = pyramid
    stop_loss, take_profit, trailing = combo[4] / 10000.0, combo[5] / 10000.0, combo[6] / 10000.0
    for k in range(min(AHEAD, len(orders))):
        _ask(tiles, orders[k].entry)
    for k in range(len(orders)):
        if k + AHEAD < len(orders):
            _ask(tiles, orders[k + AHEAD].entry)
        order = orders[k]
        s, tile, lane = order.side, order.entry // LANES, order.entry % LANES
        pe = tiles[tile * TILE + 2 * LANES + lane] * (1.0 + s * slippage)
        order.price = pe
        order.best = s * pe
        order.stop = s * (pe * (1.0 - s * stop_loss))
        order.take = s * (pe * (1.0 + s * take_profit)) if take_profit > 0.0 else np.inf
        order.exit = -1
        order.tile = tile
        _look(tiles, low, high, order, lane, trailing)
        if order.exit < 0:
            _ask(tiles, order.tile * LANES)
    for k in range(len(orders)):
        order = orders[k]
        while order.exit < 0:
            _look(tiles, low, high, order, 0, trailing)


@njit(cache=True, nogil=True, inline="always")
def _ask(tiles: Any, bar: int) -> None:
    """Prefetch the tile of a bar."""
    first = bar // LANES * TILE
    for line in range(0, TILE, 8):
        prefetch(tiles, first + line)


@njit(cache=True, nogil=True, inline="always")
def _look(tiles: Any, low: Any, high: Any, order: Any, lane: int, trailing: float) -> None:
    """Look for the exit in the order's tile from `lane` on; else move the order to the next tile that may hold it."""
    s, tile = order.side, order.tile
    until = (order.end + LANES - 1) // LANES
    if trailing > 0.0:
        factor = 1.0 - s * trailing
        lane, best, stop = trail_in_tile(tiles, tile, lane, s, order.best, order.stop, order.take, factor)
        order.best = best
        if lane < LANES:
            order.trail = stop
    else:
        lane = touch_in_tile(tiles, tile, lane, s, order.stop, order.take)
        if lane < LANES:
            order.trail = order.stop
    if lane < LANES:
        order.exit = min(tile * LANES + lane, order.end)
        return
    if trailing > 0.0:
        tile, order.best = trail_next_tile(low, high, tile + 1, until, s, order.best, order.stop, order.take, factor)
    else:
        tile = next_tile(low, high, tile + 1, until, s, order.stop, order.take)
    order.tile = tile
    if tile == until:
        order.exit = order.end


@njit(cache=True, nogil=True)
def _settle(pyramid: Any, days: Any, money: Any, orders: Any, edges: Any, marks: Any, exits: Any) -> None:
    """Run the equity through the orders: daily marks, and the number of exits in each segment."""
    fee, slippage, funding, leverage = money
    day, charges, day_close, day_charges = days
    bars = pyramid[3]
    equity, today, segment = 1.0, 0, 0
    marks[0] = 1.0
    for k in range(len(orders)):
        order = orders[k]
        s, pe = order.side, order.price
        px, held_until = _fill(pyramid[0], order, bars, day_close[-1], slippage)
        entered = day[order.entry]
        while today < entered:
            today += 1
            marks[today] = equity
        left = day[min(order.exit, bars - 1)]
        slope = equity * leverage * s / pe
        charge = equity * leverage * s * funding
        base = equity * (1.0 - leverage * s - leverage * fee) + charge * charges[order.entry]
        worst = 1.0
        for d in range(today, left):
            marks[d + 1] = base + slope * day_close[d] - charge * day_charges[d]
            worst = min(worst, marks[d + 1])
        if worst <= 0.0:
            left = today
            while marks[left + 1] > 0.0:
                left += 1
            equity = 0.0
        else:
            paid = charge * (charges[held_until] - charges[order.entry])
            equity = max(equity * (1.0 + leverage * (s * (px / pe - 1.0) - fee * (1.0 + px / pe))) - paid, 0.0)
        today = left
        while edges[segment + 1] <= left:
            segment += 1
        exits[segment] += 1
        if equity == 0.0:
            break
    for d in range(today, len(day_close)):
        marks[d + 1] = equity


@njit(cache=True, nogil=True, inline="always")
def _fill(tiles: Any, order: Any, bars: int, last_close: float, slippage: float) -> Any:
    """(price at which the order's position is closed, last bar whose open it was still held at)."""
    s, j = order.side, order.exit
    leave = 1.0 - s * slippage
    if j == bars:
        return last_close * leave, bars - 1
    at = j // LANES * TILE + j % LANES
    opened = tiles[at + 2 * LANES]
    if j == order.end:
        return opened * leave, j - 1
    if j > order.entry:
        if s * opened <= order.trail:
            return opened * leave, j - 1
        if s * opened >= order.take:
            return opened, j - 1
    worst = tiles[at] if s > 0 else tiles[at + LANES]
    return (s * order.trail * leave if s * worst <= order.trail else s * order.take), j


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def measure(marks: Any, edges: Any, sums: Any) -> Any:
    """(Sharpe, total return, largest daily drawdown) from the marks; fills `sums` float64 [S, 4] by segment."""
    total, squares = 0.0, 0.0
    for segment in range(len(edges) - 1):
        s1, s2, s3, s4 = 0.0, 0.0, 0.0, 0.0
        for d in range(edges[segment], edges[segment + 1]):
            r = marks[d + 1] / marks[d] - 1.0 if marks[d] > 0.0 else 0.0
            q = r * r
            s1 += r
            s2 += q
            s3 += q * r
            s4 += q * q
        sums[segment, 0], sums[segment, 1], sums[segment, 2], sums[segment, 3] = s1, s2, s3, s4
        total += s1
        squares += s2
    peak, drawdown = 1.0, 0.0
    for value in marks:
        peak = max(peak, value)
        drawdown = max(drawdown, 1.0 - value / peak)
    days = len(marks) - 1
    variance = (squares - total * total / days) / (days - 1) if days > 1 else 0.0
    sharpe = total / days / np.sqrt(variance) * np.sqrt(DAYS_PER_YEAR) if variance > 0.0 else np.nan
    return sharpe, marks[days] - 1.0, drawdown
