"""The trace of a run as a picture: SVG of its own, for the chart helper of the tearsheet is the engine's."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1000, 360, 50, 40, 20
STYLE: Final = (
    "text{font:13px sans-serif;fill:#555}.grid{stroke:#ddd}.target{stroke:#c00;stroke-dasharray:6 4}"
    "path{fill:none}.window{stroke:#136;stroke-width:2.5}.seconds{stroke:#9bd}.workers{stroke:#bbb}"
)
Points = Sequence[tuple[float, float]]


def trace(found: Mapping[str, Any], target: float) -> str:
    """`windows`, `seconds`: percent over time, of 60 s and of 5 s; `workers`: how many there are, over time."""
    end = max([at for at, _ in found["workers"]] or [1.0]) or 1.0
    most = max([count for _, count in found["workers"]] or [1]) or 1
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>CPU of our workers, percent of what others left, over time</title>",
        f'<style>{STYLE}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        *_grid(end),
        f'<line class="target" x1="{LEFT}" x2="{WIDTH - 10}" y1="{_y(target):.1f}" y2="{_y(target):.1f}"/>',
        _path("workers", [(at, 100.0 * count / most) for at, count in found["workers"]], end),
        _path("seconds", found["seconds"], end),
        _path("window", found["windows"], end),
        f'<text x="{LEFT + 8}" y="{TOP - 5}">dark: 60 s, light: 5 s, dashed: target {target:g} %, '
        f"grey: workers (at most {most})</text></svg>",
    ]
    return "\n".join(lines) + "\n"


def _grid(end: float) -> list[str]:
    lines = []
    for pct in (0, 20, 40, 60, 80, 100):
        y = f"{_y(pct):.1f}"
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 10}" y1="{y}" y2="{y}"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end" dy="4">{pct}</text>')
    step = next((one for one in (30, 60, 120, 300, 600, 1800, 3600) if end / one <= 15), 7200)
    times = range(0, int(end) + 1, step)
    base = f'y="{HEIGHT - 15}" text-anchor="middle"'
    return [*lines, *(f'<text x="{_x(at, end):.1f}" {base}>{at / 60:g} min</text>' for at in times)]


def _path(name: str, points: Points, end: float) -> str:
    text = " L".join(f"{_x(at, end):.1f} {_y(min(110.0, max(0.0, pct))):.1f}" for at, pct in points)
    return f'<path class="{name}" d="M{text}"/>' if text else ""


def _x(at: float, end: float) -> float:
    return LEFT + (WIDTH - 10 - LEFT) * at / end


def _y(pct: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * pct / 110.0
