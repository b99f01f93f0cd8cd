"""Reading the swarm's state files without the swarm: standard library and orjson, for commands that must be light.

A state file is one line, `{"schema","v","seq","log_seq","written","mono","epoch","writer","sha256","payload"}` in this
order; `sha256` is over the bytes between `"payload":` and the last `}`, so that any language can check it.
"""

import fcntl
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from .errors import InputGone, NoPermission, StorageBroken

VERSION: Final = 1
PAYLOAD: Final = b'"payload":'
PREVIOUS: Final = ".prev"
LOCK_NAME: Final = "daemon.lock"
STALE_S: Final = 15.0


class Unusable(ValueError):
    """Bytes that are no valid state file: `fault` in one word (torn, edited, newer), the message in a sentence."""

    def __init__(self, fault: str, why: str) -> None:
        super().__init__(why)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Envelope:
    """`seq`: how often the file was written. `log_seq`: the newest event folded in. `written` UTC seconds; `mono`
    counts within `epoch`. `writer`: the daemon's pid, start ticks and build."""

    schema: str
    v: int
    seq: int
    log_seq: int
    written: float
    mono: float
    epoch: str
    writer: str
    sha256: str
    payload: bytes

    def content(self) -> Any:
        """The payload parsed."""
        return orjson.loads(self.payload)

    def age_s(self, now: float, mono: float | None = None, epoch: str = "") -> float:
        """Since it was written: by the monotonic clock where it counts in the same epoch, else by UTC."""
        if mono is not None and epoch and epoch == self.epoch:
            return mono - self.mono
        return now - self.written


def wrap(
    payload: bytes, *, schema: str, seq: int, log_seq: int, written: float, mono: float, epoch: str, writer: str
) -> bytes:
    """The bytes of a state file."""
    header = orjson.dumps(
        {
            "schema": schema,
            "v": VERSION,
            "seq": seq,
            "log_seq": log_seq,
            "written": round(written, 6),
            "mono": round(mono, 6),
            "epoch": epoch,
            "writer": writer,
            "sha256": hashlib.sha256(payload).hexdigest(),
        }
    )
    return b"".join((header[:-1], b",", PAYLOAD, payload, b"}\n"))


def unwrap(data: bytes) -> Envelope:
    """Check and take apart. Raises Unusable."""
    begin = data.find(PAYLOAD)
    end = data.rfind(b"}")
    if begin < 0 or end < begin or data[end + 1 :].strip():
        raise Unusable("torn", "its end is missing" if data else "it is empty")
    try:
        header = orjson.loads(data[:begin].rstrip(b",") + b"}")
        version = header["v"]
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable("torn", "its header is not JSON") from error
    if isinstance(version, int) and version > VERSION:
        raise Unusable("newer", f"it is of version {version}, this build reads up to {VERSION}")
    payload = data[begin + len(PAYLOAD) : end]
    if hashlib.sha256(payload).hexdigest() != header.get("sha256"):
        raise _wrong(data, payload)
    try:
        return Envelope(**header, payload=payload)
    except TypeError as error:
        raise Unusable("edited", "its header lacks or has too many fields") from error


def _wrong(data: bytes, payload: bytes) -> Unusable:
    """Of a payload that does not match its checksum: whether it broke off or was changed."""
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError:
        return Unusable("torn", "it breaks off" if not data.endswith(b"}\n") else "its payload is not JSON")
    return Unusable("edited", "its checksum is not that of its payload")


@dataclass(frozen=True, slots=True)
class Peeked:
    """A state file as a light command sees it. `source`: the path it really came from; `why`: what was wrong."""

    envelope: Envelope
    source: Path
    why: str = ""


def peek(path: Path) -> Peeked:
    """The file, or its previous copy if it is not usable.

    Raises InputGone, NoPermission, or StorageBroken (of a newer version, or both copies unusable).
    """
    try:
        return Peeked(unwrap(_read(path)), path)
    except (Unusable, InputGone) as error:
        if isinstance(error, Unusable) and error.fault == "newer":
            raise StorageBroken(f"{path}: {error}", fix="use the build that wrote it") from error
        why = str(error)
    previous = path.with_name(path.name + PREVIOUS)
    try:
        return Peeked(unwrap(_read(previous)), previous, why)
    except InputGone as error:
        if not path.exists():
            raise InputGone(f"there is no {path}", fix="is this the state folder of a swarm?") from error
        raise StorageBroken(f"{path}: {why}, and there is no previous copy", fix="the daemon rewrites it") from error
    except Unusable as error:
        raise StorageBroken(f"{path}: {why}; {previous.name}: {error}", fix="the daemon rewrites it") from error


def daemon_alive(state_root: Path) -> bool:
    """Whether somebody holds the daemon's lock. A lock that may not be looked at is taken for held."""
    try:
        with (state_root / LOCK_NAME).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputGone(f"there is no {path}", fix="is this the state folder of a swarm?") from error
    except OSError as error:
        raise NoPermission(
            f"{path} cannot be read ({error.strerror})", fix="ask its owner, or run as that user"
        ) from error
