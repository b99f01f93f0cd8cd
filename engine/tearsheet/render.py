"""A sheet becomes one HTML file: every section in order, styles and script inside, nothing fetched.

The same sheet gives the same bytes. All text passes through autoescape; only this package's own files are not escaped.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ... import __version__
from .sections import (
    cost_stress,
    equity,
    gates,
    metrics,
    monte_carlo,
    months,
    nulls,
    plateau,
    reproduction,
    rolling,
    statistics,
    trades,
    verdict,
    walk_forward,
)
from .sheet import Sheet

TEMPLATES = Path(__file__).parent / "templates"
View = Callable[[Sheet], dict[str, Any] | None]

SECTIONS: tuple[tuple[str, View], ...] = (
    ("verdict", verdict.view),
    ("nulls", nulls.view),
    ("equity", equity.view),
    ("metrics", metrics.view),
    ("gates", gates.view),
    ("walk_forward", walk_forward.view),
    ("plateau", plateau.view),
    ("cost_stress", cost_stress.view),
    ("monte_carlo", monte_carlo.view),
    ("statistics", statistics.view),
    ("months", months.view),
    ("rolling", rolling.view),
    ("trades", trades.view),
    ("reproduction", reproduction.view),
)
"""The order of the page. A section is one file that computes what it shows and one template of the same name; a view
of None leaves it out."""


def page(sheet: Sheet) -> bytes:
    """The whole page, UTF-8."""
    views = [(name, view(sheet)) for name, view in SECTIONS]
    shown = [(f"{name}.html", content) for name, content in views if content is not None]
    return _environment().get_template("page.html").render(sheet=sheet, sections=shown, version=__version__).encode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
