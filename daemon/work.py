"""What a worker is told: its `job.json`, its command line and its environment, from the job's record and the plan."""

import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from ..state.models.config import SYNTHETIC
from ..state.models.jobs import Claims, CostRates, Inputs, Job, Limits, Volume
from ..state.models.names import is_command, lane_kind, parse_job
from ..state.models.records import JobRecord, LaneRecord, WorkerRecord
from ..state.results import FILL, MAIN, ROUNDS
from .jobs import parts_of
from .ports import Launch
from .swarm import Swarm
from .workers.spawn import environment

JOB = "job.json"
LOCK = "lock"
CACHES = "cache"
AUTO, JOURNAL = "auto", "study.journal"
ENGINE = ("-P", "-m", "btswarm.engine.worker")


def job_file(swarm: Swarm, job: JobRecord, worker: str) -> bytes:
    """The content of `job.json`."""
    spec, config = job.spec, swarm.config
    limits = config.workers
    made = Job(
        swarm_id=swarm.swarm_id,
        run=swarm.journal.state.queue.run,
        job=job.job,
        worker=worker,
        kind=spec.kind,
        argv=list(spec.argv),
        out_dir=str(swarm.folder(worker)),
        claims=Claims(cpus=spec.claims.cpus, mem_mb=spec.claims.mem_mb, pids=spec.claims.pids,
                      gpu_mem_mb=spec.claims.gpu_mem_mb),
        limits=Limits(start_s=limits.start_s, quiet_floor_s=limits.quiet_floor_s.model_dump(),
                      stop_grace_s=limits.stop_grace_s, budget_s=spec.budget_s or limits.budget_s),
        restart=spec.restart,
    )  # fmt: skip
    if spec.kind == "engine":
        made = made.model_copy(update=_engine_part(swarm, job, worker))
    return orjson.dumps(made.model_dump())


def _engine_part(swarm: Swarm, job: JobRecord, worker: str) -> dict[str, object]:
    spec, config, name = job.spec, swarm.config, parse_job(job.job)
    round_folder = swarm.roots.results / ROUNDS / str(name.round)
    folder = results_folder(swarm, job)
    volume = {**config.volume.model_dump(exclude={"fill_combos_max"}), **spec.volume}
    return {
        "stage": spec.stage,
        "symbol": spec.symbol,
        "mode": spec.mode,
        "inputs": Inputs(
            data=config.plan.data_path or SYNTHETIC,
            seed_dirs=[str(folder), str(round_folder)],
            artifacts=list(_artifacts_before(swarm, job)),
        ),
        "volume": Volume(**volume),
        "costs": CostRates(**config.costs.model_dump()),
        "space": config.space.get(spec.mode, {}),  # type: ignore[call-overload]
        "train_days": config.plan.train_days,
        "holdout_days": config.plan.holdout_days,
        "allow": list(config.plan.allow),
        "study": study_of(swarm, job),
        "ledger": str(swarm.roots.ledger),
        "certified": str(swarm.roots.results / "certified"),
        "min_trades": config.plan.min_trades,
        "seed": spec.seed,
        "gpu": 0 if lane_kind(worker) == "gpu" else -1,
        "out_dir": str(folder),
    }


def results_folder(swarm: Swarm, job: JobRecord) -> Path:
    """Where a job leaves its artifacts."""
    name = parse_job(job.job)
    return swarm.roots.results / ROUNDS / str(name.round) / lane_root(job) / name.symbol / name.mode


def study_of(swarm: Swarm, job: JobRecord) -> str:
    """The storage of a job's study as a URL: the same for all parts of one search, and for what replaces them."""
    study = swarm.config.storage.study
    return study if study != AUTO else f"journal://{(results_folder(swarm, job) / JOURNAL).absolute()}"


def lane_root(job: JobRecord) -> str:
    """The folder of a round that a job writes to: of the job and not of the lane, so that whoever relaunches it, on
    whatever lane, finds its study and its checkpoint."""
    name = parse_job(job.job)
    part, _ = parts_of(name.part)
    return f"{FILL}{part}" if job.spec.lane_role == "fill" and part else MAIN


def _artifacts_before(swarm: Swarm, job: JobRecord) -> Sequence[str]:
    """What the earlier stages of this symbol and mode left."""
    name = parse_job(job.job)
    same = f"r{name.round}/{name.symbol}/{name.mode}/"
    jobs = swarm.journal.jobs
    return [path for one in jobs.values() if one.job.startswith(same) and one.state == "done" for path in one.artifacts]


def launch_of(swarm: Swarm, record: WorkerRecord, job: JobRecord, lane: LaneRecord) -> Launch:
    """How the worker is started. A command job runs as it is, in the worker's environment."""
    folder = swarm.folder(record.worker)
    argv = job.spec.argv if is_command(job.job) else (sys.executable, *ENGINE, str(folder / JOB))
    return Launch(
        worker=record.worker,
        token=record.token,
        argv=tuple(argv),
        environment=environment(
            swarm.inherited,
            token=record.token,
            folder=folder,
            caches=swarm.roots.state / CACHES,
            threads=max(1, int(record.claims.cpus)),
            gpu_uuid=lane.gpu_uuid,
        ),
        lock=folder / LOCK,
        log=Path(record.log),
    )
