"""What is found under a state file's name and is not that file: moved aside, never overwritten, the newest few kept."""

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from .disk import Disk
from .models.facts import FileFault

BAD: Final = ".bad-"
BAD_KEPT: Final = 5


@dataclass(frozen=True, slots=True)
class Bad:
    """A copy that was not usable, and where it lies now (empty if it could not be moved)."""

    name: str
    fault: FileFault
    why: str
    moved: str = ""


def move_aside(disk: Disk, folder: Path, bad: Bad) -> Bad:
    """Rename what lies there to `<name>.bad-<n>`; what cannot even be moved stays, and its `moved` is empty."""
    base = f"{bad.name}{BAD}"
    try:
        tails = [name.removeprefix(base) for name in disk.names(folder) if name.startswith(base)]
        numbers = sorted(int(tail) for tail in tails if tail.isdigit())
        moved = f"{base}{numbers[-1] + 1 if numbers else 1}"
        disk.rename(folder / bad.name, folder / moved)
        for number in numbers[: -(BAD_KEPT - 1)]:
            with contextlib.suppress(OSError):
                disk.unlink(folder / f"{base}{number}")
    except OSError:
        return bad
    return replace(bad, moved=moved)
