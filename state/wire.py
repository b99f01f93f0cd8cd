"""Records as JSON bytes. Standard library and orjson."""

from typing import Any

import orjson


def encode(value: Any) -> bytes:
    """JSON of records, dataclasses and plain values; a field `class_` is written `class`, NaN and infinity null."""
    # In JSON a quote inside text is escaped, so this pattern can only be a key of that name.
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).replace(b'"class_":', b'"class":')
