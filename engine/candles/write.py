"""Candles -> a new Parquet file in the one layout that needs no guessing: `timestamp` (ms, UTC) and five numbers."""

import io
from pathlib import Path

import polars as pl

from ...state.errors import BadConfig
from ...state.files import make_folder, write_atomic
from ...state.symbols import means, parse_file_name, readings
from ..bars import Bars
from .suffixes import stem

SUFFIX = ".parquet"


def parquet(bars: Bars) -> bytes:
    """The file's content: zstd, time then open, high, low, close and base volume."""
    time = pl.Series("timestamp", bars.time).cast(pl.Datetime("ms", "UTC"))
    names = ("open", "high", "low", "close", "volume")
    buffer = io.BytesIO()
    pl.DataFrame([time, *map(pl.Series, names, bars.columns)]).write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def new_file(output: Path, symbol: str, base_minutes: int) -> Path:
    """Where to write: `output`, or inside it if it is a folder. Raises BadConfig for what exists, is no
    Parquet, or is named for something else.
    """
    path = output / f"{symbol}-{base_minutes}m{SUFFIX}" if output.is_dir() else output
    if path.suffix.lower() != SUFFIX:
        raise BadConfig(f"{path} does not end in {SUFFIX}", fix=f"use --output {stem(path)}{SUFFIX}")
    _refuse_other_name(path, symbol, base_minutes)
    if path.exists() or path.is_symlink():
        raise BadConfig(f"{path} exists already", fix="nothing is ever replaced: choose another --output")
    return path


def _refuse_other_name(path: Path, symbol: str, base_minutes: int) -> None:
    """A name that says another market or timeframe would later be believed."""
    name, own = parse_file_name(stem(path)), parse_file_name(symbol)
    if name is None:
        return
    other_market = name.certain and own is not None and own.certain and not means(name, readings(symbol))
    if other_market or name.minutes not in (None, base_minutes):
        says = f"{name.symbol}-{name.minutes}m" if name.minutes else name.symbol
        raise BadConfig(
            f"{path} is named for {says}, the candles are {symbol} of {base_minutes} minutes",
            fix=f"use --output {path.with_name(f'{symbol}-{base_minutes}m{SUFFIX}')}",
        )


def write_new(path: Path, bars: Bars) -> None:
    """Write the candles; the file appears whole or not at all."""
    make_folder(path.parent)
    write_atomic(path, parquet(bars))
