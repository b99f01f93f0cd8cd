"""Sharpe of the last 90 days, day by day."""

from typing import Any

import numpy as np

from .. import plot, words
from ..figures import ROLLING_DAYS, rolling_sharpe
from ..sheet import Sheet


def view(sheet: Sheet) -> dict[str, Any]:
    """One frame, or a sentence that says why there is none."""
    curves = [(part.day, rolling_sharpe(part.returns())) for part in sheet.stretches]
    known = np.concatenate([values[np.isfinite(values)] for _, values in curves])
    content: dict[str, Any] = {"title": "Rolling Sharpe", "about": [_about(sheet)], "plot": None, "missing": ""}
    if not len(known):
        content["missing"] = f"Not defined: it takes {ROLLING_DAYS} days whose returns vary."
        return content
    x = plot.day_scale(sheet.main.first_day - 1, sheet.stretches[-1].last_day)
    y = plot.padded(known, include=(0.0,))
    paths = [plot.Path("line own", plot.line(plot.fractions(x, day), y.at(values))) for day, values in curves]
    held = sheet.hold_out
    content["plot"] = plot.Plot(
        css="middle",
        label=f"Rolling Sharpe between {words.number(known.min()).text} and {words.number(known.max()).text}",
        paths=paths,
        x_ticks=plot.day_ticks(x),
        y_ticks=plot.y_ticks(y, plot.nice_values(y.low, y.high, 5), lambda value: words.number(value, 1).text),
        bands=[plot.Band("held", x.percent(held.first_day - 1), 100.0 - x.percent(held.first_day - 1))] if held else [],
        rules=[plot.Path("zero", plot.level(float(y.at(0.0))))],
    )
    content["share"] = words.percent(float(np.mean(known > 0)), 0)
    return content


def _about(sheet: Sheet) -> str:
    apart = " Training and hold-out are counted apart." if sheet.hold_out else ""
    return f"Annualised Sharpe of the last {ROLLING_DAYS} days, net of costs, flat days included.{apart}"
