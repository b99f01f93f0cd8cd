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
from ..strategies import api
from ..strategies.api import Combos, refuse_impossible
from ..strategies.mtf_ema import Space
from .events import find_crosses
from .market import Market, lay_out, prepare
from .orders import MOMENTS, ORDER, measure, trade

__all__ = ["Screened", "prepare", "screen"]

CHUNK = 1024  # combos a thread takes at once: long enough to share series, short enough to stop soon


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

    segments: int64 [S + 1], boundaries as day indexes from 0 to D. on_batch: told the number of combos done so
    far, from the calling thread; what it raises ends the screen. Raises BadConfig for a combo outside the space.
    """
    _refuse(market, combos, costs)
    edges = np.array([0, market.days], dtype=np.int64) if segments is None else segments
    if edges[0] != 0 or edges[-1] != market.days or np.any(np.diff(edges) <= 0):
        raise ValueError(f"segments must rise from 0 to the {market.days} days of the market")
    combos = np.ascontiguousarray(combos, dtype=np.int32)
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
    if len(combos) and int(combos[:, api.STOP_LOSS].min()) == 0:
        raise BadConfig("the screen needs a stop_loss above 0", fix="simulate this configuration exactly instead")


def _rows(market: Market, combos: Combos) -> NDArray[np.int32]:
    return rows_of(market.space, combos)


def rows_of(space: Space, combos: Combos) -> NDArray[np.int32]:
    """int32 [K, 4]: which fast timeframe, slow timeframe, slow row and fast row of the space each combo uses.

    Raises BadConfig for a combo outside the space.
    """
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
    return grid, *banks, pyramid, (prices.day, prices.charges, prices.day_close, prices.day_charges)


@njit(cache=True, nogil=True)
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
    marks = np.empty(len(days[2]) + 1, dtype=np.float64)
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
        trade(pyramid, days, combos[k], money, bar[:count], side[:count], orders, edges, marks, trades[k])
        values[k, 0], values[k, 1], values[k, 2] = measure(marks, edges, sums[k])
