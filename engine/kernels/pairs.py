"""The screen of P pairs of averages, each with the same E sets of exits: the crosses of a pair are found once.

Notation as in cpu.py. Only the Sharpe ratio and the number of trades leave; both equal those of the screen, to the
last bit. One thread: whoever screens thousands of markets has one for each thread.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..bars import Floats
from ..costs import Costs
from ..strategies.api import COLUMNS, SLOW_PERIOD, STOP_LOSS, TRAILING_STOP, Combos
from .cpu import _arrays, _refuse, _rows
from .events import find_crosses
from .market import Market, lay_out
from .orders import MOMENTS, ORDER, measure, trade
from .simd import BLOCK


@dataclass(frozen=True, eq=False)
class Plane:
    """sharpe float64 [P, E], NaN undefined; trades int32 [P, E]."""

    sharpe: Floats
    trades: NDArray[np.int32]


def cross_product(pairs: Combos, exits: Combos) -> Combos:
    """int32 [P * E, 8]: every pair with every set of exits, the sets of one pair together.

    Of pairs int32 [P, 8] the series and direction count, of exits int32 [E, 8] stop, take and trailing stop.
    """
    combos: Combos = np.repeat(pairs, len(exits), axis=0)
    combos[:, STOP_LOSS : TRAILING_STOP + 1] = np.tile(exits[:, STOP_LOSS : TRAILING_STOP + 1], (len(pairs), 1))
    return combos


def screen_pairs(market: Market, combos: Combos, exits: int, costs: Costs, leverage: float) -> Plane:
    """Screen `combos`, int32 [P * E, 8], whose every `exits` successive ones share a pair (`cross_product`).

    Raises BadConfig for a combo outside the space of the market.
    """
    combos = np.ascontiguousarray(combos, dtype=np.int32)
    if exits < 1 or combos.shape[1] != len(COLUMNS) or len(combos) % exits:
        raise ValueError(f"{combos.shape} combos are no multiple of {exits} sets of exits")
    if np.any(
        combos[:, : SLOW_PERIOD + 1].reshape(-1, exits, SLOW_PERIOD + 1) != combos[::exits, None, : SLOW_PERIOD + 1]
    ):
        raise ValueError("the combos of a pair must share its series")
    _refuse(market, combos, costs)
    rows = _rows(market, combos[::exits])
    order = np.lexsort((rows[:, 3], rows[:, 2], rows[:, 0], rows[:, 1]))
    sharpe = np.empty((len(rows), exits), dtype=np.float64)
    trades = np.zeros((len(rows), exits, 1), dtype=np.int32)
    money = (costs.fee, costs.slippage, costs.funding, leverage)
    edges = np.array([0, market.days], dtype=np.int64)
    shaped = combos.reshape(len(rows), exits, len(COLUMNS))
    _screen_pairs(*_arrays(market), shaped, rows, money, edges, order, sharpe, trades)
    return Plane(sharpe, trades[:, :, 0])


@njit(cache=True, nogil=True)
def _screen_pairs(
    grids: Any, fast_banks: Any, slow_banks: Any, pyramid: Any, days: Any, combos: Any, rows: Any,
    money: Any, edges: Any, order: Any, sharpe: Any, trades: Any,
) -> None:  # fmt: skip
    most = 0
    for grid in grids:
        most = max(most, grid[1].shape[1])
    slow = np.empty(most, dtype=np.float32)
    slow_low = np.empty(most // BLOCK, dtype=np.float32)
    slow_high = np.empty(most // BLOCK, dtype=np.float32)
    bar = np.empty(most + 1, dtype=np.int32)
    side = np.empty(most + 1, dtype=np.int8)
    orders = np.empty(most + 1, dtype=ORDER)
    marks = np.empty(len(days[2]) + 1, dtype=np.float64)
    sums = np.empty((1, MOMENTS), dtype=np.float64)
    held = np.full(3, -1, dtype=np.int32)
    for k in order:
        row = rows[k]
        at, fast, low, high, fast_window, slow_window = grids[row[0]]
        nblocks = low.shape[1]
        if row[0] != held[0] or row[1] != held[1] or row[2] != held[2]:
            lay_out(slow_banks[row[1]][row[2]], slow_window[row[1]], slow, slow_low[:nblocks], slow_high[:nblocks])
            held[:] = row[:3]
        count = find_crosses(
            fast[row[3]], low[row[3]], high[row[3]], slow, slow_low, slow_high, at,
            fast_banks[row[0]][row[3]], fast_window, slow_banks[row[1]][row[2]], slow_window[row[1]], bar, side,
        )  # fmt: skip
        for e in range(combos.shape[1]):
            trade(pyramid, days, combos[k, e], money, bar[:count], side[:count], orders, edges, marks, trades[k, e])
            sharpe[k, e] = measure(marks, edges, sums)[0]
