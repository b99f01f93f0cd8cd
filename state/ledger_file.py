"""The search ledger as a file: append-only, hash-chained, shared by processes, whole after any crash.

Each line holds the sha256 of the line before. Beside the file `.head` names the last line, so that a cut at the end is
noticed as well as an edit in the middle. A line is synced before its writer goes on. A line torn by a crash is cut off
under the lock by the next writer, and said; a whole line is never dropped.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from .errors import BtswarmError, StorageBroken
from .files import append_synced, explain, locked, make_folder, write_atomic
from .models.ledger import GENESIS, VERSION, Entry

HEAD_SUFFIX = ".head"
RESTORE = "restore it and its .head file from a backup: without the whole ledger no p-value is honest"

Head = tuple[int, str]
"""Number and sha256 of a line; (0, zeros) before the first."""


@dataclass
class Book:
    """The whole lines of a ledger: `size` bytes ending with line `last`; `unfinished` if its newline is missing."""

    entries: list[Entry]
    size: int = 0
    last: Head = (0, GENESIS)
    unfinished: bool = False


class LedgerFile:
    """`say` hears what was mended; `now` gives UTC seconds."""

    def __init__(
        self,
        path: Path,
        *,
        say: Callable[[str], None] = lambda text: None,
        now: Callable[[], float] = lambda: datetime.now(UTC).timestamp(),
    ) -> None:
        self.path = path
        self.head = path.with_suffix(HEAD_SUFFIX)
        self._say = say
        self._now = now

    def read(self) -> list[Entry]:
        """All whole lines, verified, without a lock and without a write.

        Raises StorageBroken naming the line that was edited, cut off or is of a newer version.
        """
        try:
            head = self._read_head()  # before the lines: it never names one that is not written yet
            raw = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise explain(error, self.path) from error
        return verified(self.path, raw, head).entries

    @contextmanager
    def opened(self) -> Iterator[Book]:
        """The verified book under the lock, mended: read it, decide, `append`, and nobody comes in between."""
        make_folder(self.path.parent)
        try:
            with locked(self.path):
                head = self._read_head()
                raw = self.path.read_bytes()
                book = verified(self.path, raw, head)
                self._mend(book, raw)
                if book.last != head:
                    self._write_head(book)
                yield book
        except OSError as error:
            raise explain(error, self.path) from error

    def append(self, book: Book, facts: dict[str, Any]) -> Entry:
        """Add a line to an opened book and sync it. Raises CannotWrite, the file then being what it was."""
        entry = Entry(seq=len(book.entries) + 1, prev_sha256=book.last[1], at=self._now(), **facts)
        line = orjson.dumps(entry.model_dump())
        append_synced(self.path, line + b"\n", after=book.size)
        book.entries.append(entry)
        book.size += len(line) + 1
        book.last = (entry.seq, _sha256(line))
        self._write_head(book)
        return entry

    def _mend(self, book: Book, raw: bytes) -> None:
        if book.unfinished:
            append_synced(self.path, b"\n", after=len(raw))
            book.size = len(raw) + 1
            book.unfinished = False
            self._say(f"{self.path}: line {len(book.entries)} lacked its newline after a crash and was finished")
        elif book.size < len(raw):
            append_synced(self.path, b"", after=book.size)
            self._say(
                f"{self.path}: {len(raw) - book.size} bytes of a line torn by a crash were cut off; "
                f"its {len(book.entries)} whole lines are kept"
            )

    def _write_head(self, book: Book) -> None:
        seq, sha256 = book.last
        write_atomic(self.head, orjson.dumps({"v": VERSION, "seq": seq, "sha256": sha256}))

    def _read_head(self) -> Head:
        if not self.head.exists():
            return 0, GENESIS
        try:
            head = orjson.loads(self.head.read_bytes())
            return int(head["seq"]), str(head["sha256"])
        except (ValueError, KeyError, TypeError) as error:
            raise StorageBroken(f"{self.head} is not what was written there", fix=RESTORE) from error


def verified(path: Path, raw: bytes, head: Head) -> Book:
    """Parse and check every whole line against its chain and against `head`. Raises StorageBroken naming the line."""
    book = Book([])
    *lines, tail = raw.split(b"\n")
    for line in lines:
        _take(path, book, line, head)
        book.size += len(line) + 1
    if tail:
        book.unfinished = _is_whole(path, book, tail, head)
    if len(book.entries) < head[0]:
        raise StorageBroken(f"{path} was cut: line {len(book.entries) + 1} of {head[0]} is missing", fix=RESTORE)
    return book


def _is_whole(path: Path, book: Book, tail: bytes, head: Head) -> bool:
    """Whether a last line without newline is an entry all the same; then it is taken into the book."""
    try:
        _take(path, book, tail, head)
    except BtswarmError:
        return False
    return True


def _take(path: Path, book: Book, line: bytes, head: Head) -> None:
    """Take one line into `book` or raise StorageBroken."""
    number = len(book.entries) + 1
    entry = _parsed(f"{path} line {number}", line)
    if entry.seq != number or entry.prev_sha256 != book.last[1]:
        raise StorageBroken(
            f"{path} line {number} does not follow the line before it: one of them was edited or cut", fix=RESTORE
        )
    sha256 = _sha256(line)
    if number == head[0] and sha256 != head[1]:
        raise StorageBroken(f"{path} line {number} was edited: its hash is not the one kept beside it", fix=RESTORE)
    book.entries.append(entry)
    book.last = (number, sha256)


def _parsed(where: str, line: bytes) -> Entry:
    try:
        body = orjson.loads(line)
        version = body["v"]
        if isinstance(version, int) and version > VERSION:
            raise StorageBroken(f"{where} is of the newer version {version}", fix="update btswarm")
        return Entry.model_validate(body)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise StorageBroken(f"{where} is no ledger entry: it was edited", fix=RESTORE) from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
