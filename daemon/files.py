"""The real files of workers: state/disk.py's calls, and the few that concern whole folders."""

import os
import shutil
from pathlib import Path

from ..state.disk import RealDisk, write_whole
from ..state.files import TEMP_PREFIX, make_folder


class RealFiles(RealDisk):
    def make_folder(self, path: Path) -> None:
        make_folder(path)

    def replace(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f"{TEMP_PREFIX}{path.name}")
        self.discard(temporary)
        descriptor = self.create(temporary)
        try:
            write_whole(self, descriptor, data)
        finally:
            self.close(descriptor)
        self.rename(temporary, path)

    def allocate(self, path: Path, size: int) -> None:
        descriptor = self.create(path)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            self.close(descriptor)

    def remove_tree(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            self.discard(path)

    def discard(self, path: Path) -> None:
        path.unlink(missing_ok=True)
