"""A disk that fills up, refuses and crashes: what a kill leaves, and what a power loss may leave.

Every call is one operation. `crash_at` ends the process before the n-th one; a write that crashes may have been done in
part. After a power loss a file has what was synced and perhaps some of what was not; of the names changed since the
folder was synced, the first few survive.
"""

import errno
import os
import stat as modes
from dataclasses import dataclass, field
from pathlib import Path

from btswarm.state.disk import Stat


class Crash(BaseException):
    """The process died here. No code under test may catch it."""


@dataclass
class Inode:
    """`synced`: what survives a power loss for sure."""

    number: int
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    mode: int = modes.S_IFREG | 0o600
    uid: int = 0
    mtime: int = 0
    ctime: int = 0


class FakeDisk:
    """Folders exist once they are named. `capacity`: bytes until ENOSPC. `fail`: operation -> errno, while set."""

    def __init__(self) -> None:
        self.files: dict[Path, Inode] = {}
        self.durable: dict[Path, Inode] = {}
        self.pending: list[dict[Path, Inode]] = []
        self.open: dict[int, Inode] = {}
        self.capacity: int | None = None
        self.fail: dict[str, int] = {}
        self.crash_at: int | None = None
        self.torn = 0.0
        self.operations: list[str] = []
        self.uid = 0
        self.clock = 1_000_000_000
        self._next = 1

    # -- what the tests do ----------------------------------------------------------------------------------------

    def killed(self) -> "FakeDisk":
        """The disk as the next process finds it after this one was killed."""
        return self._successor(dict(self.files))

    def after_power_loss(self, names: int = 0, kept: float = 0.0, *, zeros: bool = False) -> "FakeDisk":
        """The disk after the machine died. `names`: how many changes of names after the last folder sync survive.
        `kept`: share of each file's unsynced bytes that survives; `zeros`: the rest is there, as zeros."""
        namespace = dict([self.durable, *self.pending][min(names, len(self.pending))])
        other = self._successor({})
        copies: dict[int, Inode] = {}
        for path, inode in namespace.items():
            if inode.number not in copies:
                data = _survived(bytes(inode.data), inode.synced, kept, zeros=zeros)
                copies[inode.number] = Inode(inode.number, bytearray(data), data, inode.mode, inode.uid, inode.mtime)
            other.files[path] = copies[inode.number]
        other.durable = dict(other.files)
        return other

    def put(self, path: Path, data: bytes, **attributes: int) -> None:
        """Somebody else writes a file: by rename, as editors do."""
        inode = self._inode()
        inode.data[:] = data
        for name, value in attributes.items():
            setattr(inode, name, value)
        self.files[path] = inode

    def edit(self, path: Path, data: bytes) -> None:
        """Somebody else writes into the very file."""
        inode = self.files[path]
        inode.data[:] = data
        self._touch(inode)

    def used(self) -> int:
        return sum(len(inode.data) for inode in {id(one): one for one in self.files.values()}.values())

    # -- the port -------------------------------------------------------------------------------------------------

    def open_append(self, path: Path) -> int:
        self._operation("open", path)
        if path not in self.files:
            self.files[path] = self._inode()
            self._renamed()
        return self._opened(self.files[path])

    def create(self, path: Path) -> int:
        self._operation("create", path)
        if path in self.files:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self.files[path] = self._inode()
        self._renamed()
        return self._opened(self.files[path])

    def write(self, descriptor: int, data: bytes) -> int:
        inode = self.open[descriptor]
        try:
            self._operation("write", None)
        except Crash:
            inode.data += data[: int(len(data) * self.torn)]
            raise
        room = len(data) if self.capacity is None else max(0, self.capacity - self.used())
        if data and not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        inode.data += data[:room]
        self._touch(inode)
        return min(room, len(data))

    def truncate(self, descriptor: int, size: int) -> None:
        self._operation("truncate", None)
        del self.open[descriptor].data[size:]
        self._touch(self.open[descriptor])

    def sync(self, descriptor: int) -> None:
        self._operation("sync", None)
        self.open[descriptor].synced = bytes(self.open[descriptor].data)

    def close(self, descriptor: int) -> None:
        del self.open[descriptor]

    def stat_open(self, descriptor: int) -> Stat:
        return _stat(self.open[descriptor])

    def stat(self, path: Path) -> Stat:
        return _stat(self._find("stat", path))

    def read(self, path: Path, offset: int = 0, size: int = -1) -> bytes:
        data = self._find("read", path).data
        return bytes(data[offset:] if size < 0 else data[offset : offset + size])

    def names(self, folder: Path) -> list[str]:
        return [path.name for path in self.files if path.parent == folder]

    def rename(self, old: Path, new: Path) -> None:
        self._operation("rename", old)
        self.files[new] = self._find("rename", old)
        del self.files[old]
        self._renamed()

    def link(self, old: Path, new: Path) -> None:
        self._operation("link", old)
        if new in self.files:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new))
        self.files[new] = self._find("link", old)
        self._renamed()

    def unlink(self, path: Path) -> None:
        self._find("unlink", path)
        self._operation("unlink", path)
        del self.files[path]
        self._renamed()

    def sync_folder(self, folder: Path) -> None:
        self._operation("sync_folder", folder)
        self.durable = dict(self.files)
        self.pending.clear()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _operation(self, name: str, path: Path | None) -> None:
        if self.crash_at is not None and len(self.operations) >= self.crash_at:
            raise Crash
        self.operations.append(name)
        if number := self.fail.get(name):
            raise OSError(number, os.strerror(number), str(path))

    def _find(self, operation: str, path: Path) -> Inode:
        if (number := self.fail.get(operation)) or path not in self.files:
            number = number or errno.ENOENT
            raise OSError(number, os.strerror(number), str(path))
        return self.files[path]

    def _renamed(self) -> None:
        self.pending.append(dict(self.files))

    def _inode(self) -> Inode:
        self._next += 1
        self.clock += 1_000_000
        return Inode(self._next, uid=self.uid, mtime=self.clock, ctime=self.clock)

    def _opened(self, inode: Inode) -> int:
        self._next += 1
        self.open[self._next] = inode
        return self._next

    def _touch(self, inode: Inode) -> None:
        self.clock += 1_000_000
        inode.mtime = inode.ctime = self.clock

    def _successor(self, files: dict[Path, Inode]) -> "FakeDisk":
        other = FakeDisk()
        other.files = files
        other.durable, other.pending = dict(self.durable), list(self.pending)
        other.uid, other.clock, other._next = self.uid, self.clock, self._next
        return other


def _survived(data: bytes, synced: bytes, kept: float, *, zeros: bool) -> bytes:
    if not data.startswith(synced):
        return synced
    size = len(synced) + int((len(data) - len(synced)) * kept)
    return data[:size] + (bytes(len(data) - size) if zeros else b"")


def _stat(inode: Inode) -> Stat:
    return Stat(inode.number, len(inode.data), inode.mode, inode.uid, inode.mtime, inode.ctime)
