"""Files of lines that nobody waits for and nothing depends on: copies of events, heartbeats. Not synced."""

from pathlib import Path

from .disk import Disk, write_whole


def append_lines(disk: Disk, path: Path, data: bytes, rotate_bytes: int) -> None:
    """Add whole lines; one that a crash tore is closed first. A file that grew too long becomes `<stem>.1<suffix>`.

    Raises OSError.
    """
    descriptor = disk.open_append(path)
    try:
        size = disk.stat_open(descriptor).size
        if size and disk.read(path, size - 1, 1) != b"\n":
            data = b"\n" + data
        write_whole(disk, descriptor, data)
    finally:
        disk.close(descriptor)
    if size + len(data) >= rotate_bytes:
        disk.rename(path, path.with_name(f"{path.stem}.1{path.suffix}"))
