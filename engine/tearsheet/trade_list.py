"""A sheet from nothing but a list of trades: equity compounds at each exit and stands still between."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...state.errors import BadData
from ..bars import DAY_MS
from ..metrics import annual_return, max_drawdown, sharpe, sortino
from . import words
from .figures import trade_stats
from .sheet import LISTED, Reproduction, Sheet, Stretch, Trade
from .trade_table import Reading

MOST = 1e200  # of equity; beyond it charts and ratios have no numbers any more
EQUITY_NOTE = (
    "Equity compounds at the exit of each trade and stands still between: what happened inside a trade is not in the "
    "list, so true drawdowns are at least as deep as shown, and Sharpe is that of closed trades alone."
)


def sheet_of(name: str, reading: Reading, capital: float, source: str) -> Sheet:
    """The sheet of a trade list, with `capital` at its start."""
    trades = _returns(reading, capital)
    part = _stretch(trades)
    overlapping = _overlapping(trades)
    begin = "trade begins" if overlapping == 1 else "trades begin"
    notes = [
        f"{overlapping:,} {begin} before an earlier one has ended. Returns compound in order of exit, as if each trade "
        "had the whole equity: with overlapping positions that is an approximation."
    ]
    return Sheet(
        name=name,
        eyebrow="Trade list",
        title=name,
        summary=_summary(trades, part, capital),
        stretches=[part],
        reproduction=_reproduction(name, reading, capital, source),
        listed=True,
        equity_note=EQUITY_NOTE,
        capital=capital,
        notes=notes if overlapping else [],
    )


def _returns(reading: Reading, capital: float) -> list[Trade]:
    """Profits in money become returns on the equity at that moment; nothing is traded after ruin."""
    if reading.amounts is None:
        return list(reading.trades)
    equity, found = capital, []
    for trade, amount in zip(reading.trades, reading.amounts, strict=True):
        net = max(amount / equity, -1.0) if equity > 0 else 0.0
        found.append(replace(trade, net_return=net))
        equity = max(equity + amount, 0.0) if equity > 0 else 0.0
    return found


def _stretch(trades: Sequence[Trade]) -> Stretch:
    """Daily equity from the day of the first entry to the day of the last exit. Raises BadData for absurd returns."""
    first = min(one.entry_time for one in trades) // DAY_MS
    last = max(one.exit_time for one in trades) // DAY_MS
    day = np.arange(first, last + 1, dtype=np.int64)
    factors = np.ones(len(day))
    with np.errstate(over="ignore"):
        for one in trades:
            factors[one.exit_time // DAY_MS - first] *= 1.0 + one.net_return
        equity = np.cumprod(factors)
    if not np.all(equity < MOST):
        raise BadData(
            "the returns compound to more than a number holds",
            fix="a gain of 2 % is 0.02; call the column return_pct if it is in percent",
        )
    part = Stretch(LISTED, day, np.asarray(equity, dtype=np.float64), {}, trades)
    return replace(part, metrics=_metrics(part))


def _metrics(part: Stretch) -> dict[str, float | None]:
    """The names and definitions of `engine/metrics.py` as far as a list allows; undefined is None."""
    stats, r = trade_stats(part.trades), part.returns()
    final = float(part.equity[-1])
    deepest = max_drawdown(part.equity)
    annual = _annual(final, len(r))
    span = max(one.exit_time for one in part.trades) - min(one.entry_time for one in part.trades)
    found = {
        "total_trades": stats.count,
        "win_rate": stats.win_rate,
        "total_return": final - 1.0,
        "annual_return": annual,
        "sharpe": sharpe(r),
        "sortino": sortino(r),
        "max_drawdown_daily": deepest,
        "calmar": annual / deepest if deepest > 0 else math.nan,
        "profit_factor": stats.profit_factor,
        "expectancy": stats.expectancy,
        "exposure": _held_ms(part.trades) / span if span else math.nan,
    }
    return {name: x if math.isfinite(x) else None for name, x in found.items()}


def _annual(final: float, days: int) -> float:
    """NaN where a few wild days would compound to more than a number holds."""
    try:
        return annual_return(final, days)
    except OverflowError:
        return math.nan


def _held_ms(trades: Sequence[Trade]) -> int:
    """Time with at least one trade open."""
    total, reached = 0, 0
    for one in sorted(trades, key=lambda trade: trade.entry_time):
        total += max(0, one.exit_time - max(one.entry_time, reached))
        reached = max(reached, one.exit_time)
    return total


def _overlapping(trades: Sequence[Trade]) -> int:
    count, reached = 0, 0
    for one in sorted(trades, key=lambda trade: (trade.entry_time, trade.exit_time)):
        count += one.entry_time < reached
        reached = max(reached, one.exit_time)
    return count


def _summary(trades: Sequence[Trade], part: Stretch, capital: float) -> str:
    span = f"{words.day(part.first_day)} to {words.day(part.last_day)}"
    end = words.money(capital * float(part.equity[-1])).text
    kind = "trade" if len(trades) == 1 else "trades"
    return f"{len(trades):,} {kind} from {span}, {words.money(capital).text} to {end}."


def _reproduction(name: str, reading: Reading, capital: float, source: str) -> Reproduction:
    rows = [("File", source), *reading.rows, ("Capital", words.money(capital).text)]
    return Reproduction(rows=rows)
