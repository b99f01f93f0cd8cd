"""The stages in their order, and how one is run: the same in the foreground as in a worker.

The table says what each is given. Prescreen and optimize get a copy of the training bars and nothing later; that they
search is entered in the ledger before they begin.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from ..state.errors import BadConfig, BadData
from ..state.models.jobs import Job, Stage
from .artifacts import ALL_TRIALS, PHASE0, PREFLIGHT, VALIDATION
from .bars import Bars
from .progress import Reporter
from .split import Days, Split, split, split_for
from .strategies import mtf_ema

Run = Callable[..., list[Path]]  # (job, bars, report, **options)


@dataclass(frozen=True)
class StageSpec:
    """`module` has the stage's `run`. `leaves`: its main artifact, empty where it lies in the best folders."""

    module: str
    leaves: str
    searches: bool = False

    def load(self) -> Run:
        """Import it: numerics and plots are paid for by the stage that needs them."""
        run: Run = importlib.import_module(f".{self.module}", __package__).run
        return run


STAGES: dict[Stage, StageSpec] = {
    "preflight": StageSpec("preflight", PREFLIGHT),
    "prescreen": StageSpec("prescreen", PHASE0, searches=True),
    "optimize": StageSpec("optimize", ALL_TRIALS, searches=True),
    "validate": StageSpec("validate", VALIDATION),
    "report": StageSpec("report", ""),
}

assert tuple(STAGES) == get_args(Stage)


def load_market(data: str, symbol: str) -> Bars:
    """The candles a job names. Raises InputGone, BadConfig or BadData."""
    from .candles.load import load

    return load(data, symbol or None)


def market_of(job: Job) -> Bars:
    """The candles of a job, and that they are still the ones it was made for."""
    bars = load_market(job.inputs.data, job.symbol)
    if job.inputs.data_sha256 not in ("", bars.sha256):
        raise BadData(
            f"{job.inputs.data} no longer holds the candles this job was made for",
            fix="start again, so that every stage sees the same ones",
        )
    return bars


def run_stage(job: Job, bars: Bars, report: Reporter, **options: Any) -> list[Path]:
    """Run the stage of `job`. `bars`: all candles of the market; `options`: what no job says, for that stage alone.

    Returns the artifacts; raises what the stage raises.
    """
    if job.stage is None or job.kind != "engine":
        raise BadConfig(f"job {job.job} names no stage", fix=f"give one of {', '.join(STAGES)}")
    spec = STAGES[job.stage]
    run = spec.load()
    if job.stage == "preflight":
        options = {"allow": tuple(job.allow), **options}
    if not spec.searches:
        return run(job, bars, report, **options)
    cut = split_for(bars, job.train_from, job.train_to, job.holdout_days, job.train_days)
    mtf_ema.space_for(job.mode, job.space).refuse_misfits(bars.base_minutes)  # what is refused was not searched
    enter_search(job, bars, cut)
    return run(job, cut.training(bars), report, **options)


def enter_search(job: Job, bars: Bars, cut: Split) -> None:
    """Write into the ledger that these days are searched, with what and how much. The same work enters once.

    Training days of a shorter excerpt may reach into what is the hold-out of all the candles: those are exposed.
    """
    from .ledger import Ledger

    volume = job.volume.combos if job.stage == "prescreen" else job.volume.trials
    space = mtf_ema.space_for(job.mode, job.space)
    book = Ledger(ledger_path(job))
    book.enter_search(bars, cut, space, stage=str(job.stage), seed=job.seed, volume=volume)
    usual = split(bars).holdout
    seen = replace(cut, holdout=Days(usual.first, min(usual.stop, cut.train.stop)))
    if len(seen.holdout) and not any(entry.stage == job.stage for entry in book.exposures(bars.symbol, seen.holdout)):
        book.enter_exposure(cut.training(bars), seen, stage=str(job.stage), volume=volume)


def ledger_path(job: Job) -> Path:
    """The ledger of a job; one that names none keeps it beside its results."""
    from .ledger import NAME

    return Path(job.ledger) if job.ledger else Path(job.out_dir) / NAME
