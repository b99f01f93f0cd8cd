"""The screen on the CPU: many combos over one market, in event form, on as many threads as asked.

Notation: K combos, D days, S segments of days. Decisions equal the exact simulator's (see events.py); equity is marked
once a day, and ruin is tested at fills and daily marks only, so a combo needs a stop.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...state.errors import BadConfig
from ..bars import Floats, Ints
from ..costs import Costs
from ..metrics import DAYS_PER_YEAR
from ..strategies import api
from ..strategies.api import Combos, refuse_impossible
from .events import TILE, find_crosses, next_tile, touch_in_tile, trail_in_tile, trail_next_tile
from .market import Market, lay_out, prepare
from .simd import LANES, prefetch

__all__ = ["Screened", "prepare", "screen"]

CHUNK = 2048  # combos a thread takes at once: long enough to share series, short enough to stop soon
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


@dataclass(frozen=True, eq=False)
class Screened:
    """What the screen knows of each combo; NaN Sharpe where it is undefined.

    sharpe, total_return, max_drawdown_daily float64 [K]; trades int32 [K]. With segments: sums float64 [K, S, 4], the
    sums of r, r^2, r^3, r^4 of the daily returns in each segment, and segment_trades int32 [K, S] by day of exit.
    """

    sharpe: Floats
    total_return: Floats
    max_drawdown_daily: Floats
    trades: NDArray[np.int32]
    sums: Floats | None = None
    segment_trades: NDArray[np.int32] | None = None


def screen(
    market: Market,
    combos: Combos,
    costs: Costs,
    leverage: float,
    *,
    threads: int = 1,
    segments: Ints | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> Screened:
    """Screen `combos`, int32 [K, 8]. The result does not depend on `threads`.

    segments: int64 [S + 1], boundaries as day indexes from 0 to D. on_batch: told the number of combos done so far, from
    the calling thread; what it raises ends the screen. Raises BadConfig for a combo outside the market's space.
    """
    _refuse(market, combos, costs)
    edges = np.array([0, market.days], dtype=np.int64) if segments is None else segments
    rows = _rows(market, combos)
    order = np.lexsort((rows[:, 3], rows[:, 2], rows[:, 0], rows[:, 1]))  # share the slow series, then the fast
    count = len(combos)
    values = np.empty((count, 3), dtype=np.float64)
    trades = np.empty((count, len(edges) - 1), dtype=np.int32)
    sums = np.empty((count, len(edges) - 1, MOMENTS), dtype=np.float64)
    arguments = (*_arrays(market), combos, rows, (costs.fee, costs.slippage, costs.funding, leverage), edges)

    def work(start: int) -> int:
        part = order[start : start + CHUNK]
        _screen_chunk(*arguments, part, values, trades, sums)
        return len(part)

    done = 0
    with ThreadPoolExecutor(max_workers=threads) as pool:
        try:
            for finished in pool.map(work, range(0, count, CHUNK)):
                done += finished
                if on_batch:
                    on_batch(done)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return Screened(
        sharpe=values[:, 0].copy(),
        total_return=values[:, 1].copy(),
        max_drawdown_daily=values[:, 2].copy(),
        trades=trades.sum(axis=1, dtype=np.int32),
        sums=None if segments is None else sums,
        segment_trades=None if segments is None else trades,
    )


def _refuse(market: Market, combos: Combos, costs: Costs) -> None:
    refuse_impossible(combos, costs, market.bars.base_minutes)
    if costs.funding:
        raise BadConfig("the screen knows no funding", fix="leave funding at 0, or simulate exactly")
    if len(combos) and int(combos[:, api.STOP_LOSS].min()) == 0:
        raise BadConfig("the screen needs a stop_loss above 0", fix="simulate this configuration exactly instead")


def _rows(market: Market, combos: Combos) -> NDArray[np.int32]:
    """int32 [K, 4]: which fast timeframe, slow timeframe, slow row and fast row each combo uses."""
    space = market.space
    fast_tf = _position(np.array(space.fast_tf), combos[:, api.FAST_TF], "fast_tf")
    slow_tf = _position(np.array(space.slow_tf), combos[:, api.SLOW_TF], "slow_tf")
    rows = np.stack([fast_tf, slow_tf, combos[:, api.SLOW_PERIOD], combos[:, api.FAST_PERIOD]], axis=1)
    for column, (low, high), name in ((2, space.slow_period, "slow_period"), (3, space.fast_period, "fast_period")):
        if len(rows) and not (rows[:, column].min() >= low and rows[:, column].max() <= high):
            raise BadConfig(f"a combo's {name} lies outside the space's {low}-{high}")
        rows[:, column] -= low
    return rows.astype(np.int32)


def _position(known: Ints, wanted: NDArray[np.int32], name: str) -> Ints:
    sorter = np.argsort(known)
    place = np.clip(np.searchsorted(known, wanted, sorter=sorter), 0, len(known) - 1)
    found: Ints = sorter[place]
    if not np.array_equal(known[found], wanted):
        raise BadConfig(f"a combo's {name} is not in the space's {known.tolist()}")
    return found


def _arrays(market: Market) -> tuple[Any, ...]:
    """The market as homogeneous tuples, the form the compiled loop takes."""
    grids, prices = market.grids, market.prices
    grid = tuple((g.at, g.fast, g.low, g.high, g.fast_window, g.slow_window) for g in grids)
    banks = tuple(bank.values for bank in market.fast), tuple(bank.values for bank in market.slow)
    pyramid = (prices.tiles, prices.low, prices.high, len(prices.day))
    return grid, *banks, pyramid, (prices.day, prices.day_close)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _screen_chunk(
    grids: Any, fast_banks: Any, slow_banks: Any, pyramid: Any, days: Any, combos: Any, rows: Any,
    money: Any, edges: Any, part: Any, values: Any, trades: Any, sums: Any,
) -> None:  # fmt: skip
    """Screen the combos numbered in `part`, which share series with their neighbours, into the output rows."""
    most = 0
    for grid in grids:
        most = max(most, grid[1].shape[1])
    slow = np.empty(most, dtype=np.float32)
    slow_low = np.empty(most // 64, dtype=np.float32)
    slow_high = np.empty(most // 64, dtype=np.float32)
    bar = np.empty(most + 1, dtype=np.int32)
    side = np.empty(most + 1, dtype=np.int8)
    orders = np.empty(most + 1, dtype=ORDER)
    marks = np.empty(len(days[1]) + 1, dtype=np.float64)
    held = np.full(4, -1, dtype=np.int32)
    count = 0
    for k in part:
        row = rows[k]
        at, fast, low, high, fast_window, slow_window = grids[row[0]]
        nblocks = low.shape[1]
        fresh = row[0] != held[0] or row[1] != held[1] or row[2] != held[2]
        if fresh:
            lay_out(slow_banks[row[1]][row[2]], slow_window[row[1]], slow, slow_low[:nblocks], slow_high[:nblocks])
        if fresh or row[3] != held[3]:
            count = find_crosses(
                fast[row[3]], low[row[3]], high[row[3]], slow, slow_low, slow_high, at,
                fast_banks[row[0]][row[3]], fast_window, slow_banks[row[1]][row[2]], slow_window[row[1]], bar, side,
            )  # fmt: skip
            held[:] = row
        trades[k] = 0
        _trade(pyramid, days, combos[k], money, bar[:count], side[:count], orders, edges, marks, trades[k])
        values[k, 0], values[k, 1], values[k, 2] = _measure(marks, edges, sums[k])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _trade(
    pyramid: Any, days: Any, combo: Any, money: Any, bar: Any, side: Any, orders: Any, edges: Any, marks: Any, exits: Any
) -> None:
    """Trade one combo from cross to cross: daily equity into marks float64 [D + 1] (the first is 1), exits by segment."""
    count = _place(bar, side, combo[7], pyramid[3], orders)
    _find_exits(pyramid, combo, money[1], orders[:count])
    _settle(pyramid, days, money, orders[:count], edges, marks, exits)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _find_exits(pyramid: Any, combo: Any, slippage: float, orders: Any) -> None:
    """Entry price, levels and exit bar of every order, in two passes, so that memory is asked for before it is needed."""
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


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _ask(tiles: Any, bar: int) -> None:
    """Prefetch the tile of a bar."""
    first = bar // LANES * TILE
    for line in range(0, TILE, 8):
        prefetch(tiles, first + line)


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _settle(
    pyramid: Any, days: Any, money: Any, orders: Any, edges: Any, marks: Any, exits: Any
) -> None:
    """Run the equity through the orders: daily marks, and the number of exits in each segment."""
    fee, slippage, _, leverage = money
    day, day_close = days
    bars = pyramid[3]
    equity, today, segment = 1.0, 0, 0
    marks[0] = 1.0
    for k in range(len(orders)):
        order = orders[k]
        s, pe = order.side, order.price
        px = _fill(pyramid[0], order, bars, day_close[-1], slippage)
        entered = day[order.entry]
        while today < entered:
            today += 1
            marks[today] = equity
        left = day[min(order.exit, bars - 1)]
        slope = equity * leverage * s / pe
        base = equity * (1.0 - leverage * s - leverage * fee)
        worst = 1.0
        for d in range(today, left):
            marks[d + 1] = base + slope * day_close[d]
            worst = min(worst, marks[d + 1])
        if worst <= 0.0:
            left = today
            while marks[left + 1] > 0.0:
                left += 1
            equity = 0.0
        else:
            equity = max(equity * (1.0 + leverage * (s * (px / pe - 1.0) - fee * (1.0 + px / pe))), 0.0)
        today = left
        while edges[segment + 1] <= left:
            segment += 1
        exits[segment] += 1
        if equity == 0.0:
            break
    for d in range(today, len(day_close)):
        marks[d + 1] = equity


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _fill(tiles: Any, order: Any, bars: int, last_close: float, slippage: float) -> float:
    """The price at which the order's position is closed."""
    s, j = order.side, order.exit
    leave = 1.0 - s * slippage
    if j == bars:
        return last_close * leave
    at = j // LANES * TILE + j % LANES
    opened = tiles[at + 2 * LANES]
    if j == order.end:
        return opened * leave
    if j > order.entry:
        if s * opened <= order.trail:
            return opened * leave
        if s * opened >= order.take:
            return opened
    worst = tiles[at] if s > 0 else tiles[at + LANES]
    return s * order.trail * leave if s * worst <= order.trail else s * order.take


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})  # type: ignore[untyped-decorator]
def _measure(marks: Any, edges: Any, sums: Any) -> Any:
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
