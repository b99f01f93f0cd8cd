"""Numbers as a person reads them. What is undefined becomes a dash that carries its reason; nothing is ever `nan`."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from ..bars import DAY_MS

DASH = "\N{EM DASH}"
MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
HUGE = 1e7


@dataclass(frozen=True)
class Value:
    """A formatted figure. `why` is set when it is undefined. `tone`: `up`, `down` or empty."""

    text: str
    why: str = ""
    tone: str = ""

    @property
    def defined(self) -> bool:
        return not self.why


def undefined(why: str) -> Value:
    """A dash and the reason for it."""
    return Value(DASH, why or "not defined")


def number(x: float | None, digits: int = 2, *, why: str = "", signed: bool = False, toned: bool = False) -> Value:
    """A plain number with a typographic minus and thousands separated."""
    if x is None or not math.isfinite(x):
        return undefined(why)
    return Value(_digits(x, digits, signed), tone=_tone(x) if toned else "")


def percent(x: float | None, digits: int = 1, *, why: str = "", signed: bool = False, toned: bool = False) -> Value:
    """A fraction as a percentage; large ones lose their decimals."""
    if x is None or not math.isfinite(x):
        return undefined(why)
    shown = 100.0 * x
    places = 0 if abs(shown) >= 1000 else digits
    text = _digits(shown, places, signed) if abs(shown) < HUGE else f"{'+' if signed and shown > 0 else ''}{shown:.1e}"
    return Value(f"{text}%", tone=_tone(x) if toned else "")


def whole(x: float | None, *, why: str = "") -> Value:
    """A count."""
    return number(x, 0, why=why)


def money(x: float | None, *, why: str = "", signed: bool = False) -> Value:
    """An amount in the account's own currency, which is not known and so not named."""
    if x is None or not math.isfinite(x):
        return undefined(why)
    return Value(_digits(x, 2 if abs(x) < 1000 else 0, signed))


def compact(x: float) -> str:
    """An amount in the space of an axis label: 950, 12.5k, 3M."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= size:
            return f"{x / size:,.4g}{unit}" if abs(x) < 1e16 else f"{x:.1e}"
    return f"{x:.4g}"


def duration(ms: float | None, *, why: str = "") -> Value:
    """The two largest units of a span."""
    if ms is None or not math.isfinite(ms):
        return undefined(why)
    minutes = round(ms / MINUTE_MS)
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    if days:
        return Value(f"{days:,}{SPACE}d {hours}{SPACE}h" if days < 100 and hours else f"{days:,}{SPACE}d")
    if hours:
        return Value(f"{hours}{SPACE}h {left}{SPACE}min" if left else f"{hours}{SPACE}h")
    return Value(f"{left}{SPACE}min")


def timeframe(minutes: int) -> str:
    """15 -> `15 min`, 240 -> `4 h`, 1440 -> `1 d`."""
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes // size}{SPACE}{unit}"
    return f"{minutes}{SPACE}min"


def day(number_of_day: int) -> str:
    """A UTC day since 1970 as `12 Mar 2024`."""
    moment = datetime.fromtimestamp(number_of_day * DAY_MS / 1000, UTC)
    return f"{moment.day}{SPACE}{moment:%b}{SPACE}{moment.year}"


def stamp(ms: int) -> str:
    """A UTC moment as `2024-03-12 14:05`."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"


def sentence(text: str) -> str:
    """A remark that stands alone: begun with a capital, ended with a full stop."""
    bare = text.strip()
    return bare and bare[:1].upper() + bare[1:] + ("" if bare.endswith((".", "?", "!")) else ".")


def _digits(x: float, digits: int, signed: bool) -> str:
    text = f"{abs(x):,.{digits}f}"
    zero = not text.strip("0.,")
    sign = "" if zero else (MINUS if x < 0 else "+" if signed else "")
    return sign + text


def _tone(x: float) -> str:
    return "up" if x > 0 else "down" if x < 0 else ""
