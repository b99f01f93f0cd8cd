"""Every metric of the contract, training beside hold-out, each with what it means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .. import words
from ..figures import trade_stats
from ..sheet import Sheet, Stretch
from ..words import Value

Format = Callable[[float | None, str], Value]


@dataclass(frozen=True)
class Metric:
    """`why`: the reason for its being undefined, if it is."""

    name: str
    label: str
    gloss: str
    show: Format
    why: str


@dataclass(frozen=True, eq=False)
class Column:
    """`part` tells why a metric of this column is undefined."""

    name: str
    span: str
    metrics: Mapping[str, float | None]
    part: Stretch


def _percent(x: float | None, why: str) -> Value:
    return words.percent(x, why=why)


def _change(x: float | None, why: str) -> Value:
    return words.percent(x, signed=True, toned=True, why=why)


def _small(x: float | None, why: str) -> Value:
    return words.percent(x, 3, signed=True, toned=True, why=why)


def _ratio(x: float | None, why: str) -> Value:
    return words.number(x, why=why)


def _fall(x: float | None, why: str) -> Value:
    return words.percent(x, why=why)


def _count(x: float | None, why: str) -> Value:
    return words.whole(x, why=why)


RETURN = (
    Metric("total_return", "Total return", "end over start, less 1", _change, "no day"),
    Metric("annual_return", "Annual return", "compounded to 365 days", _change, "no day"),
    Metric("fees_paid", "Fees paid", "of initial equity", _percent, "the list has no fees"),
)
RISK = (
    Metric("sharpe", "Sharpe", "daily returns, × √365", _ratio, "returns do not vary"),
    Metric("sortino", "Sortino", "downside only, × √365", _ratio, "no losing day"),
    Metric("calmar", "Calmar", "annual return over daily drawdown", _ratio, "no drawdown"),
    Metric("max_drawdown", "Deepest drawdown", "at every bar close", _fall, "not known between trades"),
    Metric("max_drawdown_daily", "Deepest drawdown, daily", "at day ends", _fall, "no day"),
)
TRADING = (
    Metric("total_trades", "Trades", "closed", _count, ""),
    Metric("win_rate", "Win rate", "share with a gain", _percent, "no trade"),
    Metric("profit_factor", "Profit factor", "gains over losses", _ratio, "no losing trade"),
    Metric("expectancy", "Expectancy", "mean net return of a trade", _small, "no trade"),
    Metric("exposure", "Exposure", "share of time in a trade", _percent, "no bar"),
)
GROUPS = (("Return", RETURN), ("Risk", RISK), ("Trading", TRADING))


def view(sheet: Sheet) -> dict[str, Any]:
    """Groups of rows: label, gloss, one value per stretch."""
    columns = _columns(sheet)
    groups = [(name, [_row(metric, columns) for metric in metrics]) for name, metrics in GROUPS]
    groups[-1][1].append(("Average trade", "from entry to exit", [average(one.metrics, one.part) for one in columns]))
    return {"title": "Figures", "about": _about(sheet), "columns": columns, "groups": groups}


def _about(sheet: Sheet) -> list[str]:
    if sheet.listed:
        return ["From the list alone: between an entry and its exit nothing is known about the equity."]
    said = ["From the exact simulator, on closed bars, after fees and slippage."]
    if sheet.hold_out is None and sheet.candidate:
        said.append("No hold-out column: this candidate has not been validated.")
    return said


def _columns(sheet: Sheet) -> list[Column]:
    columns = [Column(part.name, _span(part), part.metrics, part) for part in sheet.stretches]
    stressed = sheet.validation.holdout.metrics_at_twice_the_costs if sheet.validation and sheet.hold_out else None
    if stressed and sheet.hold_out:
        columns.append(Column("At twice the costs", "the hold-out", stressed, sheet.hold_out))
    return columns


def _span(part: Stretch) -> str:
    return f"{words.day(part.first_day)} – {words.day(part.last_day)}"


def _row(metric: Metric, columns: list[Column]) -> tuple[str, str, list[Value]]:
    values = [metric.show(one.metrics.get(metric.name), _why(metric, one.part)) for one in columns]
    return metric.label, metric.gloss, values


def _why(metric: Metric, part: Stretch) -> str:
    if not part.trades and metric.name in ("sharpe", "sortino", "calmar", "profit_factor"):
        return "no trade"
    return metric.why


def average(metrics: Mapping[str, float | None], part: Stretch) -> Value:
    """Mean length of a trade, by bars held where they are known: times of trades are opens of bars, not of fills."""
    bars = metrics.get("avg_trade_bars")
    if bars is None or not part.bar_ms:
        return words.duration(trade_stats(part.trades).duration_ms, why="no trade")
    return words.duration(bars * part.bar_ms)


def headline(part: Stretch) -> list[tuple[str, Value]]:
    """The six figures that stand on top of the page."""
    first = ("total_return", "sharpe", "max_drawdown", "total_trades", "win_rate", "profit_factor")
    known = {metric.name: metric for _, group in GROUPS for metric in group}
    chosen = ["max_drawdown_daily" if n == "max_drawdown" and part.metrics.get(n) is None else n for n in first]
    return [(known[n].label, known[n].show(part.metrics.get(n), _why(known[n], part))) for n in chosen]
