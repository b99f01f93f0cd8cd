"""What the page computes beyond the metrics: drawdown, months, rolling Sharpe, statistics of trades.

Notation: D daily marks, r float64 [D] daily net returns, N trades.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..bars import DAY_MS, Floats, Ints
from ..metrics import DAYS_PER_YEAR
from ..validation.concentration import best_share
from .sheet import Stretch, Trade

ROLLING_DAYS = 90


def drawdown(equity: Floats) -> Floats:
    """float64 [D], 0 or negative: the fall from the running peak, start 1 included."""
    peak = np.maximum(np.maximum.accumulate(equity), 1.0)
    return np.asarray(equity / peak - 1.0, dtype=np.float64)


def matched(close: Floats, before: float, weight: float) -> Floats:
    """float64 [D]: a constant share `weight` of equity in the market, rebalanced daily, without costs.

    `close` are daily closes, `before` the price it is bought at. A share above 1 can lose everything; then it stays so.
    """
    moves = close / np.concatenate([[before], close[:-1]]) - 1.0
    factors = np.maximum(1.0 + weight * moves, 0.0)
    return np.asarray(np.cumprod(factors), dtype=np.float64)


def rolling_sharpe(r: Floats, window: int = ROLLING_DAYS) -> Floats:
    """float64 [D]: annualised Sharpe of the last `window` days; NaN before, and where returns do not vary."""
    out = np.full(len(r), np.nan)
    if len(r) < window:
        return out
    spans = sliding_window_view(r, window)
    std = spans.std(axis=1, ddof=1)
    varies = spans.max(axis=1) > spans.min(axis=1)
    ratio = np.divide(spans.mean(axis=1), std, out=np.full(len(std), np.nan), where=varies)
    out[window - 1 :] = ratio * math.sqrt(DAYS_PER_YEAR)
    return out


@dataclass(frozen=True)
class Month:
    """`change` is the return over the days of this month that the stretch covers."""

    year: int
    month: int
    change: float


def months(day: Ints, equity: Floats) -> list[Month]:
    """Returns per calendar month (UTC), the first from equity 1. A month after ruin has no return and is NaN."""
    key = np.array([_year_month(int(one)) for one in day], dtype=np.int64)
    ends = np.flatnonzero(np.append(key[1:] != key[:-1], True))
    found, before = [], 1.0
    for end in ends:
        after = float(equity[end])
        found.append(
            Month(int(key[end]) // 12, int(key[end]) % 12 + 1, after / before - 1.0 if before > 0 else math.nan)
        )
        before = after
    return found


def _year_month(day: int) -> int:
    moment = datetime.fromtimestamp(day * DAY_MS / 1000, UTC)
    return moment.year * 12 + moment.month - 1


def compounded(changes: Sequence[float]) -> float:
    """The return of several in a row; those that are NaN stand still."""
    return math.prod(1.0 + one for one in changes if math.isfinite(one)) - 1.0


@dataclass(frozen=True)
class TradeStats:
    """Of one group of trades. Undefined is NaN. `concentration`: the share of the five best in the profit."""

    count: int
    win_rate: float
    profit_factor: float
    expectancy: float
    total: float
    duration_ms: float
    best: float
    worst: float
    concentration: float


def trade_stats(trades: Sequence[Trade]) -> TradeStats:
    """Definitions of `engine/metrics.py`, on net returns."""
    net = np.array([one.net_return for one in trades], dtype=np.float64)
    if not len(net):
        return TradeStats(0, *(math.nan,) * 8)
    gains, losses = float(net[net > 0].sum()), float(-net[net < 0].sum())
    spans = [one.exit_time - one.entry_time for one in trades]
    return TradeStats(
        count=len(net),
        win_rate=float(np.mean(net > 0)),
        profit_factor=gains / losses if losses > 0 else math.nan,
        expectancy=float(net.mean()),
        total=float(net.sum()),
        duration_ms=sum(spans) / len(spans),
        best=float(net.max()),
        worst=float(net.min()),
        concentration=best_share(net),
    )


def all_trades(stretches: Sequence[Stretch]) -> list[Trade]:
    """The trades of all stretches in order of exit."""
    return sorted((one for part in stretches for one in part.trades), key=lambda one: (one.exit_time, one.entry_time))
