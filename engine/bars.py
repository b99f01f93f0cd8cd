"""Candles as arrays.

Notation: T bars. `time` int64 [T], open time in ms UTC, strictly increasing, on the base grid. `open`, `high`, `low`,
`close`, `volume` float64 [T]. A bar covers [time, time + base_ms) and is known at its close. Missing bars stay missing.
"""

import hashlib
import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..state.errors import BadConfig

MINUTE_MS = 60_000
DAY_MS = 86_400_000
MOST_DAYS = 1e6  # more than any file of candles has

ROW = np.dtype([("t", "<i8"), *((name, "<f8") for name in "ohlcv")])
"""Open time in ms and OHLCV, little-endian: what the hash of candles is over."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Bars:
    """One market's candles. `symbol` is the market's file name stem without the timeframe, e.g. `SOLUSDT-PERP`.

    `cache` holds what is derived from these very arrays (windows per timeframe), so that it is computed once.
    """

    symbol: str
    base_ms: int
    time: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    source: str = ""
    synthetic: bool = False
    cache: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.time)

    @property
    def base_minutes(self) -> int:
        return self.base_ms // MINUTE_MS

    @cached_property
    def day(self) -> Ints:
        """int64 [T]: the UTC day of each bar's open, as days since 1970-01-01."""
        return self.time // DAY_MS

    @cached_property
    def sha256(self) -> str:
        """Hash of the parsed rows (little-endian int64 ms, float64 OHLCV): it does not depend on the file format."""
        return hashlib.sha256(self.rows()).hexdigest()

    def rows(self) -> bytes:
        """The bars as ROW after ROW."""
        rows = np.empty(len(self), dtype=ROW)
        rows["t"] = self.time
        for name, column in zip("ohlcv", self.columns, strict=True):
            rows[name] = column
        return rows.tobytes()

    @property
    def columns(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        return self.open, self.high, self.low, self.close, self.volume

    def slice(self, start: int, stop: int) -> "Bars":
        """Bars start..stop-1 as a copy, so that nothing outside can be reached through it."""
        o, h, low, c, v = (column[start:stop].copy() for column in self.columns)
        return replace(self, time=self.time[start:stop].copy(), open=o, high=h, low=low, close=c, volume=v)

    def last_days(self, days: float) -> "Bars":
        """The bars whose open is at or after last open + base - `days` days."""
        if not 0 < days < math.inf:
            raise BadConfig(f"--last-days must be a positive number, not {days:g}", fix="leave it out to use all bars")
        first = self.time[-1] + self.base_ms - round(min(days, MOST_DAYS) * DAY_MS)
        return self.slice(int(np.searchsorted(self.time, first)), len(self))
