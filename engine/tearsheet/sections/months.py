"""Returns by calendar month, years by months, coloured by sign and size."""

import math
from dataclasses import dataclass
from typing import Any

from .. import words
from ..figures import Month, compounded, months
from ..sheet import Sheet, Stretch

NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FULL = 0.95  # quantile of the sizes that gets the full colour, so that one wild month does not pale the others


@dataclass(frozen=True)
class Cell:
    """`shade` from 0 to 1; `css` up, down or empty."""

    text: str
    css: str = ""
    shade: float = 0.0
    title: str = ""


@dataclass(frozen=True)
class Row:
    year: str
    held: bool
    cells: list[Cell]
    total: Cell


def view(sheet: Sheet) -> dict[str, Any]:
    """One row per year; the hold-out has rows of its own, since its months are judged apart."""
    every = [(part, months(part.day, part.equity)) for part in sheet.stretches]
    sizes = sorted(abs(one.change) for _, found in every for one in found if math.isfinite(one.change))
    full = sizes[int(FULL * (len(sizes) - 1))] if sizes else 1.0
    rows = [row for part, found in every for row in _rows(sheet, part, found, full or 1.0)]
    positive = [one.change > 0 for _, found in every for one in found]
    return {
        "title": "Months",
        "about": ["Net return of each calendar month (UTC), in percent; a year's total compounds the months shown."],
        "names": NAMES,
        "rows": rows,
        "positive": f"{sum(positive)} of {len(positive)} months gained",
    }


def _rows(sheet: Sheet, part: Stretch, found: list[Month], full: float) -> list[Row]:
    rows = []
    for year in sorted({one.year for one in found}):
        changes = {one.month: one.change for one in found if one.year == year}
        cells = [_cell(changes.get(month), full, f"{NAMES[month - 1]} {year}") for month in range(1, 13)]
        total = _cell(compounded(list(changes.values())), full, str(year))
        rows.append(Row(str(year), part is sheet.hold_out, cells, Cell(total.text, total.css, 0.0, total.title)))
    return rows


def _cell(change: float | None, full: float, when: str) -> Cell:
    if change is None:
        return Cell("")
    if not math.isfinite(change):
        return Cell(words.DASH, title=f"{when}: nothing left to trade")
    tone = "up" if change > 0 else "down" if change < 0 else ""
    shown = words.number(100.0 * change, 0 if abs(change) >= 0.9995 else 1).text
    return Cell(
        shown, tone, round(min(abs(change) / full, 1.0), 2), f"{when}: {words.percent(change, 2, signed=True).text}"
    )
