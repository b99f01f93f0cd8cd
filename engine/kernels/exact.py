"""The exact simulator: the reference compiled, float64, equal to it trade for trade and bit for bit.

Notation as in reference.py. Every number that is reported comes from here.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..backtest import END, RUIN, SIGNAL, STOP, TAKE, TRADE, Backtest
from ..bars import Bars, Floats, Ints
from ..costs import Costs
from ..indicators import ema
from ..strategies.api import DIRECTIONS, Params
from ..timeframes import windows
from .reference import FUNDING_MS

Sides = NDArray[np.int8]


def simulate(bars: Bars, params: Params, costs: Costs, leverage: float, *, trade_from: int = 0) -> Backtest:
    """One configuration over all bars. Series use every bar; trading and marks begin flat at bar `trade_from`.

    Raises BadConfig for a timeframe that is no multiple of the bars' own.
    """
    fast, slow = windows(bars, params.fast_tf), windows(bars, params.slow_tf)
    acting = acting_sides(
        ema(fast.close, params.fast_period),
        fast.known,
        ema(slow.close, params.slow_period),
        slow.known,
        len(bars),
    )
    day, slot = day_slots(bars, trade_from)
    trades = np.empty(np.count_nonzero(acting) + 1, dtype=TRADE)
    marks = np.empty(len(day), dtype=np.float64)
    exits = (params.stop_loss, params.take_profit, params.trailing_stop)
    rates = (costs.fee, costs.slippage, costs.funding)
    prices = (bars.time, bars.open, bars.high, bars.low, bars.close)
    count, drawdown = _walk(
        prices, slot, acting, DIRECTIONS[params.direction], exits, rates, leverage, trade_from, trades, marks
    )
    return Backtest(trades[:count], day, marks, drawdown, len(bars) - trade_from)


def day_slots(bars: Bars, trade_from: int) -> tuple[Ints, NDArray[np.int32]]:
    """The UTC days from bar `trade_from` on, and for each bar the index of its day among them (0 before)."""
    key = ("days", trade_from)
    if key not in bars.cache:
        day, inverse = np.unique(bars.day[trade_from:], return_inverse=True)
        slot = np.zeros(len(bars), dtype=np.int32)
        slot[trade_from:] = inverse
        bars.cache[key] = day, slot
    found: tuple[Ints, NDArray[np.int32]] = bars.cache[key]
    return found


@njit(cache=True, nogil=True)
def acting_sides(fast: Floats, fast_known: Ints, slow: Floats, slow_known: Ints, bars: int) -> Sides:
    """int8 [T]: the side a cross gives to the open of each bar, 0 where none acts.

    fast, slow float64 [W]: the two series at their own resolution, NaN where not valid; *_known int64 [W].
    """
    acting = np.zeros(bars, dtype=np.int8)
    f, s, side = -1, -1, 0
    while f + 1 < len(fast) or s + 1 < len(slow):
        next_fast = fast_known[f + 1] if f + 1 < len(fast) else bars
        next_slow = slow_known[s + 1] if s + 1 < len(slow) else bars
        i = min(next_fast, next_slow)
        if i >= bars - 1:
            break
        while f + 1 < len(fast) and fast_known[f + 1] == i:
            f += 1
        while s + 1 < len(slow) and slow_known[s + 1] == i:
            s += 1
        new = 0
        if f >= 0 and s >= 0:
            new = 1 if fast[f] > slow[s] else (-1 if fast[f] < slow[s] else 0)
        if new != 0:
            if side != 0 and new != side:
                acting[i + 1] = new
            side = new
    return acting


@njit(cache=True, nogil=True, inline="always")
def _closed(equity: float, s: int, pe: float, px: float, leverage: float, fee: float, paid: float) -> float:
    """Equity after a round trip, before the test for ruin."""
    return equity * (1.0 + leverage * (s * (px / pe - 1.0) - fee * (1.0 + px / pe))) - paid


@njit(cache=True, nogil=True, inline="always")
def _market(price: float, buying: bool, slippage: float) -> float:
    return price * (1.0 + slippage) if buying else price * (1.0 - slippage)


@njit(cache=True, nogil=True)
def _walk(
    prices: Any,
    slot: Any,
    acting: Any,
    allowed: int,
    exits: Any,
    rates: Any,
    lev: float,
    first: int,
    out: Any,
    marks: Any,
) -> tuple[int, float]:
    """Fill `out` (trades) and `marks` (daily equity); returns the number of trades and the drawdown over bar closes."""
    time, open_, high, low, close = prices
    stop_loss, take_profit, trailing = exits
    fee, slippage, funding = rates
    equity, peak, drawdown = 1.0, 1.0, 0.0
    count, s, entry = 0, 0, 0
    pe, extreme, paid = 0.0, 0.0, 0.0
    last = len(close) - 1
    for j in range(first, last + 1):
        cross = acting[j]
        if s != 0:
            stop, take = _levels(s, pe, extreme, stop_loss, take_profit, trailing)
            reason, px = _exit_at_open(s, cross, open_[j], stop, take, slippage)
            if reason >= 0:
                equity = _record(out, count, entry, j, s, pe, px, equity, lev, fee, paid, reason, True)
                count, s = count + 1, 0
            elif funding != 0.0:
                paid += (time[j] // FUNDING_MS - time[j - 1] // FUNDING_MS) * (s * equity * lev * funding)
        if cross != 0 and s == 0 and (allowed == 0 or allowed == cross) and equity > 0.0:
            s, entry, paid = cross, j, 0.0
            pe = _market(open_[j], s > 0, slippage)
            extreme = pe
        value = equity
        if s != 0:
            stop, take = _levels(s, pe, extreme, stop_loss, take_profit, trailing)
            reason, px = _exit_inside(s, low[j], high[j], stop, take, slippage)
            if reason < 0 and j == last:
                reason, px = END, _market(close[j], s < 0, slippage)
            elif reason < 0:
                extreme = max(extreme, high[j]) if s > 0 else min(extreme, low[j])
                value = equity * (1.0 + lev * (s * (close[j] / pe - 1.0) - fee)) - paid
                if value <= 0.0:
                    reason, px = RUIN, close[j]
            if reason >= 0:
                equity = _record(out, count, entry, j, s, pe, px, equity, lev, fee, paid, reason, False)
                count, s, value = count + 1, 0, equity
        peak = max(peak, value)
        drawdown = max(drawdown, 1.0 - value / peak)
        marks[slot[j]] = value
    return count, drawdown


@njit(cache=True, nogil=True, inline="always")
def _levels(s: int, pe: float, extreme: float, stop_loss: float, take_profit: float, trailing: float) -> Any:
    """(stop, take) in force; an exit that is off lies infinitely far away."""
    stop = pe * (1.0 - s * stop_loss) if stop_loss > 0.0 else -s * np.inf
    if trailing > 0.0:
        trail = extreme * (1.0 - s * trailing)
        stop = max(stop, trail) if s > 0 else min(stop, trail)
    take = pe * (1.0 + s * take_profit) if take_profit > 0.0 else s * np.inf
    return stop, take


@njit(cache=True, nogil=True, inline="always")
def _exit_at_open(s: int, cross: int, price: float, stop: float, take: float, slippage: float) -> Any:
    """(reason, fill price) of an exit at a bar's open; reason -1 if there is none."""
    if cross != 0:
        return SIGNAL, _market(price, s < 0, slippage)
    if (price - stop) * s <= 0.0:
        return STOP, _market(price, s < 0, slippage)
    if (price - take) * s >= 0.0:
        return TAKE, price
    return -1, 0.0


@njit(cache=True, nogil=True, inline="always")
def _exit_inside(s: int, low: float, high: float, stop: float, take: float, slippage: float) -> Any:
    """(reason, fill price) of an exit inside a bar, the stop before the take; reason -1 if there is none."""
    worst, best = (low, high) if s > 0 else (high, low)
    if (worst - stop) * s <= 0.0:
        return STOP, _market(stop, s < 0, slippage)
    if (best - take) * s >= 0.0:
        return TAKE, take
    return -1, 0.0


@njit(cache=True, nogil=True, inline="always")
def _record(
    out: Any, n: int, entry: int, j: int, s: int, pe: float, px: float, equity: float, lev: float, fee: float,
    paid: float, reason: int, at_open: bool,
) -> float:  # fmt: skip
    """Write trade n and return the equity after it."""
    after = _closed(equity, s, pe, px, lev, fee, paid)
    if after <= 0.0 or reason == RUIN:
        after = 0.0
    trade = out[n]
    trade.entry = entry
    trade.exit = j
    trade.side = s
    trade.entry_price = pe
    trade.exit_price = px
    trade.net_return = after / equity - 1.0
    trade.fees = equity * lev * fee * (1.0 + px / pe)
    trade.reason = reason
    trade.at_open = at_open
    return after
