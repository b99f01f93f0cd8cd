"""Writing files so that no reader ever sees half of one.

Everything the project leaves behind is written beside its destination, synced, and renamed over it: a file under its
final name is whole, whenever the process or the machine died.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import select
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import BtswarmError, CannotWrite, NoPermission

FOLDER_MODE = 0o700
TEMP_PREFIX = ".tmp-"
LOCK_POLL_S = 0.02


def explain(error: OSError, path: Path) -> BtswarmError:
    """The typed error for an operating system's refusal to write `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CannotWrite(f"no space left writing {path}", fix="free some space and run the same command again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NoPermission(f"{path} cannot be written ({error.strerror})", fix="choose a folder you own")
    return CannotWrite(f"{path} cannot be written ({error.strerror})", fix="check the disk and the path")


def make_folder(path: Path) -> Path:
    """Create `path` and its parents for this user alone; an existing folder is left as it is."""
    try:
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, path) from error
    return path


def sync_folder(path: Path) -> None:
    """Make the renames inside `path` survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Replace `path` by `data` in one step. Raises CannotWrite or NoPermission; the old file then stays."""
    temporary = path.with_name(f"{TEMP_PREFIX}{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write_all(descriptor, data)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        if sync:
            sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise explain(error, path) from error


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def open_lock(path: Path, *, create: bool = True) -> int:
    """A descriptor to flock `path` by, not inherited by children. Raises FileNotFoundError unless it may `create`."""
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0), 0o600)


def open_folder(path: Path) -> int:
    """A descriptor that stands for the folder and reads nothing of it. Raises OSError."""
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def write_kernel_file(path: Path, data: bytes) -> None:
    """One write to a file that the kernel answers itself, such as those under /proc. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, *, blocking: bool = True) -> Iterator[int]:
    """Hold an exclusive flock on `path` (created if missing). The kernel frees it when the holder dies.

    Raises BlockingIOError when `blocking` is false and somebody else holds it.
    """
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked_within(path: Path, wait_s: float) -> Iterator[int]:
    """As `locked`, for callers who must not wait for ever on a holder that hangs. Raises BlockingIOError."""
    end = time.monotonic() + wait_s
    with contextlib.ExitStack() as stack:
        while True:
            try:
                descriptor = stack.enter_context(locked(path, blocking=False))
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise
                select.select((), (), (), LOCK_POLL_S)
        yield descriptor


def lock_holders(path: Path) -> list[int]:
    """Processes that hold a flock on `path`, as far as this host shows them."""
    try:
        found = path.stat()
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    mark = f":{found.st_ino}"
    return [int(words[4]) for line in lines if "->" not in line and (words := line.split())[5].endswith(mark)]


@contextlib.contextmanager
def claimed(path: Path, holder: str) -> Iterator[None]:
    """Hold an exclusive flock on `path`, whose text then says who does. Raises BlockingIOError when it is held."""
    with contextlib.ExitStack() as stack:
        try:
            descriptor = stack.enter_context(locked(path, blocking=False))
            os.ftruncate(descriptor, 0)
            _write_all(descriptor, holder.encode())
        except BlockingIOError:
            raise
        except OSError as error:
            raise explain(error, path) from error
        yield


def claim_folder(path: Path) -> bool:
    """Create `path`; False when somebody else was first. Its parents are made as needed."""
    make_folder(path.parent)
    try:
        path.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        return False
    except OSError as error:
        raise explain(error, path) from error
    return True


def point_link(link: Path, target: str) -> None:
    """Make the symbolic link `link` point to `target` in one step. What is no link is not replaced: CannotWrite."""
    temporary = link.with_name(f"{TEMP_PREFIX}{link.name}.{secrets.token_hex(4)}")
    if link.exists() and not link.is_symlink():
        raise CannotWrite(f"{link} is no link of this program's making", fix="move it away")
    try:
        os.symlink(target, temporary)
        os.replace(temporary, link)
        sync_folder(link.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise explain(error, link) from error


def rename_synced(old: Path, new: Path) -> None:
    """Give a whole, closed file its name; what had it goes. Raises CannotWrite or NoPermission."""
    try:
        descriptor = os.open(old, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(old, new)
        sync_folder(new.parent)
    except OSError as error:
        raise explain(error, new) from error


def replace_folder(target: Path, new: Path, old: Path) -> None:
    """Give the folder `new`, if there is one, the name `target`; what had it becomes `old`. Two renames, unsynced."""
    try:
        if target.exists() or target.is_symlink():
            os.rename(target, old)
        if new.exists():
            os.rename(new, target)
    except OSError as error:
        raise explain(error, target) from error


def append_line(path: Path, text: str) -> None:
    """Append one line in one write, unsynced: for logs that are read while they grow. Raises as `write_atomic`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, f"{text}\n".encode(errors="replace"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise explain(error, path) from error


def append_synced(path: Path, data: bytes, *, after: int, sync: bool = True) -> None:
    """Append `data` to a file whose first `after` bytes are whole, and sync it; what lies behind them is torn and goes.

    The caller holds the file's lock. Without `sync` the data survive the process, not the machine. When the disk
    refuses, the file is cut back to `after` bytes: all or nothing.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _append_or_undo(descriptor, data, after, sync)
        finally:
            os.close(descriptor)
        if sync and after == 0:
            sync_folder(path.parent)
    except OSError as error:
        raise explain(error, path) from error


def _append_or_undo(descriptor: int, data: bytes, after: int, sync: bool) -> None:
    os.ftruncate(descriptor, after)
    try:
        _write_all(descriptor, data)
        if sync:
            os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, after)
        raise


def keep_tail(path: Path, kept: int, note: str) -> None:
    """Cut a log that others go on appending to down to `note` and its newest whole lines, at most `kept` bytes of them.

    What is written in the meantime may be lost. A link is not followed. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        tail = os.pread(descriptor, kept, max(0, os.fstat(descriptor).st_size - kept))
        os.ftruncate(descriptor, 0)
        _write_all(descriptor, f"{note}\n".encode() + tail[tail.find(b"\n") + 1 :])
    finally:
        os.close(descriptor)
