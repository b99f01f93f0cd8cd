"""Open times in any usual form -> int64 ms UTC. One column has one form: a mixture is refused, never guessed.

Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970; between 1973 and 2103 their sizes do not
overlap. Text is ISO 8601. A time without a zone is UTC.
"""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...state.errors import BadData
from ..bars import Ints
from .table import Place

EARLIEST_S, LATEST_S = 10**8, 42 * 10**8
UNITS = (("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9))
PHYSICAL = {"ms": 10**3, "us": 10**6, "ns": 10**9}
NS_PER_MS = 10**6

_NUMBER = r"^\d+(\.\d+)?$"
_DATE, _GLUE, _CLOCK, _SECONDS, _FRACTION, _ZONE = "date", "glue", "clock", "seconds", "fraction", "zone"
_ISO = (
    r"^(?<date>\d{4}-\d{2}-\d{2})(?:(?<glue>[T ])(?<clock>\d{2}:\d{2})"
    r"(?::(?<seconds>\d{2})(?:\.(?<fraction>\d{1,9}))?)? ?(?<zone>Z|UTC|[+-]\d{2}:?\d{2})?)?$"
)
_FORMS = "seconds, ms, us or ns since 1970, or ISO 8601 such as 2024-01-31 12:05:00+00:00"


def to_ms(column: pl.Series, place: Place) -> Ints:
    """int64 [N] ms UTC. Raises BadData naming the row that is no time, or the one whose form differs from the first."""
    if (empty := column.is_null()).any():
        raise BadData(
            f"{place(_first(empty))} has no time in column {column.name!r}", fix="remove or complete that row"
        )
    if column.dtype == pl.String:
        return _text(column.str.strip_chars(), place)
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("ms"))
    if isinstance(column.dtype, pl.Datetime):
        per_s = PHYSICAL[column.dtype.time_unit]
        physical = column.to_physical().to_numpy()
        return _whole_ms(physical, np.full(len(physical), per_s), column, place)
    if column.dtype.is_integer():
        return _numbers(column.to_numpy(), column, place)
    if column.dtype.is_float() or column.dtype.is_decimal():
        return _numbers(column.cast(pl.Float64).to_numpy(), column, place)
    raise BadData(f"column {column.name!r} holds {column.dtype}, no times", fix=f"write times as {_FORMS}")


def _numbers(values: NDArray[Any], column: pl.Series, place: Place) -> Ints:
    """Numbers since 1970, their unit told by their size."""
    per_s = np.zeros(len(values), dtype=np.int64)
    for _, factor in UNITS:
        per_s[(values >= EARLIEST_S * factor) & (values <= LATEST_S * factor)] = factor
    if (unknown := per_s == 0).any():
        row = int(np.argmax(unknown))
        raise BadData(
            f"{place(row)}: {_said(column, row)} in column {column.name!r} is no time between 1973 and 2103",
            fix=f"write times as {_FORMS}",
        )
    if (other := per_s != per_s[0]).any():
        row, names = int(np.argmax(other)), {factor: name for name, factor in UNITS}
        raise BadData(
            f"{place(row)}: column {column.name!r} changes from {names[int(per_s[0])]} to {names[int(per_s[row])]}",
            fix="use one unit in one file",
        )
    return _whole_ms(values, per_s, column, place)


def _whole_ms(values: NDArray[Any], per_s: Ints, column: pl.Series, place: Place) -> Ints:
    """Scale to ms; refuse what is finer, and what is outside the years that can be told apart."""
    factor = int(per_s[0])
    if factor < 1000:
        scaled = values * (1000 // factor)
        ms = np.rint(scaled).astype(np.int64)
        rest = np.abs(scaled - ms) > 1e-3
    elif np.issubdtype(values.dtype, np.floating):
        ms = np.rint(values / (factor // 1000)).astype(np.int64)
        rest = np.abs(values / (factor // 1000) - ms) > 1e-3
    else:
        ms, remainder = np.divmod(values.astype(np.int64), factor // 1000)
        rest = remainder != 0
    if (outside := (ms < EARLIEST_S * 1000) | (ms > LATEST_S * 1000)).any():
        row = int(np.argmax(outside))
        raise BadData(
            f"{place(row)}: {_said(column, row)} in column {column.name!r} is not between 1973 and 2103",
            fix="was the unit of the times mistaken when the file was written?",
        )
    if rest.any():
        row = int(np.argmax(rest))
        raise BadData(
            f"{place(row)}: {_said(column, row)} in column {column.name!r} is no whole millisecond",
            fix="give open times of the bars",
        )
    whole: Ints = ms
    return whole


def _text(column: pl.Series, place: Place) -> Ints:
    digits = column.str.contains(_NUMBER)
    if digits.all():
        whole = column.cast(pl.Int64, strict=False)
        exact = whole if not whole.is_null().any() else column.cast(pl.Float64)
        return _numbers(exact.to_numpy(), column, place)
    if digits.any():
        row = _first(digits != digits[0])
        raise BadData(
            f"{place(row)}: column {column.name!r} mixes numbers and dates ({column[0]!r}, here {column[row]!r})",
            fix="use one form of time in one file",
        )
    return _iso(column, place)


def _iso(column: pl.Series, place: Place) -> Ints:
    parts = column.str.extract_groups(_ISO).struct.unnest()
    clock = pl.concat_str(
        pl.col(_DATE),
        pl.lit(" "),
        pl.col(_CLOCK).fill_null("00:00"),
        pl.lit(":"),
        pl.col(_SECONDS).fill_null("00"),
        pl.lit("."),
        pl.col(_FRACTION).fill_null("0"),
    )
    parsed = parts.select(clock.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ns", strict=False)).to_series()
    if (bad := parsed.is_null()).any():
        row = _first(bad)
        raise BadData(
            f"{place(row)}: {column[row]!r} in column {column.name!r} is no time", fix=f"write times as {_FORMS}"
        )
    _refuse_mixture(column, parts, place)
    shift_ns = _offset_minutes(parts[_ZONE][0]) * 60_000 * NS_PER_MS
    physical = parsed.to_physical().to_numpy() - shift_ns
    return _whole_ms(physical, np.full(len(physical), 10**9), column, place)


def _refuse_mixture(column: pl.Series, parts: pl.DataFrame, place: Place) -> None:
    """One zone (or none) and one shape in the whole column."""
    zone = parts[_ZONE].replace({"Z": "UTC", "+00:00": "UTC", "+0000": "UTC", "-00:00": "UTC"}).fill_null("none")
    for what, values in (("zones", zone), ("forms", parts[_GLUE].fill_null("none"))):
        if (other := values != values[0]).any():
            row = _first(other)
            raise BadData(
                f"{place(row)}: column {column.name!r} mixes {what} of time ({column[0]!r}, here {column[row]!r})",
                fix="write all times in UTC and in one form",
            )


def _offset_minutes(zone: str | None) -> int:
    """`+02:00` -> 120; UTC and none are 0."""
    if zone is None or zone in ("Z", "UTC"):
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return -minutes if zone[0] == "-" else minutes


def _said(column: pl.Series, row: int) -> str:
    """A value for a message; a date is shown as its number, for what it may be is beyond any calendar."""
    return str(column.to_physical()[row])


def _first(flags: pl.Series) -> int:
    index = flags.arg_max()
    assert index is not None
    return index
