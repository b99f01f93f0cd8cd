"""Phase-0 artifacts as the place to start from: where they are looked for, which one counts, which rows become trials.

A worker writes under `<results>/rounds/<n>/<lane>/<SYMBOL>/<mode>/`; its siblings are the other lanes and rounds, and
`<results>/optimizations/`, the published view. An artifact counts only if it was computed on these very candles and
this very space: rows of another period might have seen the hold-out.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..state.errors import BtswarmError, InputGone
from ..state.models.artifacts import Phase0
from ..state.models.jobs import Job, SeedsLoaded
from .artifacts import PHASE0, read_phase0
from .bars import Bars
from .search_space import is_inside
from .strategies import api
from .strategies.api import Combos, Params
from .strategies.mtf_ema import Space

ROUNDS, PUBLISHED = "rounds", "optimizations"
LAYOUTS = ("{here}", "*/{here}", "*/*/{here}", f"{ROUNDS}/*/*/{{here}}", f"{PUBLISHED}/{{here}}")
NO_SEEDS = ["none"]  # as `seed_dirs`: begin at random
SHARE = 4  # at most one trial in so many begins at a seed
NEAR = 0.1  # rows whose periods differ by less share most of their neighbourhoods


@dataclass(frozen=True, eq=False)
class Seeds:
    """The artifact that counts and its combos int32 [R, 8], best first. `ranks` are those of the artifact."""

    source: Path
    sha256: str
    combos: Combos
    ranks: list[int]

    @property
    def fact(self) -> SeedsLoaded:
        return SeedsLoaded(n=len(self.combos), source=str(self.source), sha256=self.sha256)

    def line(self, symbol: str, mode: str) -> str:
        """The line the log is searched for."""
        return f"Loaded Phase0 seed: {symbol}/{mode} n={len(self.combos)} source={self.source} sha256={self.sha256}"


@dataclass(frozen=True)
class Found:
    """A valid artifact. `round`: of the lane root it lies in, -1 for the published view and folders elsewhere."""

    path: Path
    phase0: Phase0
    sha256: str
    round: int
    written: float

    @property
    def order(self) -> tuple[int, float, float]:
        """The newest round first, in it the best row, then the newest file."""
        best = self.phase0.rows[0].metrics.get("sharpe")
        return (self.round, best if best is not None else -np.inf, self.written)


def load(job: Job, bars: Bars, space: Space) -> Seeds | None:
    """The seeds of this symbol and mode; None when the job wants none.

    Raises InputGone, saying what was found instead, when there are none.
    """
    if job.inputs.seed_dirs == NO_SEEDS:
        return None
    paths = sorted(set(candidates(job, bars.symbol)))
    found, refused = [], []
    for path in paths:
        try:
            found.append(_read(path, job, bars, space))
        except BtswarmError as error:
            refused.append(error.message)
    if not found:
        raise InputGone(
            f"no {PHASE0} for {bars.symbol}/{job.mode} to start from in {_where(job)}{_but(refused)}",
            fix="run btswarm prescreen first, name its folder with --phase0-seed-dirs, or use --no-seeds",
        )
    return _seeds(max(found, key=lambda one: one.order), space)


def candidates(job: Job, symbol: str) -> Iterator[Path]:
    """The artifacts of this symbol and mode in `job.inputs.seed_dirs`, else beside the job's own folder."""
    here = f"{symbol}/{job.mode}/{PHASE0}"
    for folder in roots(job):
        if folder.is_file():
            yield folder.resolve()
        yield from (path.resolve() for path in (folder / PHASE0,) if path.is_file())
        for layout in LAYOUTS:
            yield from (path.resolve() for path in folder.glob(layout.format(here=here)))


def roots(job: Job) -> list[Path]:
    """The folders that are searched: those named, else the job's own and the results root above its lane."""
    if job.inputs.seed_dirs:
        return [Path(folder) for folder in job.inputs.seed_dirs]
    out = Path(job.out_dir).absolute()
    lanes = [out.parents[4]] if len(out.parents) > 4 and out.parents[3].name == ROUNDS else []
    return [out, *lanes]


def pick(seeds: Seeds, trials: int) -> list[int]:
    """Which rows become trials: the best ones of different pairs of EMAs first, then the best of the rest."""
    wanted = min(len(seeds.combos), max(1, trials // SHARE))
    chosen: list[int] = []
    for index, row in enumerate(seeds.combos):
        if len(chosen) < wanted and not any(_near(row, seeds.combos[other]) for other in chosen):
            chosen.append(index)
    rest = [index for index in range(len(seeds.combos)) if index not in set(chosen)]
    return chosen + rest[: wanted - len(chosen)]


def _near(one: NDArray[np.int32], other: NDArray[np.int32]) -> bool:
    if one[api.FAST_TF] != other[api.FAST_TF] or one[api.SLOW_TF] != other[api.SLOW_TF]:
        return False
    periods = [api.FAST_PERIOD, api.SLOW_PERIOD]
    return bool(np.all(np.abs(one[periods] - other[periods]) <= np.maximum(1, NEAR * other[periods])))


def _read(path: Path, job: Job, bars: Bars, space: Space) -> Found:
    phase0 = read_phase0(path)
    header = phase0.header
    wrong = [
        name
        for name, ok in (
            ("another symbol", header.symbol == bars.symbol),
            ("another mode", header.mode == job.mode),
            ("another parameter space", header.space_sha256 == space.sha256),
            ("other candles", header.data.sha256 == bars.sha256),
            ("no row", bool(phase0.rows)),
        )
        if not ok
    ]
    if wrong:
        raise InputGone(f"{path} has {wrong[0]}")
    raw = path.read_bytes()
    return Found(path, phase0, hashlib.sha256(raw).hexdigest(), _round(path), path.stat().st_mtime)


def _round(path: Path) -> int:
    parents = path.parents
    named = len(parents) > 4 and parents[4].name == ROUNDS and parents[3].name.isdecimal()
    return int(parents[3].name) if named else -1


def _seeds(found: Found, space: Space) -> Seeds:
    rows: list[tuple[int, Any]] = [(row.rank, Params.parse(row.params).to_row()) for row in found.phase0.rows]
    inside = [(rank, row) for rank, row in rows if is_inside(space, row)]
    if not inside:
        raise InputGone(f"{found.path} has no row inside the parameter space", fix="run btswarm prescreen again")
    return Seeds(found.path, found.sha256, np.stack([row for _, row in inside]), [rank for rank, _ in inside])


def _where(job: Job) -> str:
    return ", ".join(map(str, roots(job)))


def _but(refused: list[str]) -> str:
    return f" (found, but: {'; '.join(refused[:3])})" if refused else ""
