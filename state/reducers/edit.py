"""Changing frozen slices cheaply: tables are copied when first written, and every change can be taken back."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from ..models.transitions import UnknownSubject

T = TypeVar("T")
Undo = list[tuple[Any, str, Any]]
_ABSENT = object()


class Table(Generic[T]):
    """A dict of frozen records. `rows` is what a snapshot may keep: it is not touched after `share`."""

    __slots__ = ("_shared", "_undo", "_what", "rows")

    def __init__(self, what: str, rows: Mapping[str, T], undo: Undo) -> None:
        self._what = what
        self.rows = rows if isinstance(rows, dict) else dict(rows)
        self._undo = undo
        self._shared = True

    def find(self, key: str) -> T | None:
        return self.rows.get(key)

    def get(self, key: str) -> T:
        """Raises UnknownSubject."""
        row = self.rows.get(key)
        if row is None:
            raise UnknownSubject(self._what, key)
        return row

    def put(self, key: str, row: T) -> None:
        self._own()
        self._undo.append((self, key, self.rows.get(key, _ABSENT)))
        self.rows[key] = row

    def drop(self, key: str) -> None:
        if key in self.rows:
            self._own()
            self._undo.append((self, key, self.rows.pop(key)))

    def share(self) -> dict[str, T]:
        """The rows for a snapshot; the next change copies them."""
        self._shared = True
        return self.rows

    def restore(self, key: str, old: Any) -> None:
        if old is _ABSENT:
            self.rows.pop(key, None)
        else:
            self.rows[key] = old

    def _own(self) -> None:
        if self._shared:
            self.rows = dict(self.rows)
            self._shared = False


class Edit:
    """A slice being changed. Plain fields are changed with `set`, tables through themselves."""

    def __init__(self) -> None:
        self.undo: Undo = []

    def set(self, name: str, value: Any) -> None:
        self.undo.append((self, name, getattr(self, name)))
        setattr(self, name, value)

    def restore(self, name: str, old: Any) -> None:
        setattr(self, name, old)

    def keep(self) -> bool:
        """Accept the changes so far; whether there were any."""
        changed = bool(self.undo)
        self.undo.clear()
        return changed

    def take_back(self) -> None:
        """Undo everything since the last `keep`."""
        while self.undo:
            owner, name, old = self.undo.pop()
            owner.restore(name, old)
