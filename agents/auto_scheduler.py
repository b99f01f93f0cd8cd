"""auto_scheduler: what there is to do: rounds of the plan, fill jobs for idle lanes, first starts of main work.

Watches the plan in force, the jobs of the round, the ledger's account of searches, idle lanes.
Asks for: StartRound and EnqueueJobs (a round's jobs, fill jobs), SpawnWorker of main and command jobs that never ran.
Silent: while nobody launched a plan or the swarm drains; about rounds during a cooldown, after the plan's last round,
and about what the ledger says is spent (session_state_manager tells people), but for the first round of a plan: a
person launched it, and its space may be one that was never searched.

A symbol and mode whose job is held for a person is left out of further rounds until it is released.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..state.models.actions import EnqueueJobs, NewJob, Proposal, SpawnWorker, StartRound
from ..state.models.config import Config
from ..state.models.facts import JobView, Known, Observation
from ..state.models.names import SWARM, LaneKind, engine_job
from ..state.models.records import ClaimsRecord, JobSpec
from .api import Agent, Proposals, Voice
from .detectors.idle import free_lanes
from .detectors.placement import closed, share, startables
from .detectors.rounds import Chain, blocked, chains, jobs_of, next_round, open_jobs, spent

ASK: Final = Voice("auto_scheduler")
COOLDOWN_S: Final = 5.0
"""Between the end of a round and the next one."""
FRUITLESS_COOLDOWN_S: Final = 1800.0
"""After a round in which no symbol and mode came to its report: its data would fail again at once."""
PARTS_MAX: Final = 8
"""Workers of one study."""
FILL_BATCH: Final = 16
"""Fill jobs asked for in one cycle."""
FILL_S: Final = 900.0
"""Longest fill job, at the rate that was measured."""
FILL_MIN_COMBOS: Final = 1000
PRIORITY: Final = {"preflight": 10, "prescreen": 20, "optimize": 30, "validate": 40, "report": 50}
"""Later stages first: what is nearly done is finished."""
FILL_PRIORITY: Final = 0
GPU_MEM_MB: Final = 2048
"""Claimed until one was seen to need more."""
KINDS: Final[tuple[LaneKind, ...]] = ("cpu", "gpu")


@dataclass(frozen=True, slots=True)
class Memory:
    """`plan`: digest of the plan whose rounds these are, `first`: its first round."""

    plan: str = ""
    first: int = 1


def propose(observation: Observation, memory: Memory) -> tuple[Proposals, Memory]:
    found = [
        ASK.asks(SpawnWorker(one.lane, one.job), "its turn, and a lane is free", f"jobs.{one.job}", subject=one.lane)
        for one in share(observation, "main")
    ]
    plan = chains(observation.swarm.config) if observation.swarm.desired.life == "run" else []
    if plan and not closed(observation):
        waiting = blocked(observation)
        there = [one for one in plan if one not in waiting]
        wanted = [one for one in there if not spent(observation, one)]
        rounds, memory = _rounds(observation, memory, there, wanted)
        found += rounds or _fill(observation, wanted)
    return found, memory


def _rounds(
    observation: Observation, memory: Memory, there: Sequence[Chain], wanted: Sequence[Chain]
) -> tuple[list[Proposal], Memory]:
    """`there`: of the plan, without those that wait for a person; `wanted`: of them those that are not spent."""
    swarm = observation.swarm
    plan = swarm.desired.plan_sha256
    if there and (not swarm.round or (memory.plan and plan != memory.plan)):
        return _start(observation, there), Memory(plan, next_round(observation))
    memory = memory if memory.plan else Memory(plan, memory.first)
    jobs = jobs_of(observation, swarm.round)
    if not jobs and there:
        return [_enqueue(observation, swarm.round, wanted or there)], memory
    if not wanted:
        return [], memory
    last = swarm.config.plan.rounds and swarm.round - memory.first + 1 >= swarm.config.plan.rounds
    if last or open_jobs(observation) or observation.now - _ended(jobs) < _cooldown_s(jobs):
        return [], memory
    return _start(observation, wanted), memory


def _ended(jobs: Iterable[JobView]) -> float:
    return max(job.since for job in jobs)


def _cooldown_s(jobs: Iterable[JobView]) -> float:
    fruitful = any(job.spec.stage == "report" and job.state == "done" for job in jobs)
    return COOLDOWN_S if fruitful else FRUITLESS_COOLDOWN_S


def _start(observation: Observation, wanted: Sequence[Chain]) -> list[Proposal]:
    number, last = next_round(observation), observation.swarm.round
    why = f"round {last} is over" if last else "the plan was launched"
    start = ASK.asks(StartRound(number), why, "swarm.round", subject=SWARM)
    return [start, _enqueue(observation, number, wanted)]


def _enqueue(observation: Observation, number: int, wanted: Sequence[Chain]) -> Proposal:
    lanes = sum(lane.kind == "cpu" and lane.role != "command" for lane in observation.lanes.values())
    parts = max(1, min(PARTS_MAX, lanes // len(wanted)))
    jobs = tuple(job for chain in wanted for job in _chain(observation, number, chain, parts))
    why = f"{len(wanted)} symbols and modes of round {number}"
    return ASK.asks(EnqueueJobs(jobs), why, "swarm.config.plan", subject=f"r{number}")


def _chain(observation: Observation, number: int, chain: Chain, parts: int) -> Iterator[NewJob]:
    """The jobs of one symbol and mode, each waiting for the ones before."""
    before: tuple[str, ...] = ()
    for stage in PRIORITY:
        names = [""] if stage != "optimize" or parts == 1 else [str(part) for part in range(parts)]
        jobs = [engine_job(number, chain.symbol, chain.mode, stage, name) for name in names]
        gpu = stage == "prescreen" and _on_gpu(observation)
        for job in jobs:
            spec = _spec(observation, chain, stage, job, gpu=gpu)
            yield NewJob(job, spec, PRIORITY[stage], before)
        before = tuple(jobs)


def _on_gpu(observation: Observation) -> bool:
    """A plan that names an engine is never given the other."""
    engine = observation.swarm.config.plan.engine
    return engine == "gpu" or (engine == "auto" and bool(observation.gpus))


def _spec(observation: Observation, chain: Chain, stage: str, job: str, *, gpu: bool) -> JobSpec:
    threads = float(observation.swarm.config.lanes.threads)
    claims = ClaimsRecord(cpus=1.0 if gpu else threads, gpu_mem_mb=GPU_MEM_MB if gpu else 0)
    seed = _seed(observation.draw, job)
    return JobSpec(stage=stage, symbol=chain.symbol, mode=chain.mode, gpu=gpu, seed=seed, claims=claims)


def _seed(draw: int, job: str) -> int:
    """Fresh in every round; the log keeps it."""
    return int.from_bytes(hashlib.blake2b(f"{draw}/{job}".encode(), digest_size=4).digest(), "big") >> 1


def _fill(observation: Observation, wanted: Sequence[Chain]) -> list[Proposal]:
    """More prescreens of the round, as many as lanes are idle, for symbols and modes whose preflight passed."""
    number = observation.swarm.round
    ready = [one for one in wanted if _preflighted(observation, number, one)]
    if not ready or not open_jobs(observation):
        return []
    queued = startables(observation)
    new: list[NewJob] = []
    for kind in KINDS if _on_gpu(observation) else KINDS[:1]:
        waiting = sum(job.spec.gpu == (kind == "gpu") and job.spec.lane_role != "command" for job in queued)
        idle = len(free_lanes(observation, kind)) - waiting
        new += _filling(observation, ready, min(idle, FILL_BATCH - len(new)), kind, len(new))
    if not new:
        return []
    return [ASK.asks(EnqueueJobs(tuple(new)), f"{len(new)} lanes are idle", "lanes", subject=f"r{number}")]


def _preflighted(observation: Observation, number: int, chain: Chain) -> bool:
    job = observation.jobs.get(engine_job(number, chain.symbol, chain.mode, "preflight"))
    return job is not None and job.state == "done"


def _filling(
    observation: Observation, ready: Sequence[Chain], count: int, kind: LaneKind, offset: int
) -> Iterator[NewJob]:
    number = observation.swarm.round
    begun = offset + sum(job.spec.lane_role == "fill" for job in jobs_of(observation, number))
    combos = _fill_combos(observation, observation.swarm.config, kind)
    for index in range(begun, begun + max(0, count)):
        chain = ready[index % len(ready)]
        job = engine_job(number, chain.symbol, chain.mode, "prescreen", f"f{index}")
        base = _spec(observation, chain, "prescreen", job, gpu=kind == "gpu")
        spec = replace(base, lane_role="fill", volume={"combos": combos}, budget_s=FILL_S)
        yield NewJob(job, spec, FILL_PRIORITY)


def _fill_combos(observation: Observation, config: Config, kind: LaneKind) -> int:
    """What a lane of this kind screens in the time a fill job may take, by the slowest rate seen now."""
    rates = [
        view.progress.known.rate
        for view in observation.workers.values()
        if isinstance(view.progress, Known)
        and view.progress.known.phase == "batch"
        and view.progress.known.rate
        and view.lane.startswith(kind)
    ]
    most = config.volume.fill_combos_max
    return min(most, max(FILL_MIN_COMBOS, int(min(rates) * FILL_S))) if rates else most


AGENT = Agent("auto_scheduler", Memory, propose)
