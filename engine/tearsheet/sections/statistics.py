"""The statistics reported beside the verdict, each with what would have to be true for it to mean nothing."""

from typing import Any

import numpy as np

from ....state.models.validation import Histogram, Section
from .. import plot, words
from ..labels import listed
from ..sheet import Sheet

PARTS = (
    ("sharpe", "Sharpe ratio"),
    ("deflated_sharpe", "Deflated Sharpe ratio"),
    ("pbo", "Probability of backtest overfitting"),
    ("cross_validation", "Combinatorial cross-validation"),
    ("trade_order", "Trades in other orders"),
    ("concentration", "Concentration"),
    ("ruin", "Ruin"),
    ("search_null", "Search against luck"),
    ("holdout", "Hold-out"),
    ("certificate", "Certificate"),
)


def view(sheet: Sheet) -> dict[str, Any] | None:
    """A block per statistic: its figures, its method, its null hypothesis; the logits of PBO as a histogram."""
    found = sheet.validation
    if found is None:
        return None
    blocks = [_block(name, title, getattr(found, name)) for name, title in PARTS if getattr(found, name, None)]
    return {
        "title": "Statistics",
        "about": [
            "No one of these suffices alone. Under each stands what would have to be true for it to mean nothing."
        ],
        "blocks": [block for block in blocks if block["figures"]],
        "logits": _logits(found.pbo.logits) if found.pbo.logits else None,
    }


def _block(name: str, title: str, section: Section) -> dict[str, Any]:
    return {
        "title": title,
        "figures": listed(section, name),
        "method": words.sentence(section.method),
        "null": words.sentence(f"null hypothesis: {section.null_hypothesis}"),
    }


def _logits(histogram: Histogram) -> plot.Plot | None:
    edges, counts = np.asarray(histogram.edges), np.asarray(histogram.counts)
    if len(counts) < 2 or not counts.any() or len(edges) != len(counts) + 1:
        return None
    x, y = plot.Scale(float(edges[0]), float(edges[-1])), plot.Scale(0.0, 1.08 * float(counts.max()))
    shapes = {"bar down": "", "bar up": ""}
    for left, right, n in zip(edges[:-1], edges[1:], counts, strict=True):
        if n:
            css = "bar down" if left + right <= 0 else "bar up"
            shapes[css] += plot.box(float(x.at(left)), float(x.at(right)), 0.0, float(y.at(float(n))))
    ticks = plot.nice_values(x.low, x.high, 7)
    return plot.Plot(
        css="middle",
        label="Histogram of the logits of PBO",
        paths=[plot.Path(css, d) for css, d in shapes.items() if d],
        x_ticks=[
            plot.Tick(x.percent(v), words.number(v, plot.decimals(ticks)).text, k % 2 == 1) for k, v in enumerate(ticks)
        ],
        y_ticks=plot.y_ticks(y, plot.nice_values(0.0, y.high, 3), lambda value: words.whole(value).text),
        rules=[plot.Path("zero", plot.upright(float(x.at(0.0))))] if x.low < 0 < x.high else [],
        keys=[plot.Key("block down", "Logits of PBO: left of 0 the best in sample was below the median out of sample")],
    )
