"""Charts as geometry: scales, ticks and SVG paths in a 1000 x 1000 box that the page stretches to any width.

Strokes keep their width (`vector-effect`), colours are CSS classes, and labels are text of the page, placed in percent:
so one drawing serves laptop, phone, print, light and dark, and its text is never scaled.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from ..bars import DAY_MS, Floats, Ints

BOX = 1000.0
FLOOR = 1e-4  # the lowest level a log scale shows; an equity of 0 is drawn here
MINOR, MAJOR = True, False


@dataclass(frozen=True)
class Scale:
    """Maps values to 0..1. On a log scale low and high are positive."""

    low: float
    high: float
    log: bool = False

    def at(self, values: Floats | float) -> Floats:
        shown = np.maximum(np.asarray(values, dtype=np.float64), FLOOR) if self.log else np.asarray(values)
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        return np.asarray(((np.log(shown) if self.log else shown) - low) / (high - low), dtype=np.float64)

    def percent(self, value: float) -> float:
        return round(100.0 * float(self.at(value)), 3)


@dataclass(frozen=True)
class Tick:
    """`at` in percent from the left or the bottom. A minor one is not labelled on a narrow screen."""

    at: float
    label: str
    minor: bool = False


@dataclass(frozen=True)
class Path:
    css: str
    d: str


@dataclass(frozen=True)
class Band:
    """A shaded span of the x axis, in percent."""

    css: str
    left: float
    width: float
    label: str = ""


@dataclass(frozen=True)
class Key:
    """One entry of the legend: the class of its line, its name and its last value."""

    css: str
    name: str
    value: str = ""


@dataclass(frozen=True)
class Plot:
    """One frame. `css` gives its height; `label` says what a reader who cannot see it should know.

    `x_ticks` have a line each, `x_labels` are text alone.
    """

    css: str
    label: str
    paths: Sequence[Path]
    x_ticks: Sequence[Tick] = ()
    y_ticks: Sequence[Tick] = ()
    bands: Sequence[Band] = ()
    x_labels: Sequence[Tick] = ()
    rules: Sequence[Path] = ()
    keys: Sequence[Key] = field(default_factory=tuple)


def line(x: Floats, y: Floats) -> str:
    """A path through points given as fractions 0..1 (y upwards); a NaN lifts the pen."""
    parts, pen = [], "M"
    for one, other in zip(x, y, strict=True):
        if not math.isfinite(other):
            pen = "M"
            continue
        parts.append(f"{pen}{_short(one)} {_short(1.0 - other)}")
        pen = "L"
    return "".join(parts)


def area(x: Floats, y: Floats, base: float) -> str:
    """The surface between a line without NaN and the height `base`."""
    if not len(x):
        return ""
    floor = _short(1.0 - base)
    return f"{line(x, y)}L{_short(x[-1])} {floor}L{_short(x[0])} {floor}Z"


def box(left: float, right: float, bottom: float, top: float) -> str:
    """A rectangle, in fractions."""
    xs, ys = (_short(left), _short(right)), (_short(1.0 - bottom), _short(1.0 - top))
    return f"M{xs[0]} {ys[0]}H{xs[1]}V{ys[1]}H{xs[0]}Z"


def dots(x: Floats, y: Floats) -> str:
    """A round dot at each point: a line of no length, so that stretching does not bend it."""
    return "".join(f"M{_short(a)} {_short(1.0 - b)}h0" for a, b in zip(x, y, strict=True) if math.isfinite(b))


def histogram(counts: Ints, first: int, y: Scale, width: float = 0.88) -> list[Path]:
    """Bars of bins first, first + 1, ... of equal size; those below bin 0 are `down`, the others `up`."""
    shapes = {"bar down": "", "bar up": ""}
    for k, count in enumerate(counts):
        if count:
            left, gap = k / len(counts), (1.0 - width) / 2 / len(counts)
            top = float(y.at(float(count)))
            shapes["bar up" if first + k >= 0 else "bar down"] += box(
                left + gap, left + 1 / len(counts) - gap, 0.0, top
            )
    return [Path(css, d) for css, d in shapes.items() if d]


def level(at: float) -> str:
    """A horizontal rule over the whole width."""
    return f"M0 {_short(1.0 - at)}H{BOX:g}"


def upright(at: float) -> str:
    """A vertical rule over the whole height."""
    return f"M{_short(at)} 0V{BOX:g}"


def _short(fraction: float) -> str:
    return f"{BOX * fraction:.1f}".removesuffix(".0")


def nice_step(span: float, count: int) -> float:
    """The 1-2-2.5-5 step that cuts `span` into about `count` parts."""
    if not span > 0:
        return 1.0
    raw = span / max(count, 1)
    size = 10.0 ** math.floor(math.log10(raw))
    return size * next(step for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * size >= raw * (1 - 1e-9))


def nice_values(low: float, high: float, count: int = 5) -> list[float]:
    """Round values inside [low, high]."""
    step = nice_step(high - low, count)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(step * k, 12) for k in range(first, last + 1)]


def decimals(values: Sequence[float]) -> int:
    """How many decimals, at most 4, show these values without loss."""
    return next((n for n in range(4) if all(math.isclose(one, round(one, n), abs_tol=1e-9) for one in values)), 4)


def padded(values: Floats, *, include: Sequence[float] = (), margin: float = 0.06) -> Scale:
    """A linear scale around the finite values and `include`, never of zero height."""
    finite = np.concatenate([values[np.isfinite(values)], np.asarray(include, dtype=np.float64)])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    spread = (high - low) or max(abs(high), 1.0)
    return Scale(low - margin * spread, high + margin * spread)


def log_padded(*series: Floats, margin: float = 0.05) -> Scale:
    """A log scale around the series and 1, never of zero height."""
    joined = np.maximum(np.concatenate([*series, np.ones(1)]), FLOOR)
    low, high = math.log(float(joined.min())), math.log(float(joined.max()))
    spread = max(high - low, 0.05)
    return Scale(math.exp(low - margin * spread), math.exp(high + margin * spread), log=True)


def log_values(scale: Scale, count: int = 5) -> list[float]:
    """Round values for a log scale: 1-2-5 over decades, linear ones when the range is small."""
    if scale.high / scale.low < 5.0:
        return [one for one in nice_values(scale.low, scale.high, count) if one > 0]
    powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    for mantissas in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        found = [m * 10.0**p for p in powers for m in mantissas if scale.low <= m * 10.0**p <= scale.high]
        if len(found) <= count + 2:
            return found
    return found


def y_ticks(scale: Scale, values: Sequence[float], label: Callable[[float], str]) -> list[Tick]:
    return [Tick(scale.percent(one), label(one)) for one in values]


def day_scale(first: int, last: int) -> Scale:
    """The x scale of UTC days `first`..`last`."""
    return Scale(float(first), float(max(last, first + 1)))


def day_ticks(scale: Scale, count: int = 11) -> list[Tick]:
    """Firsts of months (or days, when the span is short); the first of each year carries the year."""
    first, last = round(scale.low), round(scale.high)
    if last - first < 75:
        return _short_span_ticks(scale, first, last)
    start, end = _month_of(first), _month_of(last)
    step = next((s for s in (1, 2, 3, 6, 12, 24, 60, 120) if (end - start) / s <= count), 240)
    marks = [one for one in range(start, end + 1) if one % step == 0 and first <= _first_day(one) <= last]
    shown = next((one for one in marks if not _crowded(one, step)), None)
    return [_month_tick(scale, one, step, dated=one in (marks[0], shown)) for one in marks]


def _crowded(month: int, step: int) -> bool:
    """On a narrow screen every other label goes; the Januaries stay, for they carry the year."""
    return month % (2 * step) != 0


def _month_tick(scale: Scale, month: int, step: int, *, dated: bool) -> Tick:
    year, number = divmod(month, 12)
    name = f"{datetime(year, number + 1, 1, tzinfo=UTC):%b}"
    label = str(year) if step >= 12 else f"{name} {year}" if number == 0 or dated else name
    return Tick(scale.percent(_first_day(month)), label, minor=_crowded(month, step))


def _short_span_ticks(scale: Scale, first: int, last: int) -> list[Tick]:
    step = next(s for s in (1, 2, 3, 5, 7, 10, 14) if (last - first) / s <= 7)
    days = range(first, last + 1, step)
    shown = [datetime.fromtimestamp(day * DAY_MS / 1000, UTC) for day in days]
    return [
        Tick(scale.percent(day), f"{one.day} {one:%b}", minor=index % 2 == 1)
        for index, (day, one) in enumerate(zip(days, shown, strict=True))
    ]


def _month_of(day: int) -> int:
    moment = datetime.fromtimestamp(day * DAY_MS / 1000, UTC)
    return moment.year * 12 + moment.month - 1


def _first_day(month: int) -> int:
    moment = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return int(moment.timestamp() * 1000) // DAY_MS


def fractions(scale: Scale, day: Ints) -> Floats:
    """float64 [D]: where the days lie on the x axis, 0..1."""
    return scale.at(day.astype(np.float64))
