"""The files of the event log: appended all or nothing, mended when opened, rotated by size, synced from elsewhere."""

import threading
from pathlib import Path
from typing import Any, Final

import orjson

from .disk import Disk, write_whole
from .logread import LOG_NAME, own_part, part_name, parts, tail
from .models.events import KINDS, MAX_LINE, Draft

PREVIEW: Final = 240
UNREADABLE: Final = f"{LOG_NAME}.unreadable"


class LogFile:
    """`append` is called by one thread, `sync` by one; they may differ. `written`, `synced`: numbers of events."""

    def __init__(self, folder: Path, disk: Disk, *, rotate_bytes: int, keep: int) -> None:
        self.folder = folder
        self.path = folder / LOG_NAME
        self.written = 0
        self.synced = 0
        self._disk = disk
        self._rotate_bytes = rotate_bytes
        self._keep = keep
        self._lock = threading.Lock()
        self._file: int | None = None
        self._inode = 0
        self._size = 0
        self._first = 0
        self._torn = False
        self._retired: list[int] = []
        self._names_changed = False
        self._notes: list[Draft] = []

    def open(self) -> int:
        """Mend the newest part's end and return the number of the last event on disk, 0 without any. Raises OSError."""
        last = self._mend() if self._exists() else 0
        listed = parts(self._disk, self.folder)
        self._first = next((part.first for part in listed if part.path == self.path), 0)
        if not last and listed:
            path = listed[-1].path
            _, last = tail(self._disk, path, self._disk.stat(path).size)
        self.written, self.synced = last, 0
        self._reopen()
        return last

    def append(self, data: bytes, first: int, last: int) -> None:
        """Add the lines of events `first` to `last`, all or none of them. Raises OSError."""
        if self._file is not None and self._moved():
            self._note({"first": self._first, "last": self.written}, "external")
            self._retire()
        if self._file is None:
            self._reopen()
        if self._torn:
            self._cut()
        if self._full():
            self._rotate()
        if not self._size:
            self._first = first
        self._write(data)
        with self._lock:
            self._size += len(data)
            self.written = last

    def sync(self) -> int:
        """Make what is written survive the machine; the newest number that does. Raises OSError."""
        with self._lock:
            retired, file, last = list(self._retired), self._file, self.written
            names, self._names_changed = self._names_changed, False
        if last == self.synced and not retired and not names:
            return last
        try:
            for descriptor in [*retired, *([] if file is None else [file])]:
                self._disk.sync(descriptor)
            if names:
                self._disk.sync_folder(self.folder)
        except OSError:
            self._names_changed = self._names_changed or names
            raise
        with self._lock:
            self._retired = [one for one in self._retired if one not in retired]
        for descriptor in retired:
            self._disk.close(descriptor)
        self.synced = last
        return last

    def notes(self) -> list[Draft]:
        """What there is to say about the files since the last call."""
        with self._lock:
            notes, self._notes = self._notes, []
        return notes

    def close(self) -> None:
        """Let go of the files. No other call may be under way."""
        for descriptor in [*self._retired, *([] if self._file is None else [self._file])]:
            self._disk.close(descriptor)
        self._retired, self._file = [], None

    def _exists(self) -> bool:
        try:
            self._disk.stat(self.path)
        except FileNotFoundError:
            return False
        return True

    def _mend(self) -> int:
        """Cut or finish a torn end; the number of the last event of this part."""
        size = self._disk.stat(self.path).size
        end, last = tail(self._disk, self.path, size)
        if end == size:
            return last
        torn = self._disk.read(self.path, end)
        facts = {"bytes": len(torn), "text": torn[:PREVIEW].decode("utf-8", "backslashreplace")}
        if not last and size > MAX_LINE:
            self._disk.rename(self.path, self.folder / UNREADABLE)
            self._recovered(facts | {"kept": UNREADABLE}, "set aside")
            return 0
        whole = _lacks_only_its_newline(torn, last)
        descriptor = self._disk.open_append(self.path)
        try:
            if whole:
                write_whole(self._disk, descriptor, b"\n")
            else:
                self._disk.truncate(descriptor, end)
        finally:
            self._disk.close(descriptor)
        self._recovered(facts | {"last": last + whole}, "finished" if whole else "cut")
        return last + whole

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        try:
            write_whole(self._disk, self._file, data)
        except OSError:
            self._torn = True
            self._cut()
            raise

    def _cut(self) -> None:
        """Take a part of a line away again, now or before the next attempt."""
        assert self._file is not None
        self._disk.truncate(self._file, self._size)
        self._torn = False

    def _moved(self) -> bool:
        """Whether somebody renamed, removed or emptied the file behind our back."""
        try:
            there = self._disk.stat(self.path)
        except FileNotFoundError:
            return True
        return there.inode != self._inode or there.size < self._size

    def _reopen(self) -> None:
        descriptor = self._disk.open_append(self.path)
        there = self._disk.stat_open(descriptor)
        with self._lock:
            self._file, self._inode, self._size = descriptor, there.inode, there.size
            self._names_changed = True
        self._torn = False

    def _retire(self) -> None:
        """Stop writing to the open file; `sync` closes it once it is safe."""
        with self._lock:
            if self._file is not None:
                self._retired.append(self._file)
            self._file = None

    def _full(self) -> bool:
        """A part ends where everything in it is synced, so that no power loss leaves a later part without its end; a
        disk that never gets that far does not make it grow for ever."""
        if not self._first or self._size < self._rotate_bytes:
            return False
        return self.synced == self.written or self._size >= 2 * self._rotate_bytes

    def _rotate(self) -> None:
        self._disk.rename(self.path, self.folder / part_name(self._first))
        self._note({"first": self._first, "last": self.written, "bytes": self._size}, "size")
        self._retire()
        self._reopen()
        for first in self._too_old():
            self._disk.unlink(self.folder / part_name(first))

    def _too_old(self) -> list[int]:
        names = self._disk.names(self.folder)
        return sorted(first for name in names if (first := own_part(name)) is not None)[: -self._keep]

    def _note(self, facts: dict[str, Any], outcome: str) -> None:
        with self._lock:
            self._notes.append(Draft("log.rotated", LOG_NAME, facts, outcome=outcome))

    def _recovered(self, facts: dict[str, Any], outcome: str) -> None:
        self._notes.append(Draft("log.recovered", LOG_NAME, facts, outcome=outcome))


def _lacks_only_its_newline(torn: bytes, last: int) -> bool:
    try:
        body = orjson.loads(torn)
    except orjson.JSONDecodeError:
        return False
    return isinstance(body, dict) and body.get("seq") == last + 1 and body.get("kind") in KINDS
