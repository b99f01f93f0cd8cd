"""Rows of candles in memory, to be spoiled."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from btswarm.engine.bars import Bars
from btswarm.engine.candles.decode import decode
from btswarm.engine.candles.read import Raw, of_bars
from btswarm.state.errors import BadData

from .layouts import candles

MINUTE = 60_000
LATER = 4 * 10**12  # a clock at which every bar has closed


def raw(bars: Bars | None = None) -> Raw:
    """Good rows: 96 of 15 minutes unless others are given."""
    return of_bars(candles() if bars is None else bars)


def decode_here(path: Path, symbol: str) -> tuple[dict[str, Any], memoryview]:
    """What `read` gets from the decoder's process, without the process."""
    try:
        decoded = decode(path, symbol)
    except BadData as error:
        raise BadData(f"{path}: {error.message}", fix=error.fix) from error
    texts = [[text.column, text.count, text.row, text.value] for text in decoded.texts]
    arrays = [decoded.numbers, decoded.time, *(column.view(np.int64) for column in decoded.columns)]
    return {"rows": len(decoded.time), "word": decoded.word, "texts": texts}, memoryview(np.stack(arrays).tobytes())


def rows_of(source: Raw, *order: int) -> Raw:
    return source.take(np.array(order, dtype=np.int64))


def without(source: Raw, *missing: int) -> Raw:
    return rows_of(source, *(row for row in range(len(source)) if row not in missing))


def changed(source: Raw, name: str, row: int, value: float) -> Raw:
    column = getattr(source, name).copy()
    column[row] = value
    return replace(source, **{name: column})
