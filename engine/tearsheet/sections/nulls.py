"""What luck finds: the best Sharpe ratio on each null market, with the observed one as a line."""

from typing import Any

import numpy as np

from ....state.models.validation import NullFacts
from .. import plot, words
from ..sheet import Sheet

BINS = 28
NAMES = {"permutation": "bars permuted within the hour of the day", "sign_flip": "signs of bars flipped"}


def view(sheet: Sheet) -> dict[str, Any] | None:
    """One histogram for each kind of null market; nothing where no test was made."""
    section = sheet.validation.search_null if sheet.validation else None
    observed = section.figures["observed_sharpe"].value if section else None
    if section is None or observed is None:
        return None
    return {
        "title": "Against luck",
        "about": [
            "The best of one fixed search, on this market and on markets made of its bars whose order means nothing. "
            "What luck finds as often as this is no finding."
        ],
        "charts": [_histogram(one, float(observed)) for one in section.nulls if _finite(one)],
    }


def _finite(one: NullFacts) -> list[float]:
    return [value for value in one.statistics if value is not None]


def _histogram(one: NullFacts, observed: float) -> plot.Plot:
    values = _finite(one)
    low, high = min(*values, observed), max(*values, observed)
    width = (high - low) / BINS or 0.1
    # An edge lies at the observed one, so that what was as good stands apart from the rest.
    first, last = int(np.floor((low - observed) / width)) - 1, int(np.floor((high - observed) / width)) + 2
    edges = observed + width * np.arange(first, last + 1)
    counts, _ = np.histogram(values, bins=edges)
    x, y = plot.Scale(float(edges[0]), float(edges[-1])), plot.Scale(0.0, 1.08 * float(counts.max()))
    shapes = {"bar up": "", "bar down": ""}
    for left, right, n in zip(edges[:-1], edges[1:], counts, strict=True):
        if n:
            css = "bar down" if left >= observed else "bar up"
            shapes[css] += plot.box(float(x.at(left)), float(x.at(right)), 0.0, float(y.at(float(n))))
    ticks = plot.nice_values(x.low, x.high, 7)
    made = f"{len(one.statistics):,} null markets, {NAMES.get(one.kind, one.kind)}"
    early = "; stopped, for enough were as good" if one.stopped_early else ""
    return plot.Plot(
        css="middle",
        label=f"Histogram of the best Sharpe ratio on {made}",
        paths=[plot.Path(css, d) for css, d in shapes.items() if d],
        x_ticks=[
            plot.Tick(x.percent(v), words.number(v, plot.decimals(ticks)).text, k % 2 == 1) for k, v in enumerate(ticks)
        ],
        y_ticks=plot.y_ticks(y, plot.nice_values(0.0, y.high, 3), lambda value: words.whole(value).text),
        rules=[plot.Path("own", plot.upright(float(x.at(observed))))],
        keys=[
            plot.Key("block up", f"Best Sharpe ratio on each of {made}{early}"),
            plot.Key("upright", "this market", words.number(observed).text),
            plot.Key("", "null markets as good", f"{one.exceedances:,}"),
        ],
    )
