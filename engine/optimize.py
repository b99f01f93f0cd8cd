"""The optimize stage: Optuna refines what the prescreen found, one trial being a whole neighbourhood of backtests.

Any number of workers may run this on one study; each claims trials until `job.volume.trials` are told, and the one that
finds them all told exports. Stopped and started again it goes on; a worker that was killed is made good by the others.
"""

import hashlib
import math
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna
import orjson

from ..state.errors import BadConfig, GateFailed
from ..state.files import make_folder
from ..state.models.jobs import Job
from ..state.models.trials import SearchFacts, SeedFacts
from . import export, seeds
from .artifacts import ALL_TRIALS, cost_facts, data_facts, versions
from .bars import Bars
from .costs import Costs
from .metrics import jsonable
from .neighbourhood import FOLDS, NEIGHBOURS, Evaluator
from .progress import Reporter
from .search_space import SpaceSampler, corners, distributions, point_of, row_of
from .seeds import Seeds
from .storage import Place, place, storage_errors
from .strategies import mtf_ema
from .strategies.api import refuse_impossible
from .strategies.mtf_ema import Space
from .study import Nothing, Study, Workers

OBJECTIVE = 1  # rises whenever the same point would get another score
WORTHLESS = -1e6  # what the sampler is told where the score is undefined; finite, so that any database takes it
POLL_S = 0.05
SEEDED = "phase0"
PART = re.compile(r"\.(\d*)(?:h\d+)?$")
"""Of a job's name: which worker of its study it is, and how often it was replaced by one with less to do."""


@dataclass
class Timings:
    """Seconds this worker spent in its trials: proposing points, talking to the storage, evaluating."""

    trials: int = 0
    sampler_s: float = 0.0
    storage_s: float = 0.0
    evaluate_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Task:
    """What one worker was asked to do, understood."""

    job: Job
    space: Space
    bars: Bars
    costs: Costs
    place: Place
    seeds: Seeds | None
    search: SearchFacts
    timings: Timings = field(default_factory=Timings)

    @property
    def total(self) -> int:
        return self.job.volume.trials

    @property
    def part(self) -> int:
        return part_of(self.job)

    @property
    def name(self) -> str:
        """The study's name: other candles, space, costs or seed are another study, even in the same storage."""
        facts = self.search.model_dump(mode="json", exclude={"versions": True, "data": {"source"}})
        body = orjson.dumps([OBJECTIVE, facts], option=orjson.OPT_SORT_KEYS)
        return f"{PART.sub('', self.job.job)}/{hashlib.sha256(body).hexdigest()[:16]}"


def run(job: Job, bars: Bars, report: Reporter, *, timings: Timings | None = None) -> list[Path]:
    """Take trials until `job.volume.trials` are told in all, then export. `bars` are the training bars only.

    Returns the artifacts. Raises InputGone when no phase-0 artifact is found, before the first trial, unless the job
    wants none; BadConfig for a GPU, memory-only storage, or a space that does not fit; StorageBroken for a damaged
    study; GateFailed, once `all_trials.json` is written, when no trial is feasible.
    """
    report.phase("load")
    task = understand(job, bars, timings or Timings())
    if task.seeds:
        report.line(task.seeds.line(bars.symbol, job.mode))
        report.fact(seeds=task.seeds.fact)
    report.fact(backend="cpu", device="cpu")
    evaluator = Evaluator.prepare(bars, task.space, task.costs, job.min_trades, max(1, int(job.claims.cpus)))
    with Workers(task.place.locks, task.part) as workers, storage_errors(task.place.name):
        study = open_study(task, workers)
        report.phase("trial", task.total, "trials")
        work(task, study, evaluator, report)
        report.phase("write")
        return _export(task, study, evaluator)


def understand(job: Job, bars: Bars, timings: Timings) -> Task:
    """Check the job and find its seeds. Nothing is written."""
    if job.gpu >= 0:
        raise BadConfig(f"optimize runs on the CPU only, gpu {job.gpu} was asked for", fix="use --gpu -1")
    space = mtf_ema.space_for(job.mode, job.space)
    costs = Costs(**job.costs.model_dump())
    refuse_impossible(corners(space), costs, bars.base_minutes)
    where = place(job.study, Path(job.out_dir))
    found = seeds.load(job, bars, space)
    search = SearchFacts(
        symbol=bars.symbol,
        mode=job.mode,
        strategy=mtf_ema.NAME,
        space=space.model_dump(mode="json"),
        space_sha256=space.sha256,
        data=data_facts(bars),
        costs=cost_facts(costs),
        leverage=space.leverage,
        max_drawdown=space.max_drawdown,
        min_trades=job.min_trades,
        neighbours=NEIGHBOURS,
        folds=FOLDS,
        seed=job.seed,
        versions=versions(),
    )
    return Task(job, space, bars, costs, where, found, search, timings)


def open_study(task: Task, workers: Workers) -> Study:
    """Open or create the study, and queue the seeds if nobody has yet."""
    make_folder(Path(task.job.out_dir))
    with workers.alone():
        opened = optuna.create_study(
            study_name=task.name, storage=task.place.open(), direction="maximize", load_if_exists=True
        )
    study = Study(opened, workers, distributions(task.space), shared=task.place.is_server)
    opened.sampler = SpaceSampler(task.space, _seed(task.job.seed, task.part))
    if task.seeds:
        chosen = seeds.pick(task.seeds, task.total)
        points = [
            (point_of(task.space, task.seeds.combos[index]), {export.SEED_RANK: task.seeds.ranks[index]})
            for index in chosen
        ]
        fact = task.seeds.fact.model_copy(update={"n": len(points)})
        study.enqueue_once(SEEDED, points, fact.model_dump())
    return study


def work(task: Task, study: Study, evaluator: Evaluator, report: Reporter) -> None:
    """Claim, evaluate and tell until all trials are told. Raises Stopped between trials."""
    told = study.told()
    report.step(told, checkpoint=told)
    while True:
        began = time.perf_counter()
        claimed = study.claim(task.total)
        if claimed is Nothing.DONE:
            return
        if isinstance(claimed, optuna.Trial):
            _run_trial(task, study, evaluator, claimed, began)
        else:
            time.sleep(POLL_S)
        told = study.told()
        report.step(told, checkpoint=told)


def _run_trial(task: Task, study: Study, evaluator: Evaluator, trial: optuna.Trial, claimed_at: float) -> None:
    """One claimed trial, told or handed back. The clock's laps go to the task's timings."""
    sampler = study.optuna.sampler
    sampled = sampler.seconds if isinstance(sampler, SpaceSampler) else 0.0
    try:
        point = study.suggest(trial)
        if point is None:
            return
        proposed_at = time.perf_counter()
        found = evaluator.evaluate(row_of(task.space, point))
        evaluated_at = time.perf_counter()
        result = {
            "score": None if math.isnan(found.score) else found.score,
            "metrics": jsonable(found.metrics),
            "fold_sharpes": [None if math.isnan(fold) else fold for fold in found.folds],
            "duration_s": round(evaluated_at - claimed_at, 6),
        }
        value = WORTHLESS if math.isnan(found.score) else found.score
        study.tell(trial, value, result, evaluator.violations(found.metrics))
    except BaseException:
        study.release(trial)
        raise
    told_at = time.perf_counter()
    sampling = sampler.seconds - sampled if isinstance(sampler, SpaceSampler) else 0.0
    timings = task.timings
    timings.trials += 1
    timings.sampler_s += sampling
    timings.evaluate_s += evaluated_at - proposed_at
    timings.storage_s += told_at - claimed_at - sampling - (evaluated_at - proposed_at)


def _export(task: Task, study: Study, evaluator: Evaluator) -> list[Path]:
    out_dir = Path(task.job.out_dir)
    with study.workers.alone("export"):
        export.clean(out_dir)
        seeded = SeedFacts(**study.optuna.user_attrs.get(SEEDED, {}))
        found = export.document(study.trials(), task.search, task.space, task.name, seeded)
        already = export.complete(out_dir)
        if already is None or already.header.export != found.header.export:
            export.write(out_dir, found, evaluator)
        study.workers.sweep()
    if not found.best:
        raise GateFailed(
            f"none of {found.header.told} trials of {task.bars.symbol}/{task.job.mode} is feasible "
            f"({task.job.min_trades} trades, daily drawdown up to {task.space.max_drawdown:.0%})",
            fix=f"see {out_dir / ALL_TRIALS}; use more trials, more candles or a wider space",
        )
    return [out_dir / ALL_TRIALS, *(out_dir / name for name in found.best)]


def part_of(job: Job) -> int:
    """The number behind the last dot of the job's name: which worker of its study this is."""
    named = PART.search(job.job)
    return int(named.group(1) or 0) if named else 0


def _seed(seed: int, part: int) -> int:
    """A seed of its own for each worker."""
    return int(np.random.SeedSequence([seed, part]).generate_state(1)[0])
