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
from .events import find_crosses, first_touch, first_touch_trailing
from .market import Market, lay_out, prepare

__all__ = ["Screened", "prepare", "screen"]

CHUNK = 2048  # combos a thread takes at once: long enough to share series, short enough to stop soon
MOMENTS = 4


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
    pyramid = (prices.ohlc, prices.low, prices.high, prices.low16, prices.high16)
    return grid, *banks, pyramid, (prices.block_low, prices.block_high), (prices.day, prices.day_close)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _screen_chunk(
    grids: Any, fast_banks: Any, slow_banks: Any, pyramid: Any, blocks: Any, days: Any, combos: Any, rows: Any,
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
        _trade(pyramid, blocks, days, combos[k], money, bar[:count], side[:count], edges, marks, trades[k])
        values[k, 0], values[k, 1], values[k, 2] = _measure(marks, edges, sums[k])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _trade(
    pyramid: Any, blocks: Any, days: Any, combo: Any, money: Any, bar: Any, side: Any, edges: Any, marks: Any, exits: Any
) -> None:
    """Trade one combo from cross to cross: daily equity into marks float64 [D + 1] (the first is 1), exits by segment."""
    fee, slippage, _, leverage = money
    ohlc = pyramid[0]
    day, day_close = days
    bars = len(ohlc)
    allowed = combo[7]
    equity = 1.0
    marks[0] = 1.0
    next_day = 0
    segment = 0
    for k in range(len(bar)):
        s = side[k]
        if allowed != 0 and allowed != s:
            continue
        entry = bar[k]
        end = bar[k + 1] if k + 1 < len(bar) else bars
        pe = ohlc[entry, 0] * (1.0 + slippage) if s > 0 else ohlc[entry, 0] * (1.0 - slippage)
        j, px = _exit(pyramid, blocks, combo, slippage, entry, end, s, pe)
        while next_day < day[entry]:
            next_day += 1
            marks[next_day] = equity
        last_day = day[min(j, bars - 1)]
        slope = equity * leverage * s / pe
        base = equity * (1.0 - leverage * s - leverage * fee)
        worst = 1.0
        for d in range(next_day, last_day):
            marks[d + 1] = base + slope * day_close[d]
            worst = min(worst, marks[d + 1])
        if worst <= 0.0:
            last_day = next_day
            while marks[last_day + 1] > 0.0:
                last_day += 1
            equity = 0.0
        else:
            equity = equity * (1.0 + leverage * (s * (px / pe - 1.0) - fee * (1.0 + px / pe)))
            equity = max(equity, 0.0)
        next_day = last_day
        while edges[segment + 1] <= last_day:
            segment += 1
        exits[segment] += 1
        if equity == 0.0:
            break
    for d in range(next_day, len(day_close)):
        marks[d + 1] = equity


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _exit(pyramid: Any, blocks: Any, combo: Any, slippage: float, entry: int, end: int, s: int, pe: float) -> Any:
    """(bar, fill price) of the exit of a position entered at the open of `entry`; a cross acts at `end`, or the data ends."""
    ohlc = pyramid[0]
    bars = len(ohlc)
    stop = s * (pe * (1.0 - s * (combo[4] / 10000.0)))
    take = s * (pe * (1.0 + s * (combo[5] / 10000.0))) if combo[5] > 0 else np.inf
    if combo[6] > 0:
        factor = 1.0 - s * (combo[6] / 10000.0)
        j, stop = first_touch_trailing(ohlc, blocks[0], blocks[1], entry, end, s, pe, stop, take, factor)
    else:
        j = first_touch(pyramid, entry, end, s, stop, take)
    leave = 1.0 - slippage if s > 0 else 1.0 + slippage
    if j == end:
        return j, (ohlc[j, 0] if j < bars else ohlc[bars - 1, 3]) * leave
    if j > entry and s * ohlc[j, 0] <= stop:
        return j, ohlc[j, 0] * leave
    if j > entry and s * ohlc[j, 0] >= take:
        return j, ohlc[j, 0]
    worst = ohlc[j, 2] if s > 0 else ohlc[j, 1]
    if s * worst <= stop:
        return j, s * stop * leave
    return j, s * take


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
