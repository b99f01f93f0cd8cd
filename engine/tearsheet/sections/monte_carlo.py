"""What else might have happened: intervals from resampled days, with what was observed in them."""

from dataclasses import dataclass
from typing import Any

from ....state.models.validation import Figure, Section
from .. import words
from ..labels import form, listed, spoken
from ..sheet import Sheet
from ..words import Value

QUANTILES = ("_p05", "_p50", "_p95")
ROOM = 0.08  # of the span of a strip, left free on both sides


@dataclass(frozen=True)
class Strip:
    """An interval on a line of its own scale. Places in percent; `zero`, `observed` None where they are not on it."""

    name: str
    low: Value
    middle: Value
    high: Value
    left: float
    width: float
    centre: float
    zero: float | None
    observed: float | None
    seen: Value | None


def view(sheet: Sheet) -> dict[str, Any] | None:
    """Strips for whatever has a 5, 50 and 95 % point; other figures as they are."""
    if sheet.validation is None:
        return None
    part = sheet.validation.monte_carlo
    names = [key.removesuffix("_p05") for key in part.figures if key.endswith("_p05")]
    strips = [strip for name in names if (strip := _strip(name, part, sheet.main.metrics.get(_observed(name))))]
    used = {strip_name + q for strip_name in names for q in QUANTILES if len(strips) == len(names)}
    return {
        "title": "Monte Carlo",
        "about": [
            "The training days in other orders, dependence kept inside blocks: 90% of the resampled paths lie in the "
            "bar, half of all paths on each side of the notch. The circle is what was observed.",
            words.sentence(f"null hypothesis: {part.null_hypothesis}"),
        ],
        "strips": strips,
        "figures": listed(part, "monte_carlo", without=frozenset(used)),
    }


def _observed(name: str) -> str:
    """Resampled drawdowns are daily, so they are compared with the daily one."""
    return "max_drawdown_daily" if name == "max_drawdown" else name


def _strip(name: str, part: Section, observed: float | None) -> Strip | None:
    values = [_value(part.figures.get(name + q)) for q in QUANTILES]
    low, middle, high = values
    if low is None or middle is None or high is None:
        return None
    edges = [low, high, *([] if observed is None else [observed])]
    if name in ("sharpe", "annual_return", "total_return", "max_drawdown"):
        edges.append(0.0)
    room = ROOM * (max(edges) - min(edges) or 1.0)
    first, last = min(edges) - room, max(edges) + room

    def at(x: float) -> float:
        return round(100.0 * (x - first) / (last - first), 2)

    return Strip(
        name=spoken(name),
        low=form(name, low),
        middle=form(name, middle),
        high=form(name, high),
        left=at(low),
        width=round(at(high) - at(low), 2),
        centre=at(middle),
        zero=at(0.0) if first <= 0.0 <= last else None,
        observed=None if observed is None else at(observed),
        seen=None if observed is None else form(name, observed),
    )


def _value(figure: Figure | None) -> float | None:
    return None if figure is None else figure.value
