"""The few things the swarm's memory asks of a disk, as a port: the real one here, one that crashes in the tests.

Every method may raise OSError; what that means is for the caller to say. A write is in the page cache when it returns:
it survives the death of this process. Only what was synced survives the death of the machine.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stat:
    """`mtime`, `ctime`: nanoseconds UTC; ctime cannot be set back by whoever edits a file."""

    inode: int
    size: int
    mode: int
    uid: int
    mtime: int
    ctime: int


class Disk(Protocol):
    """Descriptors are the disk's own numbers; nobody but the disk uses them."""

    def open_append(self, path: Path) -> int:
        """For appending, created for this user alone if it is not there."""
        ...

    def create(self, path: Path) -> int:
        """A new file for writing; FileExistsError if there is one."""
        ...

    def write(self, descriptor: int, data: bytes) -> int:
        """How many bytes were taken: fewer than given when the disk fills up."""
        ...

    def truncate(self, descriptor: int, size: int) -> None: ...

    def sync(self, descriptor: int) -> None: ...

    def close(self, descriptor: int) -> None: ...

    def stat_open(self, descriptor: int) -> Stat: ...

    def stat(self, path: Path) -> Stat:
        """Of the name itself, a link not followed."""
        ...

    def read(self, path: Path, offset: int = 0, size: int = -1) -> bytes:
        """From `offset`, to the end if no `size` is given; a link is refused."""
        ...

    def names(self, folder: Path) -> list[str]: ...

    def rename(self, old: Path, new: Path) -> None:
        """Replaces `new` in one step."""
        ...

    def link(self, old: Path, new: Path) -> None:
        """A second name for the same file."""
        ...

    def unlink(self, path: Path) -> None: ...

    def sync_folder(self, folder: Path) -> None:
        """Makes names survive: creations, renames and removals so far."""
        ...


class RealDisk:
    """The operating system's."""

    def open_append(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def write(self, descriptor: int, data: bytes) -> int:
        return os.write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def stat_open(self, descriptor: int) -> Stat:
        return _stat(os.fstat(descriptor))

    def stat(self, path: Path) -> Stat:
        return _stat(os.lstat(path))

    def read(self, path: Path, offset: int = 0, size: int = -1) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if offset:
                file.seek(offset)
            return file.read(size)

    def names(self, folder: Path) -> list[str]:
        return os.listdir(folder)

    def rename(self, old: Path, new: Path) -> None:
        os.rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        os.link(old, new)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _stat(found: os.stat_result) -> Stat:
    return Stat(found.st_ino, found.st_size, found.st_mode, found.st_uid, found.st_mtime_ns, found.st_ctime_ns)


def write_whole(disk: Disk, descriptor: int, data: bytes) -> None:
    """All of `data`, however many calls it takes. Raises OSError with a part of it written."""
    done = disk.write(descriptor, data)
    while done < len(data):
        taken = disk.write(descriptor, data[done:])
        if taken <= 0:
            raise OSError(0, "the disk takes nothing more")
        done += taken
