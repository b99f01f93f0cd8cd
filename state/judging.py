"""What to think of a state file by what was just read from disk. No disk and no clock here."""

import stat as modes
from dataclasses import dataclass
from typing import Final

from .disk import Stat
from .models.facts import FileFault, FileView
from .peek import Unusable, unwrap

OTHERS: Final = 0o077
GREATEST: Final = 256 << 20
Verdict = tuple[float, FileFault, str]
"""Age in seconds, fault, and what is wrong in words."""
_FAULTS: Final[dict[str, FileFault]] = {"newer": "newer", "torn": "torn"}


@dataclass(frozen=True, slots=True)
class Written:
    """What was written last, when (monotonic), and what the disk said of it then."""

    data: bytes
    stat: Stat
    mono: float


@dataclass(frozen=True, slots=True)
class Rules:
    """`uid`: the owner a file must have. `limit_s`: its greatest age, None for none."""

    uid: int
    limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """`now`: UTC seconds, `mono`: monotonic ones."""

    now: float
    mono: float


def fault_of(error: Unusable) -> FileFault:
    """The fault of a file that could not be unwrapped."""
    return _FAULTS.get(error.fault, "edited")


def implausible(stat: Stat) -> str:
    """Why something must not even be read: it is no plain file, or larger than any state file; empty if it may be."""
    if not modes.S_ISREG(stat.mode):
        return "it is no file"
    return f"it is {stat.size >> 20} MB long" if stat.size > GREATEST else ""


def judged(name: str, stat: Stat, data: bytes | None, written: Written | None, rules: Rules, at: Moment) -> FileView:
    """A view of a file that could be read. `data`: None for one that is no state file and judged from outside only."""
    outside: Verdict = (max(0.0, at.now - stat.mtime / 1e9), "", "")
    age_s, fault, why = outside if data is None else _content(data, stat, written, at)
    if stat.uid != rules.uid:
        fault, why = "wrong_owner", f"it belongs to user {stat.uid}"
    elif stat.mode & OTHERS:
        fault, why = "wrong_mode", f"its mode is {stat.mode & 0o777:o}"
    if not fault and rules.limit_s is not None and age_s > rules.limit_s:
        fault, why = "aged", f"it is {age_s:.0f} s old"
    return FileView(name, age_s, not fault, fault, rules.limit_s, why)


def unreadable(name: str, error: OSError, rules: Rules) -> FileView:
    """A view of a file that could not be read at all."""
    if isinstance(error, FileNotFoundError):
        return FileView(name, None, False, "deleted", rules.limit_s, "it is not there")
    return FileView(name, None, False, "unreadable", rules.limit_s, error.strerror or str(error))


def _content(data: bytes, stat: Stat, written: Written | None, at: Moment) -> Verdict:
    touched_s = max(0.0, at.now - stat.mtime / 1e9)
    if written is not None and data == written.data:
        age_s = at.mono - written.mono
        return (age_s if stat.mtime == written.stat.mtime else max(age_s, touched_s)), "", ""
    try:
        envelope = unwrap(data)
    except Unusable as error:
        return touched_s, fault_of(error), str(error)
    if written is not None:
        return touched_s, "edited", "it is not what was written last"
    return max(0.0, envelope.age_s(at.now)), "", ""
