"""Descriptive figures of a series of daily returns and of a list of trades, beside those every artifact carries.

Notation: r float64 [D] daily returns, 365 days a year. Undefined is NaN, never infinite.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..bars import Floats
from ..metrics import DAYS_PER_YEAR, annual_return, max_drawdown, sharpe, sortino
from .sharpe_ratio import moments

NULL_HYPOTHESIS = "none: a description of what happened"
TAIL = 0.05


def performance(r: Floats) -> dict[str, float]:
    """Figures of daily returns; drawdowns and tail losses as positive fractions."""
    equity: Floats = np.cumprod(1 + r).astype(np.float64)
    peak = np.maximum(np.maximum.accumulate(equity), 1.0) if len(r) else equity
    fall = 1 - equity / peak
    shape = moments(r)
    annual = annual_return(float(equity[-1]), len(r)) if len(r) else math.nan
    ulcer = math.sqrt(float(np.mean(fall**2))) if len(r) else math.nan
    gains, losses = float(np.sum(r[r > 0])), -float(np.sum(r[r < 0]))
    tail = float(np.quantile(r, TAIL)) if len(r) else math.nan
    active = r[r != 0]
    drawdown = max_drawdown(equity)
    return {
        "total_return": float(equity[-1]) - 1 if len(r) else math.nan,
        "annual_return": annual,
        "mean_daily": float(np.mean(r)) if len(r) else math.nan,
        "std_daily": float(np.std(r, ddof=1)) if len(r) > 1 else math.nan,
        "volatility": float(np.std(r, ddof=1)) * math.sqrt(DAYS_PER_YEAR) if len(r) > 1 else math.nan,
        "sharpe_daily": shape.sr,
        "sharpe": sharpe(r),
        "sortino": sortino(r),
        "skew": shape.skew,
        "kurtosis": shape.kurtosis,
        "max_drawdown_daily": drawdown,
        "max_drawdown_days": longest(fall > 0),
        "calmar": annual / drawdown if drawdown > 0 else math.nan,
        "ulcer_index": ulcer,
        "martin_ratio": annual / ulcer if ulcer > 0 else math.nan,
        "profit_factor_daily": gains / losses if losses > 0 else math.nan,
        "omega": gains / losses if losses > 0 else math.nan,
        "value_at_risk": -tail,
        "expected_shortfall": -float(np.mean(r[r <= tail])) if len(r) else math.nan,
        "win_rate_days": float(np.mean(active > 0)) if len(active) else math.nan,
    }


def trade_figures(net: Floats) -> dict[str, float]:
    """Figures of trades' results, in any one unit: payoff ratio, system quality number, longest losing streak."""
    won, lost = net[net > 0], net[net < 0]
    deviation = float(np.std(net, ddof=1)) if len(net) > 1 else math.nan
    return {
        "total_trades": len(net),
        "win_rate": float(np.mean(net > 0)) if len(net) else math.nan,
        "profit_factor": float(np.sum(won) / -np.sum(lost)) if len(lost) else math.nan,
        "expectancy": float(np.mean(net)) if len(net) else math.nan,
        "payoff": float(np.mean(won) / -np.mean(lost)) if len(won) and len(lost) else math.nan,
        "sqn": math.sqrt(len(net)) * float(np.mean(net)) / deviation if deviation > 0 else math.nan,
        "max_losing_streak": longest(net < 0),
    }


def longest(flags: NDArray[np.bool_]) -> int:
    """Length of the longest run of true values."""
    longest_run = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest_run = max(longest_run, run)
    return longest_run
