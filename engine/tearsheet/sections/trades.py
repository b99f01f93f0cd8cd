"""Trades: how many, how good, how long, which way, why they ended, how concentrated; and the last in a table."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...validation.concentration import BEST
from .. import plot, words
from ..figures import all_trades, trade_stats
from ..sheet import Sheet, Stretch, Trade
from ..words import Value
from .metrics import average

LAST = 50
SIDES = {1: "Long", -1: "Short", 0: words.DASH}
REASONS = {
    "signal": "Signal",
    "stop": "Stop",
    "take": "Take profit",
    "end": "End of data",
    "ruin": "Ruin",
}
BINS = 24
MAX_GROUPS = 8


def view(sheet: Sheet) -> dict[str, Any]:
    """Statistics of the first stretch, and the last trades of all of them, those of the hold-out marked."""
    trades, listed = list(sheet.main.trades), all_trades(sheet.stretches)
    content: dict[str, Any] = {"title": "Trades", "about": _about(sheet), "rows": [], "groups": []}
    if not trades:
        return {**content, "facts": [], "histogram": None, "missing": "No trade was closed."}
    held = set(map(id, sheet.hold_out.trades)) if sheet.hold_out else set()
    last = listed[-LAST:]
    return {
        **content,
        "missing": "",
        "facts": _facts(sheet.main),
        "groups": [("Side", _groups(trades, _side)), ("Exit", _groups(trades, _reason))],
        "histogram": _histogram(trades),
        "rows": [_row(one, held=id(one) in held) for one in reversed(last)],
        "shown": len(last),
        "count": words.whole(len(listed)).text,
        "priced": any(math.isfinite(one.entry_price) for one in last),
        "reasons": any(one.reason for one in last),
    }


def _about(sheet: Sheet) -> list[str]:
    if sheet.hold_out is None:
        return []
    count = len(sheet.hold_out.trades)
    return [f"Figures are of the training days. The list begins with the {count:,} trades of the hold-out, shaded."]


def _facts(part: Stretch) -> list[tuple[str, Value, str]]:
    stats, days = trade_stats(part.trades), len(part.day)
    return [
        ("Closed", words.whole(stats.count), f"{stats.count / days * 30:.1f} in 30 days"),
        ("Win rate", words.percent(stats.win_rate), "share with a gain"),
        ("Profit factor", words.number(stats.profit_factor, why="no losing trade"), "gains over losses"),
        ("Expectancy", words.percent(stats.expectancy, 2, signed=True), "mean net return"),
        ("Average trade", average(part.metrics, part), "from entry to exit"),
        ("Exposure", words.percent(part.metrics.get("exposure"), why="not known"), "share of time in a trade"),
        ("Best and worst", _range(stats.best, stats.worst), "net returns"),
        (f"Best {BEST} make", words.percent(stats.concentration, 0, why="no profit"), "of the profit"),
    ]


def _range(best: float, worst: float) -> Value:
    return Value(f"{words.percent(best, signed=True).text} / {words.percent(worst, signed=True).text}")


def _side(trade: Trade) -> str:
    return SIDES[trade.side]


def _reason(trade: Trade) -> str:
    return REASONS.get(trade.reason, trade.reason) or words.DASH


def _groups(trades: Sequence[Trade], key: Any) -> list[dict[str, Any]]:
    """Largest group first; a list with many reasons has its small ones put together."""
    found: dict[str, list[Trade]] = {}
    for one in trades:
        found.setdefault(key(one), []).append(one)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    kept, rest = ordered[:MAX_GROUPS], ordered[MAX_GROUPS:]
    if rest:
        kept.append((f"{len(rest)} others", [one for _, some in rest for one in some]))
    return [_group(name, some, len(trades)) for name, some in kept]


def _group(name: str, trades: Sequence[Trade], of: int) -> dict[str, Any]:
    stats = trade_stats(trades)
    return {
        "name": name,
        "count": words.whole(stats.count),
        "share": round(100.0 * stats.count / of, 1),
        "win_rate": words.percent(stats.win_rate, 0),
        "mean": words.percent(stats.expectancy, 2, signed=True, toned=True),
        "profit_factor": words.number(stats.profit_factor, why="no losing trade"),
    }


def _histogram(trades: Sequence[Trade]) -> plot.Plot | None:
    """Net returns in bins of a round width with an edge at 0; the outermost bins hold whatever lies beyond."""
    net = np.array([one.net_return for one in trades])
    if len(net) < 5:
        return None
    low, high = (float(x) for x in np.quantile(net, (0.01, 0.99)))
    width = plot.nice_step(max(high, 0.0) - min(low, 0.0) or 0.01, BINS)
    first, last = math.floor(min(low, 0.0) / width), math.ceil(max(high, width) / width)
    counts = np.bincount(np.clip(np.floor(net / width).astype(int), first, last - 1) - first, minlength=last - first)
    x, y = plot.Scale(first * width, last * width), plot.Scale(0.0, 1.06 * float(counts.max()))
    ticks = plot.nice_values(x.low, x.high, 7)
    digits = plot.decimals([100.0 * one for one in ticks])
    return plot.Plot(
        css="middle",
        label="Histogram of net returns of trades",
        paths=plot.histogram(counts, first, y),
        x_ticks=[plot.Tick(x.percent(v), words.percent(v, digits).text, i % 2 == 1) for i, v in enumerate(ticks)],
        y_ticks=plot.y_ticks(y, plot.nice_values(0.0, y.high, 3), lambda value: words.whole(value).text),
        rules=[plot.Path("zero", plot.upright(float(x.at(0.0))))],
        keys=[
            plot.Key(
                "", "Net return of a trade", f"in steps of {words.percent(width, plot.decimals([100 * width])).text}"
            )
        ],
    )


def _row(trade: Trade, *, held: bool) -> dict[str, Any]:
    return {
        "held": held,
        "entry": words.stamp(trade.entry_time),
        "exit": words.stamp(trade.exit_time),
        "side": SIDES[trade.side],
        "entry_price": price(trade.entry_price),
        "exit_price": price(trade.exit_price),
        "net": words.percent(trade.net_return, 2, signed=True, toned=True),
        "reason": _reason(trade),
    }


def price(x: float) -> str:
    """About six significant digits, whatever the market's size."""
    if not math.isfinite(x):
        return words.DASH
    digits = min(max(5 - math.floor(math.log10(abs(x))), 2), 8) if x else 2
    return words.number(x, digits).text
