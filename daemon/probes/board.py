"""One piece of text in shared memory: the writer replaces it, the reader takes the newest, and neither waits."""

import os
import zlib
from typing import Any, Final

import orjson

HEAD: Final = 8
"""Length and checksum before the text: one that is half written does not match them."""


class Board:
    """On a descriptor of memory that both sides have."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._taken = b""

    def put(self, reading: dict[str, Any]) -> None:
        text = orjson.dumps(reading)
        head = len(text).to_bytes(4, "little") + zlib.crc32(text).to_bytes(4, "little")
        os.pwrite(self.descriptor, head + text, 0)

    def take(self) -> dict[str, Any] | None:
        """What stands there; None if that is nothing, nothing new, or being replaced right now."""
        head = os.pread(self.descriptor, HEAD, 0)
        if len(head) < HEAD or head == self._taken:
            return None
        text = os.pread(self.descriptor, int.from_bytes(head[:4], "little"), HEAD)
        if zlib.crc32(text) != int.from_bytes(head[4:], "little"):
            return None
        self._taken = head
        found: dict[str, Any] = orjson.loads(text)
        return found

    def close(self) -> None:
        os.close(self.descriptor)
