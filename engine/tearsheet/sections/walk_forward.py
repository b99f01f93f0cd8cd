"""Walk-forward: what was chosen on the past of each fold, and what that made in the days after it."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from ....state.models.validation import Fold, WalkForward
from .. import plot, words
from ..labels import listed
from ..sheet import Sheet

PARAMS = ["fast_tf", "fast_period", "slow_tf", "slow_period"]


def view(sheet: Sheet) -> dict[str, Any] | None:
    """Rolling and anchored training, each with its folds as bars and as a table."""
    if sheet.validation is None:
        return None
    both = (
        ("Rolling training", sheet.validation.walk_forward_rolling),
        ("Anchored training", sheet.validation.walk_forward_anchored),
    )
    return {
        "title": "Walk-forward",
        "about": [
            "In each fold the whole selection is run again on the training days alone; what it chose is then traded on "
            "the test days that follow. Rolling training moves along, anchored training keeps its first day. A return "
            "per year is the mean day times 365.",
            words.sentence(f"null hypothesis: {both[0][1].null_hypothesis}"),
        ],
        "ways": [_way(name, way) for name, way in both],
    }


def _way(name: str, way: WalkForward) -> dict[str, Any]:
    return {
        "name": name,
        "figures": listed(way, "walk_forward"),
        "chart": _chart(name, way.folds),
        "rows": [_row(fold) for fold in way.folds],
    }


def _row(fold: Fold) -> dict[str, Any]:
    nothing = "no combo traded enough" if fold.params is None else "returns do not vary"
    return {
        "test": f"{_day(fold.test_from)} – {_day(fold.test_to)}",
        "chosen": _chosen(fold),
        "train_sharpe": words.number(fold.train_sharpe, why=nothing),
        "test_sharpe": words.number(fold.test_sharpe, why=nothing, toned=True),
        "test_return": words.percent(fold.test_return, signed=True, toned=True, why=nothing),
        "test_trades": words.whole(fold.test_trades),
    }


def _chosen(fold: Fold) -> str:
    """The two series whose crossing was chosen, when they are there under their usual names."""
    p = fold.params
    if p is None:
        return words.DASH
    if any(name not in p for name in PARAMS):
        return ", ".join(f"{name} {value}" for name, value in p.items())
    fast, slow = words.timeframe(int(p["fast_tf"])), words.timeframe(int(p["slow_tf"]))
    return f"EMA {p['fast_period']} × {fast} / {p['slow_period']} × {slow}"


def _day(iso: str) -> str:
    moment = date.fromisoformat(iso)
    return f"{moment.day}{words.SPACE}{moment:%b}{words.SPACE}{moment.year}"


def _chart(name: str, folds: Sequence[Fold]) -> plot.Plot | None:
    """Two bars per fold: Sharpe in training, Sharpe in the test after it."""
    pairs = [(fold.train_sharpe, fold.test_sharpe) for fold in folds]
    values = np.array([math.nan if x is None else x for pair in pairs for x in pair], dtype=np.float64)
    if not np.isfinite(values).any():
        return None
    y = plot.padded(values, include=(0.0,))
    zero, width = float(y.at(0.0)), 1.0 / len(folds)
    shapes = {"bar faint": "", "bar up": "", "bar down": ""}
    for k, (train, test) in enumerate(pairs):
        for x, left, css in ((train, 0.14, "bar faint"), (test, 0.51, "bar up" if (test or 0.0) >= 0 else "bar down")):
            if x is not None:
                bottom, top = sorted((zero, float(y.at(x))))
                shapes[css] += plot.box((k + left) * width, (k + left + 0.35) * width, bottom, top)
    ticks = [
        plot.Tick(100.0 * (k + 0.5) * width, _month(fold.test_from), minor=k % 2 == 1) for k, fold in enumerate(folds)
    ]
    return plot.Plot(
        css="middle",
        label=f"{name}: Sharpe in training and in the test of each fold",
        paths=[plot.Path(css, d) for css, d in shapes.items() if d],
        x_labels=ticks,
        y_ticks=plot.y_ticks(y, plot.nice_values(y.low, y.high, 4), lambda value: words.number(value, 1).text),
        rules=[plot.Path("zero", plot.level(zero))],
        keys=[plot.Key("block faint", "Sharpe in training"), plot.Key("block up", "in the test after it")],
    )


def _month(iso: str) -> str:
    return f"{date.fromisoformat(iso):%b %Y}"
