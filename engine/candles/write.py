"""Candles -> a new Parquet file in the one layout that needs no guessing: `timestamp` (ms, UTC) and five numbers."""

import io
from pathlib import Path

import polars as pl

from ...state.errors import BadConfig
from ...state.files import make_folder, write_atomic
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
    """Where to write: `output`, or inside it if it is a folder. Raises BadConfig for what exists or is no Parquet."""
    path = output / f"{symbol}-{base_minutes}m{SUFFIX}" if output.is_dir() else output
    if path.suffix.lower() != SUFFIX:
        raise BadConfig(f"{path} does not end in {SUFFIX}", fix=f"use --output {stem(path)}{SUFFIX}")
    if path.exists() or path.is_symlink():
        raise BadConfig(f"{path} exists already", fix="nothing is ever replaced: choose another --output")
    return path


def write_new(path: Path, bars: Bars) -> None:
    """Write the candles; the file appears whole or not at all."""
    make_folder(path.parent)
    write_atomic(path, parquet(bars))
