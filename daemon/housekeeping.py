"""What is thrown away in time: logs that grew too long, workers' folders of old generations, rounds nobody needs.

Only what bears our names is touched, and nothing of whoever lives, of a round with open jobs, or of a published or
certified result.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..state.errors import BadData
from ..state.files import keep_tail
from ..state.models.names import parse_worker
from ..state.results import FILL, MAIN, ROUNDS, published_rounds, round_numbers

WORKERS: Final = "workers"
"""Folder of the workers' folders under the state root."""
GENERATIONS: Final = 3
"""Of a lane: the newest so many are kept."""
TAIL_BYTES: Final = 1 << 20
"""Of a log that is cut."""
LOG: Final = ".log"


@dataclass(frozen=True, slots=True)
class Keep:
    """What stays. `gens`: lane -> its newest generation; `living`: workers with a record; `busy`: rounds with open
    jobs, the present one among them; `rounds`: how many of the newest; `certified`: rounds with such a result."""

    gens: Mapping[str, int]
    living: frozenset[str]
    log_bytes: int
    rounds: int
    busy: frozenset[int]
    certified: frozenset[int] = frozenset()


@dataclass
class Swept:
    """`cut`: logs that were shortened. `faults`: what could not be done, in a sentence each."""

    workers: int = 0
    logs: int = 0
    cut: list[str] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.workers or self.logs or self.cut or self.rounds or self.faults)


def sweep(workers: Path, logs: Path, results: Path, keep: Keep) -> Swept:
    """Once over everything. `workers`: where their folders lie. What fails is told and tried again the next time."""
    swept = Swept()
    for name in _names(workers, swept):
        if _is_old(name, keep):
            shutil.rmtree(workers / name, ignore_errors=True)
            swept.workers += 1
    for name in _names(logs, swept):
        worker = name.removesuffix(LOG)
        try:
            if worker == name or not _is_worker(worker):
                continue
            if _is_old(worker, keep):
                (logs / name).unlink()
                swept.logs += 1
            elif (logs / name).stat().st_size > keep.log_bytes:
                cut(logs / name, keep.log_bytes)
                swept.cut.append(worker)
        except OSError as error:
            swept.faults.append(f"{logs / name}: {error.strerror}")
    _old_rounds(results, keep, swept)
    return swept


def cut(path: Path, limit: int) -> None:
    """Keep the newest lines of a log whose writer goes on appending to it. Raises OSError."""
    keep_tail(path, min(TAIL_BYTES, limit // 2), f"[btswarm: cut here; a log is kept to {limit >> 20} MB]")


def _is_worker(name: str) -> bool:
    try:
        parse_worker(name)
    except BadData:
        return False
    return True


def _is_old(name: str, keep: Keep) -> bool:
    """Whether it is the name of a worker of a lane of ours whose generation has long passed."""
    if name in keep.living or not _is_worker(name):
        return False
    lane, gen = parse_worker(name)
    return lane in keep.gens and gen <= keep.gens[lane] - GENERATIONS


def _old_rounds(results: Path, keep: Keep, swept: Swept) -> None:
    """The swarm's own folders of older rounds: those of `btswarm run` are that command's."""
    try:
        ours = sorted(_written(results), key=lambda one: (one[1], one[0]))
        old = {number for number, _ in ours[: -keep.rounds]} - keep.busy - keep.certified - published_rounds(results)
    except OSError as error:
        swept.faults.append(f"{results}: {error.strerror}")
        return
    for number in sorted(old):
        for folder in _own(results, number):
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # not empty: another's results are in it
            (results / ROUNDS / str(number)).rmdir()
        swept.rounds.append(number)


def _written(results: Path) -> Iterable[tuple[int, int]]:
    """Rounds of ours with when something was last put into one of their folders (ns). Numbers tell no age: they begin
    anew with a new state folder."""
    for number in round_numbers(results):
        if own := _own(results, number):
            places = (place for root in own for place in (root, *root.glob("*/*")))
            yield number, max(place.stat().st_mtime_ns for place in places)


def _own(results: Path, number: int) -> list[Path]:
    folder = results / ROUNDS / str(number)
    return [one for one in folder.iterdir() if one.is_dir() and (one.name == MAIN or one.name.startswith(FILL))]


def _names(folder: Path, swept: Swept) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        swept.faults.append(f"{folder}: {error.strerror}")
        return []
