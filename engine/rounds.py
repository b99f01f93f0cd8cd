"""Rounds on the disk: which one a plan goes on with, who may write, and which old ones go.

`<results>/rounds/<n>/<lane>/<SYMBOL>/<mode>/` holds the artifacts, `round.json` beside the symbols says whose they are.
One run at a time writes under a results root: it holds `.run.lock` for as long as it lives.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..state.errors import BtswarmError, NoPermission
from ..state.files import TEMP_PREFIX, claim_folder, claimed, make_folder
from ..state.models.rounds import Round
from ..state.results import ROUNDS as ROUNDS
from ..state.results import round_numbers
from .artifacts import read_model, write_model

LANE = "fg"
RUN_LOCK = ".run.lock"
ROUND_FILE = "round.json"


@contextlib.contextmanager
def only_run(results: Path) -> Iterator[None]:
    """Be the only run under this root. Raises NoPermission naming the process that is."""
    path = make_folder(results) / RUN_LOCK
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(claimed(path, str(os.getpid())))
        except BlockingIOError as error:
            raise NoPermission(
                f"another run{_holder(path)} is writing to {results}", fix="wait for it, or use --results elsewhere"
            ) from error
        yield


def _holder(path: Path) -> str:
    try:
        pid = path.read_text().strip()
    except OSError:
        return ""
    return f" (pid {pid})" if pid.isdecimal() else ""


def lane_folder(results: Path, number: int, lane: str = LANE) -> Path:
    return results / ROUNDS / str(number) / lane


def choose(results: Path, plan: dict[str, Any], seed: int, data: dict[str, str], *, new: bool = False) -> Round:
    """The round that this plan goes on with, else a new one, its folder made and its file written.

    A round fits if its plan is this one and every market it has met still has the same candles. The caller holds the
    results root. The repetitions of a plan are told apart by their seed.
    """
    mine = [one for one in _rounds(results) if one.plan == plan]
    fitting = [one for one in mine if not any(one.data.get(symbol, sha) != sha for symbol, sha in data.items())]
    unfinished = [one for one in fitting if not one.complete]
    if unfinished or (fitting and not new):
        found = (unfinished or fitting)[-1]
        found.data |= data
    else:
        repetition = max((one.repetition for one in fitting), default=-1) + 1
        found = Round(
            number=_new_number(results),
            lane=LANE,
            plan=plan,
            repetition=repetition,
            seed=seed + repetition,
            data=data,
        )
    save(results, found)
    return found


def save(results: Path, found: Round) -> None:
    """Write `round.json`, unless it says so already."""
    path = lane_folder(results, found.number, found.lane) / ROUND_FILE
    if _read(path) != found:
        make_folder(path.parent)
        write_model(path, found)


def sweep(folder: Path) -> None:
    """Remove what killed writers left aside. The caller is the only one who writes here."""
    for path in folder.rglob(f"{TEMP_PREFIX}*"):
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def prune(results: Path, keep: int, published: set[int]) -> list[int]:
    """Remove all but the newest `keep` rounds of this lane and those that are published. Returns their numbers.

    What is older than all that are kept and is no round, a kill left half-removed or never begun.
    """
    kept = {one.number for one in _rounds(results)[-keep:]}
    old = [number for number in round_numbers(results) if kept and number < min(kept) and number not in published]
    removed = []
    for number in old:
        folder = lane_folder(results, number)
        if (folder / ROUND_FILE).is_file():
            removed.append(number)
        with contextlib.suppress(OSError):
            (folder / ROUND_FILE).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.rmdir()  # not empty when another lane wrote in this round
    return removed


def _rounds(results: Path) -> list[Round]:
    """The rounds of this lane that can be read, oldest first."""
    paths = (results / ROUNDS).glob(f"*/{LANE}/{ROUND_FILE}")
    found = [one for one in map(_read, paths) if one is not None]
    return sorted(found, key=lambda one: one.number)


def _read(path: Path) -> Round | None:
    try:
        return read_model(path, Round)
    except BtswarmError:
        return None


def _written(folder: Path) -> bool:
    """Whether any file was finished there."""
    found = (path.relative_to(folder).parts for path in folder.rglob("*") if path.is_file())
    return any(not any(part.startswith(TEMP_PREFIX) for part in parts) for parts in found)


def _new_number(results: Path) -> int:
    """The next number, its folder made; the last one if a kill left only folders there, or what it wrote aside."""
    folder = make_folder(results / ROUNDS)
    last = max(round_numbers(results), default=0)
    if last and not _written(folder / str(last)):
        return last
    number = last + 1
    while not claim_folder(folder / str(number)):
        number += 1
    return number
