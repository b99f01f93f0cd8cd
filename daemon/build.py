"""What this daemon and its workers are made of, as one word: another word is an environment that drifted.

Version, and a digest of Python, the packages that are needed and the code as it lies on the disk: an upgrade in place
that leaves the version as it is changes it too.
"""

import hashlib
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from .. import __version__

ROOT: Final = Path(__file__).parent.parent
ROOMS: Final = ("state", "agents", "engine", "daemon")
NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def own_build() -> str:
    """`<version>+<8 hex>`."""
    digest = hashlib.sha256(sys.version.encode())
    for name in needed():
        digest.update(f"{name} {_version(name)}\n".encode())
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{__version__}+{digest.hexdigest()[:8]}"


def needed() -> list[str]:
    """Packages that this one needs, extras too: a CUDA library of another version is drift as well."""
    try:
        found = [NAME.match(one) for one in requires("btswarm") or ()]
    except PackageNotFoundError:
        return []
    return sorted({one.group() for one in found if one})


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
