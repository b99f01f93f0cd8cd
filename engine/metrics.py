"""Metrics of one configuration, from its trades and daily returns.

Conventions: r float64 [D] daily mark-to-market net returns with flat days, UTC, 365 days a year, ddof 1. Undefined is
NaN in numbers and null in JSON, never infinite.
"""

import math

import numpy as np

from .backtest import Backtest
from .bars import Floats

DAYS_PER_YEAR = 365
ROUNDING = 1e-14  # a return is a quotient less 1: two that differ by less differ by how they were rounded
NAMES = (
    "total_trades",
    "win_rate",
    "total_return",
    "annual_return",
    "sharpe",
    "sortino",
    "max_drawdown",
    "max_drawdown_daily",
    "calmar",
    "profit_factor",
    "expectancy",
    "exposure",
    "avg_trade_bars",
    "fees_paid",
)


def sharpe(r: Floats) -> float:
    """mean / std x sqrt(365); NaN for fewer than two days or returns equal but for rounding (Sharpe 1994)."""
    if len(r) < 2 or np.ptp(r) <= ROUNDING:
        return math.nan
    return float(np.mean(r) / np.std(r, ddof=1) * math.sqrt(DAYS_PER_YEAR))


def sortino(r: Floats) -> float:
    """mean / root mean square of the losses x sqrt(365); NaN without a loss (Sortino and Price 1994)."""
    if len(r) == 0:
        return math.nan
    downside = math.sqrt(float(np.mean(np.minimum(r, 0.0) ** 2)))
    return float(np.mean(r)) / downside * math.sqrt(DAYS_PER_YEAR) if downside > 0 else math.nan


def max_drawdown(equity: Floats, start: float = 1.0) -> float:
    """The largest fall from a running peak that includes `start`, as a positive fraction."""
    peak = np.maximum(np.maximum.accumulate(equity), start) if len(equity) else equity
    return float(np.max(1.0 - equity / peak, initial=0.0))


def annual_return(final_equity: float, days: int) -> float:
    """final_equity^(365 / days) - 1; NaN without a day and where a few days would grow beyond any number."""
    try:
        return float(final_equity ** (DAYS_PER_YEAR / days) - 1.0) if days else math.nan
    except OverflowError:
        return math.nan


def calmar(annual: float, drawdown_daily: float) -> float:
    """annual return / largest daily drawdown (Young 1991); NaN without a drawdown or beyond any number."""
    ratio = annual / drawdown_daily if drawdown_daily > 0 else math.nan
    return ratio if math.isfinite(ratio) else math.nan


def metrics(backtest: Backtest) -> dict[str, float]:
    """All of NAMES for one configuration."""
    r = backtest.daily_returns()
    net = backtest.trades["net_return"]
    held = backtest.held_bars()
    final = float(backtest.equity[-1]) if len(backtest.equity) else math.nan
    annual = annual_return(final, len(r))
    drawdown_daily = max_drawdown(backtest.equity)
    losses = float(np.sum(net[net < 0]))
    count = len(net)
    return {
        "total_trades": count,
        "win_rate": float(np.mean(net > 0)) if count else math.nan,
        "total_return": final - 1.0,
        "annual_return": annual,
        "sharpe": sharpe(r),
        "sortino": sortino(r),
        "max_drawdown": backtest.max_drawdown,
        "max_drawdown_daily": drawdown_daily,
        "calmar": calmar(annual, drawdown_daily),
        "profit_factor": float(np.sum(net[net > 0])) / -losses if losses < 0 else math.nan,
        "expectancy": float(np.mean(net)) if count else math.nan,
        "exposure": float(np.sum(held)) / backtest.bars if backtest.bars else math.nan,
        "avg_trade_bars": float(np.mean(held)) if count else math.nan,
        "fees_paid": float(np.sum(backtest.trades["fees"])),
    }


def jsonable(values: dict[str, float]) -> dict[str, int | float | None]:
    """The same with null for what is undefined."""
    return {name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in values.items()}
