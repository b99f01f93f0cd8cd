"""The files of this checkout, as git sees them: tracked, or new and not ignored."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
ROOMS = ("state", "agents", "engine", "daemon")


@cache
def _listed() -> tuple[str, ...]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ()
    names = done.stdout.decode().split("\0")
    return tuple(sorted({name for name in names if name and (CHECKOUT / name).is_file()}))


def files() -> tuple[str, ...]:
    """Paths relative to the checkout; the test is skipped outside a git checkout."""
    if not _listed():
        pytest.skip("not a git checkout, so there is no list of what belongs to it")
    return _listed()


def modules(*, tests: bool = False) -> list[str]:
    """The Python files of the package, and of its tests too if asked."""
    tops = (*ROOMS, "tests") if tests else ROOMS
    return [name for name in files() if name.endswith(".py") and ("/" not in name or name.split("/")[0] in tops)]
