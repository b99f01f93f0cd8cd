"""Decode one candle file and write its rows to stdout: `python -m btswarm.engine.candles.decode PATH SYMBOL`.

It is a process of its own because a damaged Parquet or Feather file can make the decoder panic, abort or claim any
amount of memory; here that costs nobody more than a refusal. The answer is one line of JSON, then the arrays.
"""

import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from ...state.errors import BadData, BtswarmError
from ..bars import Floats, Ints
from .columns import number_columns, open_times, refuse_several_markets
from .formats import WHOLE, read_table
from .table import Place, Table

MEMORY_FLOOR = 6 * 1024**3
MEMORY_PER_BYTE = 64  # JSON lists take the most
REFUSED = 65


@dataclass(frozen=True)
class Text:
    """Cells of one column that are no numbers: how many, and the first of them."""

    column: str
    count: int
    row: int
    value: str


@dataclass(frozen=True)
class Decoded:
    """Rows in the file's own order. `numbers` int64 [N]: how a person counts each row, as `word` says."""

    word: str
    numbers: Ints
    time: Ints
    columns: tuple[Floats, ...]
    texts: tuple[Text, ...]


def decode(path: Path, symbol: str) -> Decoded:
    """Read `path` in this process. Raises BadData without the path; see the module for what else may happen."""
    table = read_table(path)
    names = number_columns(table.frame, symbol)
    if table.frame.height == 0:
        raise BadData("it has column names and no rows", fix=WHOLE)
    refuse_several_markets(table.frame)
    time = open_times(table.frame, table.place)
    converted = [_numbers(table.frame[name], table.place) for name in names.values()]
    return Decoded(
        word=table.place.word,
        numbers=_row_numbers(table),
        time=time,
        columns=tuple(values for values, _ in converted),
        texts=tuple(text for _, text in converted if text),
    )


def _numbers(column: pl.Series, place: Place) -> tuple[Floats, Text | None]:
    """float64 [N], NaN where a cell is empty or no number."""
    if column.dtype == pl.String:
        plain = column.str.strip_chars()
        values = plain.cast(pl.Float64, strict=False)
        wrong = values.is_null() & plain.is_not_null() & (plain != "")
    elif column.dtype.is_numeric() or column.dtype == pl.Null:
        values, wrong = column.cast(pl.Float64), pl.repeat(False, len(column), eager=True)
    else:
        raise BadData(f"column {column.name!r} holds {column.dtype}, no numbers", fix="write numbers")
    array: Floats = values.fill_null(float("nan")).to_numpy().astype(np.float64)
    if not wrong.any():
        return array, None
    first = int(np.argmax(wrong.to_numpy()))
    return array, Text(column.name, int(wrong.sum()), place.number(first), str(column[first])[:40])


def _row_numbers(table: Table) -> Ints:
    if table.place.numbers:
        return np.array(table.place.numbers, dtype=np.int64)
    return np.arange(table.place.first, table.place.first + table.frame.height, dtype=np.int64)


def main(argv: list[str]) -> int:
    """0 with the rows on stdout, 65 with the refusal."""
    path, symbol = Path(argv[0]), argv[1]
    _limit_memory(path)
    try:
        decoded = decode(path, symbol)
    except BtswarmError as error:
        message, fix = (text.encode(errors="backslashreplace").decode() for text in (error.message, error.fix))
        return _answer({"message": message, "fix": fix}, REFUSED)
    except pl.exceptions.PanicException:
        return _answer({"message": "it is damaged: its content contradicts itself", "fix": WHOLE}, REFUSED)
    except MemoryError:
        return _answer({"message": "it needs too much memory to decode", "fix": "give fewer years"}, REFUSED)
    texts = [[text.column, text.count, text.row, text.value] for text in decoded.texts]
    arrays = (decoded.numbers, decoded.time, *decoded.columns)
    return _answer({"rows": len(decoded.time), "word": decoded.word, "texts": texts}, 0, *arrays)


def _answer(header: dict[str, Any], code: int, *arrays: NDArray[Any]) -> int:
    out = sys.stdout.buffer
    out.write(orjson.dumps(header) + b"\n")
    for array in arrays:
        out.write(np.ascontiguousarray(array).data)
    out.flush()
    return code


def _limit_memory(path: Path) -> None:
    """A damaged size field must not take the host's memory, and an abort leaves no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        wanted = MEMORY_FLOOR + MEMORY_PER_BYTE * path.stat().st_size
    except OSError:
        return  # reading it will say why
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
