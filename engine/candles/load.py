"""`--data-path` and `--symbol` -> candles that are fit to compute with, or a refusal that says why."""

import time
from pathlib import Path

from ..bars import Bars
from .faults import base_of, faults, refuse
from .locate import locate
from .read import read_located
from .synthetic import synthetic


def load(
    data_path: str | Path | None, symbol: str | None, *, base_minutes: int | None = None, now_ms: int | None = None
) -> Bars:
    """The candles of `symbol` in a file or folder; without a path, or with the path `synthetic`, the invented market.

    `now_ms` is the clock that tells whether the last bar has closed; by default the host's. Gaps are allowed: the
    preflight judges them. Raises InputGone for a missing path, BadConfig for a file named for another market, and
    BadData naming file, row and remedy for anything that no candle may be.
    """
    located = locate(data_path, symbol, base_minutes=base_minutes)
    if located.path is None:
        return synthetic(located.symbol, base_minutes=base_minutes or 5)
    raw = read_located(located)
    base_ms = base_of(raw, base_minutes)
    refuse(raw, faults(raw, base_ms, clock_ms() if now_ms is None else now_ms))
    return raw.bars(base_ms)


def clock_ms() -> int:
    """The host's clock, ms UTC."""
    return time.time_ns() // 10**6
