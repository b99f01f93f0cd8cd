"""What is left at other costs, and the cost at which nothing is."""

import math
from typing import Any

import numpy as np

from ....state.models.validation import CostRow
from .. import plot, words
from ..labels import listed
from ..sheet import Sheet


def view(sheet: Sheet) -> dict[str, Any] | None:
    """Break-even, a line of Sharpe over costs, and a row for each multiple of fee and slippage."""
    if sheet.validation is None:
        return None
    part = sheet.validation.cost_stress
    costs = sheet.validation.costs
    return {
        "title": "Cost stress",
        "about": [
            f"The training run again with fee and slippage multiplied; 1× is {words.percent(costs.fee, 3).text} a side "
            f"and {words.percent(costs.slippage, 3).text} a market fill.",
        ],
        "figures": listed(part, "cost_stress"),
        "chart": _chart(part.rows),
        "rows": [_row(one) for one in part.rows],
    }


def _row(row: CostRow) -> dict[str, Any]:
    found = row.metrics or {}
    why = row.reason or "not defined"
    return {
        "multiple": f"{row.multiple:g}×",
        "base": row.multiple == 1.0,
        "total_return": words.percent(found.get("total_return"), signed=True, toned=True, why=why),
        "sharpe": words.number(found.get("sharpe"), why=why),
        "max_drawdown": words.percent(found.get("max_drawdown"), why=why),
        "trades": words.whole(found.get("total_trades"), why=why),
        "why": row.reason,
    }


def _chart(rows: list[CostRow]) -> plot.Plot | None:
    points = [(row.multiple, (row.metrics or {}).get("sharpe")) for row in rows]
    sharpes = np.array([math.nan if s is None else s for _, s in points], dtype=np.float64)
    if np.isfinite(sharpes).sum() < 2:
        return None
    x, y = plot.Scale(0.0, max(m for m, _ in points)), plot.padded(sharpes, include=(0.0,))
    at = x.at(np.array([m for m, _ in points], dtype=np.float64))
    return plot.Plot(
        css="middle",
        label="Sharpe at multiples of the costs",
        paths=[
            plot.Path("line own", plot.line(at, y.at(sharpes))),
            plot.Path("dots own", plot.dots(at, y.at(sharpes))),
        ],
        x_ticks=[plot.Tick(x.percent(m), f"{m:g}×", minor=m != int(m)) for m, _ in points],
        y_ticks=plot.y_ticks(y, plot.nice_values(y.low, y.high, 4), lambda value: words.number(value, 1).text),
        rules=[plot.Path("zero", plot.level(float(y.at(0.0))))],
        keys=[plot.Key("own", "Sharpe", "by multiple of fee and slippage")],
    )
