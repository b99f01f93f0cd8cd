"""session_state_manager: continuity: what state the run is in, what comes next, and what is expected to come of it.

Watches the whole: holds, incidents, jobs that cannot start, files, utilisation with a queue, workers that are missing
or get nowhere. Its memory is what `query` tells: stage, health, conditions, next steps.
Asks for: Hold and Release of the swarm (disk), incidents of what no other agent sees: no_worker, stalled,
low_utilisation.
Silent: on utilisation that could not be read; about disks whose reading is missing; in a cycle between two ticks that
only ends of workers woke.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..state.models.actions import HoldSubject, OpenIncident, Proposal, ReleaseHold
from ..state.models.facts import Known, Missing, Observation, WorkerView
from ..state.models.names import STAGES, SWARM, is_command
from ..state.models.records import NextStep
from .api import Agent, Proposals, Voice
from .detectors.incidents import told
from .detectors.news import only_ends
from .detectors.placement import closed, startables
from .detectors.steps import next_steps
from .detectors.trend import lasting, past
from .detectors.use import cpu_pct, gpu_pct

ASK: Final = Voice("session_state_manager")
DISK: Final = "disk_full"
DISK_RELEASE: Final = 1.1
"""Free space over the floor, as a factor of it, at which the hold ends."""
NO_WORKER_S: Final = 30.0
STALLED_S: Final = 1800.0
LOW_S: Final = 600.0
EFFICACY_S: Final = 300.0
EFFICACY_LOW: Final = 0.5
"""Share of engine workers in their work loops."""
OUTSIDE_WORK: Final = ("start", "load", "write")


@dataclass(frozen=True, slots=True)
class Memory:
    """`since` of what must last before it is told, monotonic. The rest is for `query` and scripts."""

    stage: str = "idle"
    health: str = "ok"
    conditions: Mapping[str, bool] = field(default_factory=dict)
    next_steps: tuple[NextStep, ...] = ()
    since: Mapping[str, float] = field(default_factory=dict)


def propose(observation: Observation, memory: Memory) -> tuple[Proposals, Memory]:
    if only_ends(observation):
        return (), memory
    queue = bool(startables(observation))
    since = _timers(observation, memory.since, queue)
    found = [*_disk(observation), *_over(observation), *_lasting(observation, since)]
    conditions = _conditions(observation, since)
    steps = next_steps(observation, gpu_skipped=conditions["skip_gpu_actions_no_gpu_detected"])
    return found, Memory(_stage(observation), _health(observation), conditions, steps, since)


def _timers(observation: Observation, old: Mapping[str, float], queue: bool) -> dict[str, float]:
    """Since when each of what must last has been so; what is not so is absent."""
    mono, targets = observation.mono, observation.swarm.config.targets
    band = 1.0 - observation.swarm.config.scale.band_pct / 100.0
    living = [view for view in observation.workers.values() if view.record.living]
    engine = [view for view in living if view.record.state == "running" and not is_command(view.job)]
    cpu, gpu = cpu_pct(observation), gpu_pct(observation)
    so = {
        "no_worker": queue and not living and not closed(observation),
        "stalled": bool(engine) and all(view.quiet_s >= STALLED_S for view in engine),
        "low_cpu": queue and isinstance(cpu, Known) and cpu.known < band * targets.cpu_pct,
        "low_gpu": queue and isinstance(gpu, Known) and gpu.known < band * targets.gpu_pct,
        "efficacy": bool(engine) and _share_at_work(engine) < EFFICACY_LOW,
    }
    since = {name: lasting(old.get(name), holds, mono) for name, holds in so.items()}
    return {name: at for name, at in since.items() if at is not None}


def _share_at_work(engine: list[WorkerView]) -> float:
    return sum(_at_work(view) for view in engine) / len(engine)


def _at_work(view: WorkerView) -> bool:
    return isinstance(view.progress, Missing) or view.progress.known.phase not in OUTSIDE_WORK


def _lasting(observation: Observation, since: Mapping[str, float]) -> Iterator[Proposal]:
    """What has lasted long enough to be wrong."""
    cases = (
        ("no_worker", "no_worker", SWARM, NO_WORKER_S, "jobs could start and no worker lives"),
        ("stalled", "stalled", SWARM, 0.0, f"no engine worker took a step for {STALLED_S:.0f} s"),
        ("low_cpu", "low_utilisation", "cpu", LOW_S, "the CPU is under its target while work is queued"),
        ("low_gpu", "low_utilisation", "gpu", LOW_S, "the GPUs are under their target while work is queued"),
    )
    for name, class_, subject, limit_s, why in cases:
        if past(since.get(name), observation.mono, limit_s) and not told(observation, class_, subject):
            fact = {"cpu": "host.cpu_ours", "gpu": "gpus"}.get(subject, "workers")
            yield ASK.asks(OpenIncident(class_, subject, (fact,), why, "warning"), why, fact)


def _disk(observation: Observation) -> Iterator[Proposal]:
    """Nothing starts on a full disk; the hold ends by itself once there is room for good."""
    floor_mb = observation.swarm.config.disk.floor_mb
    held = observation.held(SWARM, DISK)
    roomy = True
    for root, disk in observation.host.disk.items():
        unwritable = isinstance(disk.writable, Known) and not disk.writable.known
        low = isinstance(disk.free_mb, Known) and disk.free_mb.known < floor_mb
        if (unwritable or low) and held is None:
            why = f"{root} cannot be written" if unwritable else f"free space for {root} is under {floor_mb} MB"
            hold = HoldSubject(SWARM, DISK, why, needs=f"free space where {root} lies: {floor_mb} MB are kept")
            yield ASK.asks(hold, why, f"host.disk.{root}")
            return
        enough = isinstance(disk.free_mb, Known) and disk.free_mb.known >= DISK_RELEASE * floor_mb
        roomy = roomy and enough and not unwritable
    if held is not None and roomy and not observation.host.log_backlog:
        yield ASK.asks(ReleaseHold(SWARM, DISK), "there is room again", "host.disk")


def _over(observation: Observation) -> Iterator[Proposal]:
    for name, hold in observation.holds.items():
        if name.startswith(f"{SWARM}#") and hold.over(observation.now):
            yield ASK.asks(ReleaseHold(SWARM, hold.class_), "the time of its hold has passed", f"holds.{name}")


def _conditions(observation: Observation, since: Mapping[str, float]) -> dict[str, bool]:
    """By the names that scripts look for."""
    knowledge = observation.knowledge
    ready = isinstance(knowledge, Known) and bool(knowledge.known.get("ready", True))
    return {
        "skip_gpu_actions_no_gpu_detected": not observation.gpus,
        "knowledge_plane_not_ready": not ready,
        "process_efficacy_low": past(since.get("efficacy"), observation.mono, EFFICACY_S),
        "latest_handoff_recent": any(
            gate.gate == "latest_handoff_recent" and gate.met == "met" for gate in observation.run_gates
        ),
    }


def _stage(observation: Observation) -> str:
    """The earliest stage that main work is at; where none runs, the earliest that waits."""
    main = [job for job in observation.jobs.values() if job.spec.lane_role == "main" and job.spec.stage]
    for states in (("running",), ("queued", "waiting", "held")):
        at = {job.spec.stage for job in main if job.state in states}
        for stage in STAGES:
            if stage in at:
                return stage
    return "idle"


def _health(observation: Observation) -> str:
    if any(one.severity == "critical" or one.state == "escalated" for one in observation.incidents.values()):
        return "critical"
    return "degraded" if observation.incidents or observation.holds else "ok"


AGENT = Agent("session_state_manager", Memory, propose)
