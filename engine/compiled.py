"""Where compiled kernels are cached: in a folder named after the sources of all of them.

Numba looks only at the file of a cached function, not at the files whose functions were compiled into it: after an
edit or an upgrade it would go on running the old machine code.
"""

import hashlib
import os
from pathlib import Path

from numba import config

HERE = Path(__file__).parent
SOURCES = sorted([HERE / "indicators.py", *(HERE / "kernels").glob("*.py")])


def fingerprint() -> str:
    """16 hex digits over the sources of every compiled function."""
    whole = hashlib.sha256()
    for path in SOURCES:
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]


def cache_folder() -> Path:
    """NUMBA_CACHE_DIR, else the user's cache folder; below it one folder for these sources."""
    base = os.environ.get("NUMBA_CACHE_DIR")
    if base is None:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "btswarm", "numba")
    return Path(base) / fingerprint()


config.CACHE_DIR = str(cache_folder())
