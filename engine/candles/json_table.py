"""JSON candles -> a table: lists of lists (freqtrade, ccxt, Binance) and the orientations that pandas writes."""

from collections.abc import Sequence
from typing import Any

import orjson
import polars as pl

from ...state.errors import BadData
from .columns import TIME, is_candle_name, role_of
from .table import positional

INDEX = "index"
_SHAPES = "a list of [time, open, high, low, close, volume], a list of objects, or what pandas to_json writes"
_MAX_INT = 2**63


def read_json(data: bytes) -> pl.DataFrame:
    """Raises BadData for a shape that is not known, ValueError for text that is no JSON."""
    content = orjson.loads(data)
    if isinstance(content, list):
        return _list(content)
    if isinstance(content, dict):
        return _object(content)
    raise BadData(f"it holds one {type(content).__name__}, no candles", fix=f"write {_SHAPES}")


def _list(rows: list[Any]) -> pl.DataFrame:
    if not rows:
        raise BadData("it holds no candles", fix="write or download it again")
    if isinstance(rows[0], list):
        return _frame(_transposed(rows), positional(len(rows[0])))
    if isinstance(rows[0], dict):
        return _records(rows)
    raise BadData(f"it is a list of {type(rows[0]).__name__}", fix=f"write {_SHAPES}")


def _object(content: dict[str, Any]) -> pl.DataFrame:
    if isinstance(content.get("data"), list) and ("columns" in content or "schema" in content):
        return _split(content) if "columns" in content else _list(content["data"])
    values = list(content.values())
    if values and all(isinstance(value, list) for value in values) and _named_candles(content):
        return _frame(values, list(content))
    if values and all(isinstance(value, dict) for value in values):
        return _columns(content) if _named_candles(content) else _indexed(content)
    raise BadData("it is an object of no known shape", fix=f"write {_SHAPES}")


def _split(content: dict[str, Any]) -> pl.DataFrame:
    """`{"columns": [...], "index": [...], "data": [[...]]}`"""
    names, rows, index = content["columns"], content["data"], content.get("index")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadData("its columns are no list of names", fix=f"write {_SHAPES}")
    columns = _transposed(rows) if rows else [[] for _ in names]
    if len(columns) != len(names):
        raise BadData(f"it names {len(names)} columns and has {len(columns)}", fix="write it again")
    if isinstance(index, list) and not _has_time(names):
        names, columns = [INDEX, *names], [index, *columns]
    return _frame(columns, names)


def _columns(content: dict[str, dict[str, Any]]) -> pl.DataFrame:
    """`{"open": {index: value}, ...}`"""
    index = list(next(iter(content.values())))
    for name, column in content.items():
        if list(column) != index:
            raise BadData(f"column {name!r} has another index than the first column", fix="write it again")
    names, columns = list(content), [list(column.values()) for column in content.values()]
    if not _has_time(names):
        names, columns = [INDEX, *names], [index, *columns]
    return _frame(columns, names)


def _indexed(content: dict[str, dict[str, Any]]) -> pl.DataFrame:
    """`{index: {"open": value, ...}}`"""
    frame = _records(list(content.values()))
    return frame if _has_time(frame.columns) else frame.insert_column(0, _series(INDEX, list(content)))


def _records(rows: list[Any]) -> pl.DataFrame:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise BadData(f"row {number} is {type(row).__name__}, the first is an object", fix=f"write {_SHAPES}")
    names = list(rows[0])
    return _frame([[row.get(name) for row in rows] for name in names], names)


def _transposed(rows: Sequence[Any]) -> list[list[Any]]:
    width = len(rows[0]) if isinstance(rows[0], list) else 0
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != width:
            size = f"{len(row)} values" if isinstance(row, list) else "no list"
            raise BadData(f"row {number} has {size}, the first has {width}", fix="write it again")
    return [list(column) for column in zip(*rows, strict=True)]


def _frame(columns: Sequence[list[Any]], names: list[str]) -> pl.DataFrame:
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise BadData("its columns have different lengths", fix="write it again")
    if len(set(names)) != len(names):
        raise BadData("two of its columns have the same name", fix="write it again")
    return pl.DataFrame([_series(name, column) for name, column in zip(names, columns, strict=True)])


def _series(name: str, values: list[Any]) -> pl.Series:
    """Numbers as numbers; a column with any other value becomes text, so that the cell can be named later."""
    kinds = set(map(type, values))
    if kinds <= {int, type(None)} and all(value is None or -_MAX_INT <= value < _MAX_INT for value in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float, type(None)}:
        floats = [None if value is None else float(value) for value in values]
        return pl.Series(name, floats, dtype=pl.Float64)
    return pl.Series(name, [None if value is None else _as_text(value) for value in values], dtype=pl.String)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _named_candles(content: dict[str, Any]) -> bool:
    return any(is_candle_name(name) for name in content)


def _has_time(names: Sequence[str]) -> bool:
    return any(role_of(name) == TIME for name in names)
