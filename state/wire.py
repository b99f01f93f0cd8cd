"""Records as JSON bytes. Standard library and orjson."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import orjson

WORTH_KEEPING: Final = 32
"""A table of at least so many rows is encoded row by row, and rows that did not change are not encoded again."""


def encode(value: Any) -> bytes:
    """JSON of records, dataclasses and plain values; a field `class_` is written `class`, NaN and infinity null."""
    # In JSON a quote inside text is escaped, so this pattern can only be a key of that name.
    return orjson.dumps(value).replace(b'"class_":', b'"class":')


class Encoder:
    """`encode` for payloads that are written over and over: large tables of frozen rows keep their rows' bytes."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, tuple[Any, bytes]]] = {}

    def encode(self, payload: Any) -> bytes:
        """The same bytes as `encode(payload)`."""
        if not is_dataclass(payload):
            return encode(payload)
        return (
            b"{" + b",".join(self._field(field.name, getattr(payload, field.name)) for field in fields(payload)) + b"}"
        )

    def _field(self, name: str, value: Any) -> bytes:
        rows = self._rows(name, value) if isinstance(value, Mapping) and len(value) >= WORTH_KEEPING else encode(value)
        return b'"' + name.encode() + b'":' + rows

    def _rows(self, name: str, table: Mapping[str, Any]) -> bytes:
        old = self._tables.get(name, {})
        new = {}
        for key, row in table.items():
            kept = old.get(key)
            if kept is None or kept[0] is not row:
                kept = (row, orjson.dumps(key) + b":" + encode(row))
            new[key] = kept
        self._tables[name] = new
        return b"{" + b",".join([kept[1] for kept in new.values()]) + b"}"
