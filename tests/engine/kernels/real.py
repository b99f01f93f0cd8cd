"""Slices of the real candles around things that are hard: the trading halt of 2023-03-24, and ordinary months."""

from pathlib import Path

import numpy as np
import polars as pl

from btswarm.engine.bars import Bars

from ..market import ms

GAP = "2023-03-24T12:40"
_READ: dict[tuple[Path, str], Bars] = {}


def candles(folder: Path, symbol: str) -> Bars:
    """All 5-minute candles of a symbol, straight from its Parquet file."""
    key = (folder, symbol)
    if key not in _READ:
        table = pl.read_parquet(folder / f"{symbol}-5m.parquet")
        time = table["timestamp"].dt.epoch("ms").to_numpy().astype(np.int64)
        o, h, low, c, v = (table[name].to_numpy().copy() for name in ("open", "high", "low", "close", "volume"))
        _READ[key] = Bars(symbol, 300_000, time, o, h, low, c, v)
    return _READ[key]


def days_from(bars: Bars, start: str, days: float) -> Bars:
    """`days` days of bars from `start` on."""
    first, last = np.searchsorted(bars.time, [ms(start), ms(start) + round(days * 86_400_000)])
    return bars.slice(int(first), int(last))
