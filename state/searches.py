"""What the search ledger says of each search, read as it grows and without models: for whoever decides what to search.

The ledger's own reader (ledger_file.py) judges every field; this one follows the chain of hashes and takes what it
needs. Only whole lines count.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from .models.facts import SearchView
from .models.ledger import GENESIS, LOOKS, RENEWED_AFTER_DAYS, VERSION

DAY_S: Final = 86_400.0


@dataclass
class _Family:
    """One symbol, mode and space: looks attach to it, whichever training window they came from.

    `begins`, `at`: the newest hold-out that was entered, its first day and when (UTC seconds).
    """

    begins: str = ""
    at: float = 0.0
    looks: list[str] = field(default_factory=list)


class Searches:
    """The ledger at `path`. `fault`: why it cannot be believed, empty while it can; then what it said last stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fault = ""
        self._begin()

    def _begin(self) -> None:
        self._inode = self._read = self._seq = 0
        self._last = GENESIS
        self._families: dict[str, _Family] = {}
        self._keys: dict[str, tuple[int, str]] = {}
        """Search -> looks of its own, newest verdict; in the order in which they were last entered."""

    def refresh(self) -> None:
        """Take what was added since the last call; begin again if the file is another one or shorter."""
        try:
            stat = self.path.stat()
            if stat.st_ino != self._inode or stat.st_size < self._read:
                self._begin()
                self._inode = stat.st_ino
            if stat.st_size == self._read:
                return
            with self.path.open("rb") as file:
                file.seek(self._read)
                new = file.read(stat.st_size - self._read)
        except FileNotFoundError:
            self._begin()
            self.fault = ""
            return
        except OSError as error:
            self.fault = f"{self.path}: {error.strerror}"
            return
        self.fault = ""
        for line in new.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                return  # still being written, or torn: the next writer mends it
            if why := self._take(line[:-1]):
                self.fault = f"{self.path} line {self._seq + 1} {why}"
                return
            self._read += len(line)

    def views(self, now: float) -> dict[str, SearchView]:
        """Every search; the one that was entered last comes last. `now`: UTC seconds.

        A hold-out is taken to have moved on with the days since it was last entered.
        """
        views = {}
        for key, (looks, verdict) in self._keys.items():
            family = self._families[_family(key)]
            begins = _moved(family.begins, (now - family.at) // DAY_S)
            counted = sorted(one for one in family.looks if begins < _moved(one, RENEWED_AFTER_DAYS))
            spent = _moved(counted[-LOOKS], RENEWED_AFTER_DAYS) if len(counted) >= LOOKS else ""
            views[key] = SearchView(looks, len(counted), spent, verdict)
        return views

    def _take(self, line: bytes) -> str:
        """Why it is no entry that follows the one before; empty when it was taken."""
        try:
            entry = orjson.loads(line)
            version, seq, before = entry["v"], entry["seq"], entry["prev_sha256"]
            if version > VERSION:
                return f"is of the newer version {version}"
            if seq != self._seq + 1 or before != self._last:
                return "does not follow the line before it"
            self._account(entry)
        except (ValueError, KeyError, TypeError, AttributeError):
            return "is no entry"
        self._seq, self._last = seq, hashlib.sha256(line).hexdigest()
        return ""

    def _account(self, entry: Mapping[str, Any]) -> None:
        key, kind = entry["search"], entry["kind"]
        if not key:
            return
        family = self._families.setdefault(_family(key), _Family())
        begins = entry.get("holdout_from") or ""
        if begins >= family.begins:
            family.begins, family.at = begins, float(entry["at"])
        looks, verdict = self._keys.pop(key, (0, ""))
        if kind == "look":
            family.looks.append(date.fromisoformat(begins).isoformat())
            looks += 1
        self._keys[key] = (looks, entry.get("verdict") or verdict)


def _family(key: str) -> str:
    """A search without its first training day."""
    return key.rpartition("/")[0]


def _moved(day: str, days: float) -> str:
    """`day` (ISO) so many days later; empty stays empty."""
    return (date.fromisoformat(day) + timedelta(days=max(0.0, days))).isoformat() if day else ""
