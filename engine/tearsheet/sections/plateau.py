"""Does it depend on the exact parameters? Sharpe of the neighbours beside its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import plot, words
from ..labels import listed
from ..sheet import Sheet

BINS = 28


def view(sheet: Sheet) -> dict[str, Any] | None:
    """A histogram of the neighbours, the candidate as a line in it."""
    if sheet.validation is None:
        return None
    part = sheet.validation.plateau
    own = sheet.main.metrics.get("sharpe")
    known = np.array([x for x in part.sharpes if x is not None], dtype=np.float64)
    worthless = len(part.sharpes) - len(known)
    return {
        "title": "Plateau",
        "about": [
            "The same strategy with every parameter moved a little. Neighbours that do much worse mean that the result "
            "hangs on exact numbers, as lucky ones do. That plateaus do better later is not claimed.",
        ],
        "figures": listed(part, "plateau"),
        "chart": _histogram(known, own) if len(known) else None,
        "caption": f"{worthless} of {len(part.sharpes)} neighbours are worthless: undefined, or too few trades."
        if worthless
        else "",
    }


def _histogram(values: Any, own: float | None) -> plot.Plot:
    marks: Sequence[float] = (0.0,) if own is None else (0.0, own)
    low, high = min(float(values.min()), *marks), max(float(values.max()), *marks)
    width = plot.nice_step(high - low or 1.0, BINS)
    first, last = int(np.floor(low / width)), int(np.floor(high / width)) + 1
    counts = np.bincount(np.floor(values / width).astype(int) - first, minlength=last - first)
    x, y = plot.Scale(first * width, last * width), plot.Scale(0.0, 1.08 * float(counts.max()))
    rules = [plot.Path("zero", plot.upright(float(x.at(0.0))))]
    keys = [plot.Key("block up", "Sharpe of the neighbours", f"{len(values)}")]
    if own is not None:
        rules.append(plot.Path("own", plot.upright(float(x.at(own)))))
        keys.append(plot.Key("upright", "this configuration", words.number(own).text))
    ticks = plot.nice_values(x.low, x.high, 7)
    return plot.Plot(
        css="middle",
        label="Histogram of the Sharpe ratios of the neighbours",
        paths=plot.histogram(counts, first, y),
        x_ticks=[
            plot.Tick(x.percent(v), words.number(v, plot.decimals(ticks)).text, k % 2 == 1) for k, v in enumerate(ticks)
        ],
        y_ticks=plot.y_ticks(y, plot.nice_values(0.0, y.high, 3), lambda value: words.whole(value).text),
        rules=rules,
        keys=keys,
    )
