"""Bytes of a candle file -> a table of named columns, for each format.

Reads only what the file surely says: text stays text, and nothing is converted before the columns are known.
"""

import gzip
import io
import zlib
from pathlib import Path

import polars as pl

from ...state.errors import BadData
from .json_table import read_json
from .suffixes import COMPRESSED, FORMATS, format_of
from .table import Place, Table, positional

MAX_BYTES = 2 * 1024**3
MAGIC = {b"PAR1": "parquet", b"ARROW1": "feather"}
OTHER_MAGIC = {b"PK\x03\x04": "a zip archive: unzip it", b"FEA1": "Feather version 1: write version 2"}
WHOLE = "write or download it again"
DELIMITERS = ",;\t|"


def read_table(path: Path) -> Table:
    """The rows of a candle file. Raises BadData (without the path) when it cannot be read, or is not what it is called.

    Run it only where a crash of the decoder is bearable: damaged binary files can abort the process.
    """
    data = _content(path)
    named = format_of(path)
    actual = next((kind for magic, kind in MAGIC.items() if data.startswith(magic)), None)
    if actual is None and named in MAGIC.values():
        raise BadData(f"it is called {named} but does not begin like one", fix=WHOLE)
    if actual is not None and named not in (None, actual):
        raise BadData(f"it is called {named} but holds {actual}", fix=f"rename it to end in .{actual}")
    kind = actual or named
    if kind is None:
        raise BadData(f"its format is not known by {path.suffix or 'its name'}", fix=f"use one of {', '.join(FORMATS)}")
    try:
        return _decode(kind, data)
    except (pl.exceptions.PolarsError, OSError, ValueError, OverflowError) as error:
        raise BadData(f"it is damaged or no {kind}: {_short(error)}", fix=WHOLE) from error
    except pl.exceptions.PanicException as error:
        raise BadData(f"it is damaged: its {kind} structure contradicts itself", fix=WHOLE) from error


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadData(f"it is larger than {MAX_BYTES >> 30} GiB", fix="give a coarser timeframe or fewer years")
        data = path.read_bytes()
    except OSError as error:
        raise BadData(f"it cannot be read ({error.strerror})", fix="make it readable for this user") from error
    if data.startswith(b"\x1f\x8b"):
        data = _unzipped(data)
    elif path.suffix.lower() == COMPRESSED:
        raise BadData("it is called .gz but is not compressed", fix="remove .gz from its name")
    for magic, what in OTHER_MAGIC.items():
        if data.startswith(magic):
            raise BadData(f"it is {what.split(':')[0]}", fix=what.split(": ")[1])
    if not data.strip():
        raise BadData("it is empty", fix=WHOLE)
    return data


def _unzipped(data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            plain = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"its compression is damaged or cut off ({_short(error)})", fix=WHOLE) from error
    if len(plain) > MAX_BYTES:
        raise BadData(f"it unpacks to more than {MAX_BYTES >> 30} GiB", fix="give fewer years")
    return plain


def _decode(kind: str, data: bytes) -> Table:
    if kind == "parquet":
        return Table(pl.read_parquet(io.BytesIO(data)), Place())
    if kind == "feather":
        return Table(pl.read_ipc(data), Place())
    if kind == "json":
        return Table(read_json(data), Place())
    return _csv(data)


def _csv(data: bytes) -> Table:
    """All cells as text. A first line of numbers alone means that there is no header."""
    head = data[: 1 << 16].split(b"\n", 1)[0].decode("utf-8-sig").strip()
    delimiter = max(DELIMITERS, key=head.count)
    cells = [cell.strip().strip('"') for cell in head.split(delimiter)]
    bare = all(map(_is_number, cells))
    names = positional(len(cells)) if bare else None
    frame = pl.read_csv(
        data, separator=delimiter, has_header=not bare, new_columns=names, infer_schema=False, empty_string_is_null=True
    )
    return _without_blank_lines(frame, first=1 if bare else 2)


def _without_blank_lines(frame: pl.DataFrame, first: int) -> Table:
    blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if not blank.any():
        return Table(frame, Place("line", first))
    lines = [first + index for index, empty in enumerate(blank.to_list()) if not empty]
    return Table(frame.filter(~blank), Place("line", first, tuple(lines)))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 100 else f"{text[:97]}..."
