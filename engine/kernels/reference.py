"""The definition of a backtest, bar by bar in plain Python. Slow on purpose: every faster kernel is checked against it.

Notation: T bars; j a bar; s = +1 long, -1 short; E equity at entry; L leverage; pe, px entry and exit price.
"""

from dataclasses import dataclass

import numpy as np

from ...state.errors import BadConfig
from ..backtest import END, RUIN, SIGNAL, STOP, TAKE, TRADE, Backtest
from ..bars import DAY_MS, MINUTE_MS, Bars
from ..costs import Costs
from ..strategies.api import DIRECTIONS, Params

FUNDING_MS = 8 * 60 * MINUTE_MS


@dataclass
class Position:
    side: int
    entry: int
    price: float
    equity: float
    extreme: float
    """Highest price since entry for a long, lowest for a short; the entry price to begin with."""
    funding_paid: float = 0.0


def known_values(bars: Bars, tf_minutes: int, period: int) -> list[float | None]:
    """EMA(period, timeframe) as known at the close of each bar; None while there is none."""
    tf_ms = tf_minutes * MINUTE_MS
    if tf_ms % bars.base_ms:
        raise BadConfig(f"timeframe {tf_minutes} is no multiple of the data's {bars.base_minutes} minutes")
    time, close = bars.time.tolist(), bars.close.tolist()
    values: list[float | None] = []
    newest: float | None = None
    average = 0.0
    windows_closed = 0
    a = 2.0 / (period + 1.0)
    open_window: int | None = None  # key of the window whose close is not known yet
    for i, t in enumerate(time):
        finished: list[float] = []
        if i and open_window is not None and t // tf_ms != open_window:
            finished.append(close[i - 1])  # its last slot was missing, so it is known only now
            open_window = None
        if t // tf_ms * tf_ms >= time[0]:  # the data does not begin in the middle of this window
            open_window = t // tf_ms
            if t + bars.base_ms >= (open_window + 1) * tf_ms:
                finished.append(close[i])
                open_window = None
        for price in finished:
            average = price if windows_closed == 0 else average + a * (price - average)
            windows_closed += 1
            if windows_closed >= period:
                newest = average
        values.append(newest)
    return values


def acting_sides(fast: list[float | None], slow: list[float | None]) -> list[int]:
    """The side that a cross gives to the open of each bar, 0 where none acts: a cross at i acts at i + 1."""
    acting = [0] * len(fast)
    side = 0
    for i, (f, s) in enumerate(zip(fast, slow, strict=True)):
        if f is None or s is None or f == s:
            continue
        new = 1 if f > s else -1
        if side and new != side and i + 1 < len(fast):
            acting[i + 1] = new
        side = new
    return acting


class Account:
    """Equity, the open position if any, and what has been closed."""

    def __init__(self, costs: Costs, leverage: float) -> None:
        self.costs = costs
        self.leverage = leverage
        self.equity = 1.0
        self.position: Position | None = None
        self.trades: list[tuple[int, int, int, float, float, float, float, int, bool]] = []

    def market(self, price: float, buying: bool) -> float:
        return price * (1.0 + self.costs.slippage) if buying else price * (1.0 - self.costs.slippage)

    def enter(self, side: int, bar: int, open_price: float) -> None:
        price = self.market(open_price, buying=side > 0)
        self.position = Position(side, bar, price, self.equity, price)

    def exit(self, bar: int, price: float, reason: int, *, at_open: bool = False) -> None:
        p = self.position
        assert p is not None
        s, e, lev, fee, pe, px = p.side, p.equity, self.leverage, self.costs.fee, p.price, price
        equity = e * (1.0 + lev * (s * (px / pe - 1.0) - fee * (1.0 + px / pe))) - p.funding_paid
        if equity <= 0.0 or reason == RUIN:
            equity = 0.0
        fees = e * lev * fee * (1.0 + px / pe)
        self.trades.append((p.entry, bar, s, pe, px, equity / e - 1.0, fees, reason, at_open))
        self.equity = equity
        self.position = None

    def mark(self, close: float) -> float:
        p = self.position
        if p is None:
            return self.equity
        value = 1.0 + self.leverage * (p.side * (close / p.price - 1.0) - self.costs.fee)
        return p.equity * value - p.funding_paid


def levels(position: Position, params: Params) -> tuple[float | None, float | None]:
    """(stop, take) in force at a bar, given the extreme of the bars before it; None is off."""
    s, pe = position.side, position.price
    stops = []
    if params.stop_loss:
        stops.append(pe * (1.0 - s * params.stop_loss))
    if params.trailing_stop:
        stops.append(position.extreme * (1.0 - s * params.trailing_stop))
    stop = (max(stops) if s > 0 else min(stops)) if stops else None
    take = pe * (1.0 + s * params.take_profit) if params.take_profit else None
    return stop, take


def through(price: float, level: float | None, side: int) -> bool:
    """`price` is at or beyond a `level` that lies on the falling side (side +1) or the rising side (side -1)."""
    return level is not None and (price <= level if side > 0 else price >= level)


def simulate(bars: Bars, params: Params, costs: Costs, leverage: float, *, trade_from: int = 0) -> Backtest:
    """One configuration over all bars; trading and marks begin at bar `trade_from`, flat."""
    fast = known_values(bars, params.fast_tf, params.fast_period)
    slow = known_values(bars, params.slow_tf, params.slow_period)
    acting = acting_sides(fast, slow)
    allowed = DIRECTIONS[params.direction]
    account = Account(costs, leverage)
    peak, drawdown = 1.0, 0.0
    days: list[int] = []
    marks: list[float] = []
    time = bars.time.tolist()
    last = len(time) - 1
    for j in range(trade_from, last + 1):
        at_open(account, bars, j, acting[j], params, missed_charges(time, j))
        if acting[j] and allowed in (0, acting[j]) and account.position is None and account.equity > 0.0:
            account.enter(acting[j], j, float(bars.open[j]))
        inside(account, bars, j, params)
        if account.position and j == last:
            account.exit(j, account.market(float(bars.close[j]), buying=account.position.side < 0), END)
        value = account.mark(float(bars.close[j]))
        if value <= 0.0 and account.position:
            account.exit(j, float(bars.close[j]), RUIN)
            value = 0.0
        peak = max(peak, value)
        drawdown = max(drawdown, 1.0 - value / peak)
        if j == last or time[j + 1] // DAY_MS != time[j] // DAY_MS:
            days.append(time[j] // DAY_MS)
            marks.append(value)
    trades = np.array(account.trades, dtype=TRADE)
    return Backtest(trades, np.array(days, np.int64), np.array(marks, np.float64), drawdown, len(time) - trade_from)


def missed_charges(time: list[int], j: int) -> int:
    """Funding times since the bar before: 1 at 00:00, 08:00 and 16:00, more after a gap that swallowed some."""
    return time[j] // FUNDING_MS - time[j - 1] // FUNDING_MS if j else 0


def at_open(account: Account, bars: Bars, j: int, cross: int, params: Params, charges: int) -> None:
    """Exits at the open of bar j for a position from an earlier bar, then funding for one that stays open."""
    p = account.position
    if p is None:
        return
    price = float(bars.open[j])
    stop, take = levels(p, params)
    if cross:
        account.exit(j, account.market(price, buying=p.side < 0), SIGNAL, at_open=True)
    elif through(price, stop, p.side):
        account.exit(j, account.market(price, buying=p.side < 0), STOP, at_open=True)
    elif through(price, take, -p.side):
        account.exit(j, price, TAKE, at_open=True)
    else:
        p.funding_paid += charges * (p.side * p.equity * account.leverage * account.costs.funding)


def inside(account: Account, bars: Bars, j: int, params: Params) -> None:
    """Exits inside bar j: the stop before the take. A bar's extreme counts from the next bar on."""
    p = account.position
    if p is None:
        return
    low, high = float(bars.low[j]), float(bars.high[j])
    worst, best = (low, high) if p.side > 0 else (high, low)
    stop, take = levels(p, params)
    if stop is not None and through(worst, stop, p.side):
        account.exit(j, account.market(stop, buying=p.side < 0), STOP)
    elif take is not None and through(best, take, -p.side):
        account.exit(j, take, TAKE)
    else:
        p.extreme = max(p.extreme, best) if p.side > 0 else min(p.extreme, best)
