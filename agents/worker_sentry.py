"""worker_sentry: workers that are wrong, and jobs whose worker is gone.

Watches every worker against its job and what people want, every job that ran before, lanes that fail again and again.
Asks for: relaunch (SpawnWorker of jobs that ran before), StopWorker (drain, pause, cancel, twin, fallback, budget),
ReplaceJob, RepairStorage, Hold and Release of jobs and lanes, incidents of what it found.
Silent: on a worker that is being stopped already; about silence (hang_guard's); on what it has no reading of.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ..state.models.actions import (
    FIRST_RUNG,
    HoldSubject,
    OpenIncident,
    Proposal,
    ReleaseHold,
    RepairStorage,
    ReplaceJob,
    SpawnWorker,
    StopReason,
    StopWorker,
)
from ..state.models.facts import JobView, Known, Observation, WorkerView
from ..state.models.failures import POLICIES
from ..state.models.names import SWARM, is_command, lane_of
from ..state.models.transitions import ENDED_JOBS, LIVING_WORKERS
from .api import Agent, Proposals, Voice
from .detectors import gpu_path
from .detectors.incidents import told
from .detectors.placement import share
from .detectors.volume import half_batch, halved

ASK: Final = Voice("worker_sentry")
WORKING: Final = ("starting", "running")
STORAGE: Final = "storage"
FALLBACKS: Final = 2
"""Runs of a GPU job on the CPU after which it is held."""
LANE_CLASSES: Final = {str(name): policy.lane_after for name, policy in POLICIES.items() if policy.lane_after}


@dataclass(frozen=True, slots=True)
class Memory:
    """`began`: when an engine worker was first seen running, monotonic, so that no jump of the clock ends it.
    `fallbacks`: by job. `best`: combos/s by device."""

    began: Mapping[str, float] = field(default_factory=dict)
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    best: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a worker must go; `incident`: of which class, empty for what people asked for."""

    reason: StopReason
    why: str
    fact: str
    incident: str = ""


def propose(observation: Observation, memory: Memory) -> tuple[Proposals, Memory]:
    engine, commands = _worth_a_look(observation)
    memory = _remember(observation, engine, memory)
    found: list[Proposal] = []
    for view in (*engine, *commands):
        if view.record.state in WORKING and (wrong := _wrong(observation, view, memory)):
            found += _stop(observation, view, wrong)
            if wrong.reason == "fallback":
                memory = replace(memory, fallbacks=_counted(memory.fallbacks, view.job))
    for job in observation.jobs.values():
        if job.state == "running" and not _has_worker(observation, job):
            found += _left(observation, job)
        elif job.hold is not None and job.hold.over(observation.now):
            found.append(_over(job.job, job.hold.class_))
        elif job.state == "queued" and job.hold is None:
            if job.job in memory.fallbacks:
                held, memory = _off_device(observation, job, memory)
                found += held
            elif job.attempts and job.attempts[-1].class_ == STORAGE:
                found += _study(observation, job)
    found += _lanes(observation)
    found += _released(observation)
    found += _suspicious(observation, engine, memory)
    return [*found, *_again(observation)], memory


def _has_worker(observation: Observation, job: JobView) -> bool:
    own = observation.workers.get(job.worker)
    if own is not None and own.record.state in LIVING_WORKERS:
        return True
    return any(view.record.job == job.job and view.record.living for view in observation.workers.values())


def _again(observation: Observation) -> Iterator[Proposal]:
    """Relaunches; not of a job whose study is not repaired yet."""
    for one in share(observation, "again"):
        attempts = observation.jobs[one.job].attempts
        last = attempts[-1] if attempts else None
        if last is None or last.class_ != STORAGE or not told(observation, STORAGE, one.job):
            why = f"{last.worker} ended: {last.class_}" if last else "it ran before"
            yield ASK.asks(SpawnWorker(one.lane, one.job), why, f"jobs.{one.job}.attempts", subject=one.lane)


def _study(observation: Observation, job: JobView) -> Iterator[Proposal]:
    """A study that its worker found torn or locked is repaired before the job runs again; what cannot be repaired is
    for a person."""
    about = (one for one in observation.incidents.values() if one.class_ == STORAGE and one.subject == job.job)
    for one in about:
        if one.state == "classified":
            yield ASK.asks(RepairStorage(job.job), "its worker found the study torn or locked", one.seq)
        elif one.state == "escalated":
            needs = one.needs or "look at its study; deleting it begins the search anew"
            hold = HoldSubject(job.job, STORAGE, one.why, needs=f"{needs}; then release {job.job}")
            yield ASK.asks(hold, one.why, one.seq)


def _worth_a_look(observation: Observation) -> tuple[list[WorkerView], list[WorkerView]]:
    """Engine workers, and those of commands but the ones that nothing can be wrong with: the only one of its job, while
    nobody wants any to end."""
    desired, jobs = observation.swarm.desired, observation.jobs
    unwanted = desired.life == "drain" or bool(desired.draining or desired.paused or desired.cancel)
    engine, commands = [], []
    for view in observation.workers.values():
        record = view.record
        if not is_command(record.job):
            engine.append(view)
            continue
        job = jobs.get(record.job)
        own = job is not None and job.worker == record.worker and job.state == "running" and not job.spec.gpu
        if unwanted or not own:
            commands.append(view)
    return engine, commands


def _wrong(observation: Observation, view: WorkerView, memory: Memory) -> Wrong | None:
    job = observation.jobs.get(view.job)
    return _unwanted(observation, view, job) or (job and _misplaced(observation, view, job, memory)) or None


def _unwanted(observation: Observation, view: WorkerView, job: JobView | None) -> Wrong | None:
    """What people, or the queue, want to end."""
    desired = observation.swarm.desired
    names = (SWARM, view.lane, view.job)
    if desired.life == "drain" or (desired.draining and any(one in desired.draining for one in names)):
        return Wrong("drain", "told to drain", "swarm.desired")
    if desired.paused and any(one in desired.paused for one in names):
        return Wrong("pause", "a person paused it", "swarm.desired.paused")
    if view.job in desired.cancel:
        return Wrong("cancel", "a person stopped its job", "swarm.desired.cancel")
    if job is None or job.state in ENDED_JOBS:
        return Wrong("cancel", f"its job is {job.state if job else 'not in the queue'}", f"jobs.{view.job}.state")
    return None


def _misplaced(observation: Observation, view: WorkerView, job: JobView, memory: Memory) -> Wrong | None:
    """A second worker of the same job, one on the wrong device, one that takes too long."""
    rival = observation.workers.get(job.worker) if job.worker != view.worker else None
    if rival is not None and rival.record.living:
        return Wrong("twin", f"{job.worker} does the same job", f"jobs.{job.job}.worker", "orphan")
    gpu = observation.gpus.get(view.record.gpu_uuid)
    if job.spec.gpu and (why := gpu_path.fallback(job, view, gpu)):
        return Wrong("fallback", why, f"workers.{view.worker}.progress.backend", "cpu_fallback")
    began = memory.began.get(view.worker)
    if began is None or is_command(job.job):
        return None
    budget_s = job.spec.budget_s or observation.swarm.config.workers.budget_s
    if observation.mono - began > budget_s:
        why = f"running for {observation.mono - began:.0f} s, its budget is {budget_s:.0f} s"
        return Wrong("budget", why, f"jobs.{job.job}.spec.budget_s", "over_budget")
    return None


def _stop(observation: Observation, view: WorkerView, wrong: Wrong) -> Iterator[Proposal]:
    if wrong.incident and not told(observation, wrong.incident, view.worker):
        incident = OpenIncident(wrong.incident, view.worker, (wrong.fact,), wrong.why)
        yield ASK.asks(incident, wrong.why, wrong.fact)
    yield ASK.asks(StopWorker(view.worker, FIRST_RUNG[wrong.reason], wrong.reason), wrong.why, wrong.fact)


def _left(observation: Observation, job: JobView) -> list[Proposal]:
    """A job that its worker left and that the cycle did not queue again: it gets less of what was too much."""
    last = job.attempts[-1] if job.attempts else None
    if last is None or last.worker != job.worker:
        return []
    fact = f"jobs.{job.job}.attempts"
    if last.class_ == "over_budget":
        volume, what = halved(job.spec, observation.swarm.config.volume), "took longer than its budget"
    elif last.class_ == "cuda_oom":
        volume, what = half_batch(job.spec, _failed_batch(observation, last.worker)), "does not fit the device"
    else:
        return []
    if volume is not None:
        return [ASK.asks(ReplaceJob(job.job, volume), f"it {what}", fact)]
    needs = f"give it less to do or more room: even its smallest volume {what}; then release {job.job}"
    return [ASK.asks(HoldSubject(job.job, last.class_, f"it {what}", needs=needs), f"it {what}", fact)]


def _failed_batch(observation: Observation, worker: str) -> int | None:
    view = observation.workers.get(worker)
    return view.exit.known.batch if view and isinstance(view.exit, Known) else None


def _off_device(observation: Observation, job: JobView, memory: Memory) -> tuple[list[Proposal], Memory]:
    """A job that ran on the CPU again and again is held; after that it has one try."""
    times = memory.fallbacks[job.job]
    if times < FALLBACKS:
        return [], memory
    until = observation.now + observation.swarm.config.gpu.retry_s
    why = "it ran on the CPU again although it asked for a GPU"
    held = ASK.asks(HoldSubject(job.job, "cpu_fallback", why, until=until), why, f"jobs.{job.job}.attempts")
    return [held], replace(memory, fallbacks={**memory.fallbacks, job.job: FALLBACKS - 1})


def _lanes(observation: Observation) -> list[Proposal]:
    """Holds of lanes whose workers failed in the way that is the lane's, ends of holds whose time has passed."""
    found: list[Proposal] = []
    suspects: set[str] = set()
    for job in observation.jobs.values():
        if job.attempts and job.attempts[-1].class_ in LANE_CLASSES:
            suspects.add(lane_of(job.attempts[-1].worker))
    for lane in observation.lanes.values():
        if lane.hold is not None:
            if lane.hold.over(observation.now):
                found.append(_over(lane.lane, lane.hold.class_))
        elif lane.lane in suspects and lane.state == "open" and lane.kind == "gpu":
            found += _quarantine(observation, lane.lane, lane.since)
    return found


def _quarantine(observation: Observation, lane: str, since: float) -> Iterator[Proposal]:
    """`since`: when the lane opened; an older failure was answered by the quarantine before."""
    ends = [one for job in observation.jobs.values() for one in job.attempts if lane_of(one.worker) == lane]
    ends.sort(key=lambda one: (one.at, one.worker))
    class_ = ends[-1].class_
    after = LANE_CLASSES.get(class_, 0)
    row = ends[-after:] if after else []
    if not row or len(row) < after or any(one.class_ != class_ for one in row) or ends[-1].at < since:
        return
    why = f"{after} workers in a row ended with {class_}" if after > 1 else f"{ends[-1].worker} ended with {class_}"
    until = observation.now + observation.swarm.config.gpu.retry_s
    yield ASK.asks(HoldSubject(lane, class_, why, until=until), why, *(f"workers.{one.worker}" for one in row))


def _over(subject: str, class_: str) -> Proposal:
    return ASK.asks(ReleaseHold(subject, class_), "the time of its hold has passed", f"holds.{subject}#{class_}")


def _released(observation: Observation) -> Iterator[Proposal]:
    """What a person released."""
    for subject in observation.swarm.desired.release:
        lane, job, agent = (
            observation.lanes.get(subject),
            observation.jobs.get(subject),
            observation.agents.get(subject),
        )
        holds = [one.hold for one in (lane, job) if one and one.hold]
        holds += [agent.quarantine] if agent and agent.quarantine else []
        classes = {one.class_ for one in holds}
        classes |= {hold.class_ for name, hold in observation.holds.items() if name.rpartition("#")[0] == subject}
        for class_ in sorted(classes):
            yield ASK.asks(ReleaseHold(subject, class_), "a person released it", "swarm.desired.release")


def _suspicious(observation: Observation, engine: Sequence[WorkerView], memory: Memory) -> Iterator[Proposal]:
    """Workers that go on, but not as they should: no seeds, a slow device, code of another version."""
    build, drifted = observation.swarm.build, []
    for view in [view for view in engine if view.record.state in WORKING]:
        job = observation.jobs.get(view.job)
        if job is None:
            continue
        if build and view.record.build != build:
            drifted.append(view.worker)
        if (why := _unseeded(observation, job, view)) and not told(observation, "no_seeds", view.worker):
            yield ASK.asks(OpenIncident("no_seeds", view.worker, why=why), why, f"workers.{view.worker}.progress.seeds")
        if (why := _sluggish(observation, job, view, memory)) and not told(observation, "slow_kernel", view.worker):
            fact = f"workers.{view.worker}.progress.rate"
            yield ASK.asks(OpenIncident("slow_kernel", view.worker, (fact,), why, "warning"), why, fact)
    if drifted and not told(observation, "drift", SWARM):
        why = f"{min(drifted)} and {len(drifted) - 1} others run code or packages other than {build}"
        facts = (f"workers.{min(drifted)}.build",)
        yield ASK.asks(OpenIncident("drift", SWARM, facts, why, "warning"), why, *facts)


def _unseeded(observation: Observation, job: JobView, view: WorkerView) -> str:
    """A worker says which seeds it loaded before its first trial, and by the end of its time to start."""
    if job.spec.stage != "optimize" or not isinstance(view.progress, Known) or view.progress.known.seeds:
        return ""
    if view.progress.known.phase == "trial":
        return "it takes trials without phase-0 seeds"
    late_s = observation.now - view.record.start_due
    late = view.record.start_due and late_s >= 0
    return f"no phase-0 seeds {late_s:.0f} s after its time to start" if late else ""


def _sluggish(observation: Observation, job: JobView, view: WorkerView, memory: Memory) -> str:
    if not job.spec.gpu or not isinstance(view.progress, Known):
        return ""
    rate = gpu_path.screened_per_s(job, view.progress.known)
    best = memory.best.get(view.record.gpu_uuid, 0.0)
    return gpu_path.slow(rate, best, observation.swarm.config) if rate is not None else ""


def _remember(observation: Observation, engine: Sequence[WorkerView], memory: Memory) -> Memory:
    """Who began when, and the best of each device; what is gone is forgotten."""
    workers, mono = observation.workers, observation.mono
    known = memory.began
    running = [view.record.worker for view in engine if view.record.state == "running"]
    fresh = {name: mono for name in running if not known.get(name, mono + 1.0) <= mono}
    if fresh or not known.keys() <= workers.keys():
        memory = replace(memory, began={name: at for name, at in known.items() if name in workers} | fresh)
    if any(job not in observation.jobs for job in memory.fallbacks):
        memory = replace(memory, fallbacks={job: n for job, n in memory.fallbacks.items() if job in observation.jobs})
    return _best(observation, memory)


def _best(observation: Observation, memory: Memory) -> Memory:
    best = dict(memory.best)
    for view in observation.workers.values() if observation.gpus else ():
        job = observation.jobs.get(view.job)
        if job and job.spec.gpu and view.record.gpu_uuid and isinstance(view.progress, Known):
            rate = gpu_path.screened_per_s(job, view.progress.known) or 0.0
            best[view.record.gpu_uuid] = max(rate, best.get(view.record.gpu_uuid, 0.0))
    return replace(memory, best=best) if best != memory.best else memory


def _counted(counts: Mapping[str, int], name: str) -> dict[str, int]:
    return {**counts, name: counts.get(name, 0) + 1}


AGENT = Agent("worker_sentry", Memory, propose)
