"""Equity on a log scale against the market at the same exposure, drawdown below, the hold-out shaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...bars import Floats, Ints
from .. import plot, words
from ..figures import drawdown
from ..sheet import Sheet, Stretch


@dataclass(frozen=True, eq=False)
class Curve:
    """A stretch as it is drawn: [D + 1] points, the first of them the level it starts from, a day earlier."""

    day: Ints
    equity: Floats
    drawdown: Floats
    benchmark: Floats | None


def view(sheet: Sheet) -> dict[str, Any]:
    """Two frames on one x axis, and the daily figures that the hover line reads."""
    curves = _curves(sheet.stretches)
    x = plot.day_scale(int(curves[0].day[0]), int(curves[-1].day[-1]))
    return {
        "title": "Equity",
        "about": _about(sheet),
        "plots": [_equity(sheet, x, curves), _drawdown(sheet, x, curves)],
        "hover": _hover(sheet, x, curves),
    }


def _curves(stretches: Sequence[Stretch]) -> list[Curve]:
    """Each stretch begun where the one before it ended; drawdown counted anew in each."""
    found: list[Curve] = []
    own, other = 1.0, 1.0
    for part in stretches:
        day = np.concatenate([[part.first_day - 1], part.day])
        equity = own * np.concatenate([[1.0], part.equity])
        benchmark = None if part.benchmark is None else other * np.concatenate([[1.0], part.benchmark])
        found.append(Curve(day, equity, np.concatenate([[0.0], drawdown(part.equity)]), benchmark))
        own, other = float(equity[-1]), other if benchmark is None else float(benchmark[-1])
    return found


def _about(sheet: Sheet) -> list[str]:
    said = [sheet.equity_note, sheet.benchmark_note]
    if sheet.hold_out:
        said.append(
            "The shaded hold-out was sealed while this configuration was searched for. There the simulation starts "
            "flat; its curve is drawn on from where training ended, its drawdown is counted anew."
        )
    elif not sheet.listed:
        said.append("The curve ends with training, before the embargo." + _why_no_hold_out(sheet))
    if any(part.equity.min() <= plot.FLOOR for part in sheet.stretches):
        said.append("What is lost altogether has no place on a log scale and is drawn at its lower edge.")
    return [one for one in said if one]


def _why_no_hold_out(sheet: Sheet) -> str:
    if sheet.candidate:
        return " The hold-out is shown once this candidate has been validated."
    return " Only the one candidate, best robust, is ever shown on the hold-out."


def _equity(sheet: Sheet, x: plot.Scale, curves: list[Curve]) -> plot.Plot:
    y = plot.log_padded(
        *(one.equity for one in curves), *(one.benchmark for one in curves if one.benchmark is not None)
    )
    bench = [
        plot.Path("line bench", _line(x, y, one.day, one.benchmark)) for one in curves if one.benchmark is not None
    ]
    own = [plot.Path("line own", _line(x, y, one.day, one.equity)) for one in curves]
    final = _level(sheet, float(curves[-1].equity[-1]))
    return plot.Plot(
        css="tall",
        label=f"Equity on a log scale, from {_level(sheet, 1.0)} to {final}",
        paths=[*bench, *own],
        x_ticks=[plot.Tick(one.at, "", one.minor) for one in plot.day_ticks(x)],
        y_ticks=_level_ticks(sheet, y),
        bands=_bands(sheet, x, labelled=True),
        rules=[plot.Path("zero", plot.level(float(y.at(1.0))))],
        keys=_keys(sheet, curves),
    )


def _drawdown(sheet: Sheet, x: plot.Scale, curves: list[Curve]) -> plot.Plot:
    deepest = min(float(one.drawdown.min()) for one in curves)
    y = plot.Scale(min(1.08 * deepest, -0.01), 0.0)
    values = plot.nice_values(y.low, 0.0, 3)
    digits = plot.decimals([100.0 * one for one in values])
    surfaces = [
        plot.Path("surface down", plot.area(plot.fractions(x, one.day), y.at(one.drawdown), 1.0)) for one in curves
    ]
    edges = [plot.Path("line down", _line(x, y, one.day, one.drawdown)) for one in curves]
    return plot.Plot(
        css="low",
        label=f"Drawdown of daily equity, deepest {words.percent(deepest).text}",
        paths=[*surfaces, *edges],
        x_ticks=plot.day_ticks(x),
        y_ticks=plot.y_ticks(y, values, lambda value: words.percent(value, digits).text),
        bands=_bands(sheet, x, labelled=False),
        keys=[plot.Key("down", "Drawdown at day ends, deepest", words.percent(deepest).text)],
    )


def _line(x: plot.Scale, y: plot.Scale, day: Ints, values: Floats) -> str:
    return plot.line(plot.fractions(x, day), y.at(values))


def _bands(sheet: Sheet, x: plot.Scale, *, labelled: bool) -> list[plot.Band]:
    if sheet.hold_out is None:
        return []
    edges = x.percent(sheet.main.last_day), x.percent(sheet.hold_out.first_day - 1), 100.0
    names = ("Embargo", "Hold-out") if labelled else ("", "")
    return [
        plot.Band("embargo", edges[0], round(edges[1] - edges[0], 3), names[0]),
        plot.Band("held", edges[1], round(edges[2] - edges[1], 3), names[1]),
    ]


def _keys(sheet: Sheet, curves: list[Curve]) -> list[plot.Key]:
    keys = [
        plot.Key("own", "These trades" if sheet.listed else "This configuration", _gains([c.equity for c in curves]))
    ]
    levels = [one.benchmark for one in curves if one.benchmark is not None]
    if len(levels) == len(curves):
        keys.append(plot.Key("bench", sheet.benchmark_name, _gains(levels)))
    return keys


def _gains(levels: Sequence[Floats]) -> str:
    """Of each stretch apart: a gain while being chosen says nothing about one after it."""
    gains = [float(one[-1] / one[0]) - 1.0 if one[0] > 0 else None for one in levels]
    return ", then ".join(words.percent(one, signed=True).text for one in gains)


def _level_ticks(sheet: Sheet, y: plot.Scale) -> list[plot.Tick]:
    """Round multiples, or round amounts where the sheet has a capital."""
    if sheet.capital == 1.0:
        return plot.y_ticks(y, plot.log_values(y), lambda value: _level(sheet, value))
    amounts = plot.Scale(y.low * sheet.capital, y.high * sheet.capital, log=True)
    return [plot.Tick(y.percent(one / sheet.capital), words.compact(one)) for one in plot.log_values(amounts)]


def _level(sheet: Sheet, value: float) -> str:
    if sheet.capital != 1.0:
        return words.money(sheet.capital * value).text
    return f"{value:.3g}×"


def _hover(sheet: Sheet, x: plot.Scale, curves: list[Curve]) -> dict[str, Any]:
    """Columns of equal length: day, place in percent, equity, benchmark, drawdown."""
    day = np.concatenate([one.day[1:] for one in curves])
    columns: list[list[Any]] = [_rounded(np.concatenate([one.equity[1:] for one in curves]) * sheet.capital)]
    names = ["equity"]
    benchmarks = [one.benchmark[1:] for one in curves if one.benchmark is not None]
    if len(benchmarks) == len(curves):
        columns.append(_rounded(np.concatenate(benchmarks) * sheet.capital))
        names.append("market")
    columns.append(_rounded(100.0 * np.concatenate([one.drawdown[1:] for one in curves]), 3))
    names.append("drawdown")
    return {
        "from": x.low,
        "to": x.high,
        "names": names,
        "money": sheet.capital != 1.0,
        "day": day.tolist(),
        "columns": columns,
    }


def _rounded(values: Floats, digits: int = 4) -> list[float]:
    return [float(f"{one:.{digits}g}") for one in values]
