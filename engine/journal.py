"""An Optuna journal in one file that any worker may be killed on at any instant.

Each operation is one JSON line, appended in one write under flock: the kernel frees the lock of a dead holder at once,
and whoever appends next cuts off what a killed writer left behind the last newline. Every line carries a CRC-32 of
itself, so that damage in the middle is found before the study is used. Told trials are synced to the disk. Optuna's own
journal reader understands the file.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

from ..state.errors import CannotWrite, InputGone, StorageBroken
from ..state.files import append_synced, explain, lock_holders, locked, locked_within, make_folder, write_atomic

CRC = b',"crc":"%08x"}'
CRC_LENGTH = len(CRC % 0)
TAIL = 1 << 16
OPERATIONS = range(11)  # the op codes of Optuna 5
SET_TRIAL_STATE_VALUES = 6
BROKEN_SUFFIX = ".broken"
GOOD_SUFFIX = ".good"
LOCK_WAIT_S = 30.0
"""Appending takes milliseconds: who holds the lock for longer hangs."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Soundness:
    """`records` whole records fill the first `whole` of `size` bytes; `bad_line` counts from 1, 0 if there is none."""

    size: int
    whole: int
    records: int
    bad_line: int


class FlockJournal(BaseJournalBackend):
    """The journal at `path`, created if missing.

    Raises StorageBroken when a line is damaged or written by a newer Optuna, when the file vanishes while in use, and
    CannotWrite when the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        make_folder(path.parent)
        self._least = refuse_broken(path)
        self._offsets = [0]

    def read_logs(self, log_number_from: int) -> Iterable[Record]:
        """The records from number `log_number_from` on; a line that is still being written is not among them."""
        start = min(log_number_from, len(self._offsets) - 1)
        lines = _whole_lines(self._path, self._offsets[start], self._least)
        del self._offsets[start + 1 :]
        records = []
        for line in lines:
            records.append(_parsed(line, self._path, len(self._offsets)))
            self._offsets.append(self._offsets[-1] + len(line))
        self._least = max(self._least, self._offsets[-1])
        return records[log_number_from - start :]

    def append_logs(self, logs: list[Record]) -> None:
        """Append all of `logs`, or none."""
        data = b"".join(map(_line, logs))
        with locked(self._path):
            whole = _whole_bytes(self._path)
            if whole < self._least:
                raise _vanished(self._path)
            append_synced(self._path, data, after=whole, sync=any(map(_finishes, logs)))
            self._least = whole + len(data)


def refuse_broken(path: Path, wait_s: float = LOCK_WAIT_S) -> int:
    """Read the whole journal, created if missing; the bytes that are whole. A torn last line is no damage.

    What is sound is copied beside it, for `repair`. Raises StorageBroken at the first damaged line, and naming the
    holder when somebody keeps the journal locked.
    """
    try:
        with locked_within(path, wait_s):
            raw = path.read_bytes()
            found = _soundness(raw)
            if not found.bad_line:
                _keep_copy(path, raw[: found.whole])
    except BlockingIOError as error:
        raise _held(path) from error
    if found.bad_line:
        raise _broken(path, found.bad_line)
    return found.whole


def soundness(path: Path) -> Soundness:
    """How much of the journal is whole. The caller holds its lock."""
    return _soundness(path.read_bytes())


def _soundness(raw: bytes) -> Soundness:
    whole = records = 0
    for number, line in enumerate(_split(raw), start=1):
        if _record(line) is None:
            return Soundness(len(raw), whole, records, number)
        whole, records = whole + len(line), records + 1
    return Soundness(len(raw), whole, records, 0)


def repair(path: Path, wait_s: float = LOCK_WAIT_S) -> tuple[int, int, Path]:
    """Keep the sound beginning of a damaged journal, or its last good copy where that reaches further; the original is
    set aside. Nothing may be using the study.

    Returns (records kept, lines dropped, where the original lies). Raises InputGone without a journal, StorageBroken
    when somebody keeps it locked.
    """
    if not path.is_file():
        raise InputGone(f"there is no study {path}", fix="nothing needs repair")
    try:
        with locked_within(path, wait_s):
            raw = path.read_bytes()
            found, lines = _soundness(raw), raw.count(b"\n")
            aside = _free_name(path)
            write_atomic(aside, raw)
            copy = _good_copy(path, raw[: found.whole])
            if copy is not None and (better := _soundness(copy)).records > found.records:
                append_synced(path, copy[: better.whole], after=0)
                return better.records, max(0, lines - better.records), aside
            append_synced(path, b"", after=found.whole)
    except BlockingIOError as error:
        raise _held(path) from error
    return found.records, lines - found.records, aside


def _keep_copy(path: Path, sound: bytes) -> None:
    """The journal as it is, beside it; an older copy of the same journal is not replaced by less of it."""
    copy = path.with_name(path.name + GOOD_SUFFIX)
    old = copy.stat().st_size if copy.is_file() else 0
    if not sound or (old >= len(sound) and _good_copy(path, sound) is not None):
        return
    with contextlib.suppress(CannotWrite):  # a full disk is for whoever has trials to write
        write_atomic(copy, sound)


def _good_copy(path: Path, sound: bytes) -> bytes | None:
    """The copy, if it is of this very journal: of one that was begun anew it is not. `sound`: the journal's beginning,
    without which nobody can tell."""
    copy = path.with_name(path.name + GOOD_SUFFIX)
    try:
        kept = copy.read_bytes()
    except OSError:
        return None
    first, own = kept.partition(b"\n")[0], sound.partition(b"\n")[0]
    return kept if not own or first == own else None


def _line(log: Record) -> bytes:
    body = json.dumps(log, separators=(",", ":"), allow_nan=False).encode()
    return body[:-1] + CRC % zlib.crc32(body) + b"\n"


def _record(line: bytes) -> Record | None:
    """The record of one whole line; None if it is damaged."""
    body, check = line[: -CRC_LENGTH - 1] + b"}", line[-CRC_LENGTH - 1 : -1]
    if check != CRC % zlib.crc32(body):
        return None
    try:
        record: Record = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and record.get("op_code") in OPERATIONS else None


def _parsed(line: bytes, path: Path, number: int) -> Record:
    record = _record(line)
    if record is None:
        raise _broken(path, number)
    return record


def _finishes(log: Record) -> bool:
    return log["op_code"] == SET_TRIAL_STATE_VALUES and TrialState(log["state"]).is_finished()


def _whole_lines(path: Path, offset: int, least: int) -> list[bytes]:
    """The whole lines from byte `offset` on of a journal that had `least` bytes before."""
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) < least:
                raise _vanished(path)
            file.seek(offset)
            return _split(file.read())
    except FileNotFoundError as error:
        raise _vanished(path) from error
    except OSError as error:
        raise explain(error, path) from error


def _split(raw: bytes) -> list[bytes]:
    """The whole lines, each with its newline; what follows the last newline is still being written, or torn."""
    return [line + b"\n" for line in raw.split(b"\n")[:-1]]


def _whole_bytes(path: Path) -> int:
    """Up to and with the last newline. The caller holds the lock."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - TAIL)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0


def _free_name(path: Path) -> Path:
    taken = {one.name for one in path.parent.iterdir()}
    number = 1
    while (name := f"{path.name}{BROKEN_SUFFIX}{number}") in taken:
        number += 1
    return path.with_name(name)


def _vanished(path: Path) -> StorageBroken:
    return StorageBroken(f"the study {path} was deleted or replaced while in use", fix="run the same command again")


def _held(path: Path) -> StorageBroken:
    holders = ", ".join(map(str, lock_holders(path))) or "another host's"
    return StorageBroken(
        f"the study {path} is locked by process {holders}, which does not let go",
        fix="end that process, or let it go on (fg, SIGCONT); the lock goes with it",
    )


def _broken(path: Path, line: int) -> StorageBroken:
    return StorageBroken(
        f"the study {path} is damaged at line {line}, or newer than this program",
        fix="btswarm optimize --repair-study keeps the trials before that line; or delete the file to begin again",
    )
