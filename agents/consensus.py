"""consensus: who wins when agents disagree, how much is done in one cycle, and how well the swarm does.

Watches all proposals of a cycle. It proposes nothing.
Silent: never: every proposal is accepted or refused with a reason.

Precedence and caps are the rows of PRECEDENCE and CAPS. Within a row a stop comes before a start, then subject, action,
agent decide, so the order in which agents were asked means nothing. One action per subject and cycle; what a stop has
touched starts nothing in the same cycle. Notes (incidents above all) touch nothing and always stand beside an action.

Scores, 0..1, worked out once per tick; None while there is nothing to divide by:

    deviation    subjects not as desired / all subjects: living workers (being stopped or lost), unfinished jobs (held),
                 devices (not seen to be ok), state files (not valid or old), agents (set aside), buckets excluded
    performance  mean over units (combos/s, trials/s) of this hour's mean throughput / the best hour of the last 24
    efficiency   CPU used by our workers x share of it reserved by workers in their work loops / CPU reserved
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ..state.models.actions import (
    MAX_SPAWNS,
    NOTES,
    RULES,
    Decision,
    EnqueueJobs,
    HoldSubject,
    Proposal,
    Refusal,
    ReleaseHold,
    Scores,
    SpawnWorker,
    StopWorker,
)
from ..state.models.facts import Known, Observation
from ..state.models.names import SWARM, is_command, lane_of
from ..state.models.transitions import ENDED_JOBS
from .api import Arbiter, Proposals
from .detectors.placement import spawns_left
from .detectors.trend import flaps

SAFETY_CLASSES: Final = frozenset(("disk_full", "cannot_write", "gpu_hung", "gpu_lost", "cuda_context", "cpu_fallback"))
HOURS: Final = 24
HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Row:
    """One rank of precedence; the first row that fits a proposal is its rank."""

    name: str
    fits: Callable[[Proposal], bool]


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` accepted of a kind in one cycle; the rest comes again with the next observation."""

    kind: str
    most: int
    why: str


def _kind(*kinds: str) -> Callable[[Proposal], bool]:
    return lambda one: one.kind in kinds


def _person(one: Proposal) -> bool:
    stop = isinstance(one.action, StopWorker) and one.action.reason in ("drain", "pause", "cancel")
    return stop or one.kind == "StopInstance" or one.agent == "budget_guard"


def _safety(one: Proposal) -> bool:
    hold = isinstance(one.action, HoldSubject) and one.action.class_ in SAFETY_CLASSES
    return hold or one.kind == "ReleaseBallast"


PRECEDENCE: Final = (
    Row("a person's stop or pause, budget", _person),
    Row("disk and GPU safety", _safety),
    Row("stop worker", _kind("StopWorker")),
    Row("repair", _kind("RewriteState", "RestoreState", "RepairStorage", "RestartProbe", "RebuildBallast", "Hold",
                        "Release", "ReplaceJob")),
    Row("start", _kind("SpawnWorker", "StartRound", "EnqueueJobs")),
    Row("scale", _kind("SetLanes")),
    Row("notes", lambda _one: True),
)  # fmt: skip
CAPS: Final = (
    Cap("SpawnWorker", MAX_SPAWNS, "the rest at once in the next cycle"),
    Cap("OpenIncident", 64, "what lasts is told in the next cycle"),
    Cap("RestartProbe", 4, "one helper after the other"),
    Cap("StartRound", 1, "one round at a time"),
    Cap("SetLanes", 2, "one of each kind"),
)


@dataclass(frozen=True, slots=True)
class Hour:
    """Throughput by unit: sum of rate x seconds, over `seconds`."""

    number: int = 0
    seconds: float = 0.0
    sums: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Memory:
    """`hours`: the last 24 and the running one, oldest first. `at`: when the scores were worked out (monotonic)."""

    hours: tuple[Hour, ...] = ()
    at: float | None = None
    scores: Scores = field(default_factory=Scores)


def arbitrate(observation: Observation, proposals: Proposals, memory: Memory) -> tuple[Decision, Memory]:
    memory = _scored(observation, memory)
    taken: dict[str, Proposal] = {}
    stopped: dict[str, Proposal] = {}
    counts = {cap.kind: cap.most for cap in CAPS}
    counts["SpawnWorker"] = min(MAX_SPAWNS, spawns_left(observation))
    flaps_left = _flaps_left(observation)
    accepted: list[Proposal] = []
    refused: list[Refusal] = []
    for one in sorted(proposals, key=_order):
        kind = one.kind
        why = _unwanted(observation, one) if kind in ("SpawnWorker", "StartRound") else ""
        why = why or _conflict(observation, one, taken, stopped)
        if not why and counts.get(kind, 1) <= 0:
            why = f"enough {kind} for one cycle"
        if not why and kind == "SetLanes" and not flaps_left:
            why = "enough scale changes for this hour"
        if why:
            refused.append(Refusal(one, why))
            continue
        if kind in counts:
            counts[kind] -= 1
        accepted.append(one)
        if kind not in NOTES:
            taken.update(dict.fromkeys(_subjects(one), one))
            if RULES[kind].stops:
                stopped.update(dict.fromkeys(_reach(observation, one), one))
    return Decision(tuple(accepted), tuple(refused), memory.scores), memory


def rank(one: Proposal) -> int:
    """The row of PRECEDENCE it belongs to."""
    return next(n for n, row in enumerate(PRECEDENCE) if row.fits(one))


def _order(one: Proposal) -> tuple[int, bool, str, str, str, str]:
    return rank(one), not RULES[one.kind].stops, one.subject, one.kind, one.agent, _detail(one)


def _detail(one: Proposal) -> str:
    """Tells apart what one agent asks for twice; a round's jobs by the first, since their text is long."""
    if isinstance(one.action, EnqueueJobs):
        return one.action.jobs[0].job if one.action.jobs else ""
    return f"{one.action}{one.reason}"


def _subjects(one: Proposal) -> tuple[str, ...]:
    """What it acts on, by the action itself rather than by what its agent calls it."""
    action = one.action
    if isinstance(action, SpawnWorker):
        return action.lane, action.job
    if isinstance(action, EnqueueJobs):
        return tuple(job.job for job in action.jobs)
    if isinstance(action, StopWorker):
        return (action.worker,)
    if isinstance(action, HoldSubject | ReleaseHold):
        return (action.subject,)
    return (f"round {one.subject}",) if one.kind == "StartRound" else (one.subject,)


def _reach(observation: Observation, one: Proposal) -> Iterator[str]:
    """What a stop closes for starts: the worker, its lane and its job; or what is held."""
    yield from _subjects(one)
    if isinstance(one.action, StopWorker):
        yield lane_of(one.action.worker)
        view = observation.workers.get(one.action.worker)
        if view is not None:
            yield view.job
    elif one.kind == "StopInstance":
        yield SWARM


def _conflict(
    observation: Observation, one: Proposal, taken: Mapping[str, Proposal], stopped: Mapping[str, Proposal]
) -> str:
    """Why it cannot stand beside what was accepted; empty if it can."""
    if one.kind in NOTES:
        return ""
    for subject in _subjects(one):
        if winner := taken.get(subject):
            return f"{winner.kind} of {winner.agent} has {subject} in this cycle"
    if RULES[one.kind].starts and stopped:
        for subject in (*_subjects(one), *_places(observation, one)):
            if winner := stopped.get(subject):
                return f"{winner.kind} of {winner.agent} stops {subject}"
    return ""


def _places(observation: Observation, one: Proposal) -> tuple[str, ...]:
    """Where a start would take place, beyond its own subjects."""
    if isinstance(one.action, SpawnWorker):
        lane = observation.lanes.get(one.action.lane)
        return (SWARM, lane.gpu_uuid) if lane is not None and lane.gpu_uuid else (SWARM,)
    return (SWARM,) if one.kind == "StartRound" else ()


def _unwanted(observation: Observation, one: Proposal) -> str:
    """The last guard: nothing starts against what people asked for, whoever proposes it."""
    desired = observation.swarm.desired
    if desired.life in ("drain", "restart"):
        return f"the swarm is told to {desired.life}"
    if isinstance(one.action, SpawnWorker) and (desired.paused or desired.cancel):
        if observation.paused(one.action.lane, one.action.job):
            return "a person paused it"
        if one.action.job in desired.cancel:
            return "a person stopped this job"
    return ""


def _flaps_left(observation: Observation) -> bool:
    return flaps(observation.buckets.flap, observation.mono, observation.swarm.config.scale) >= 1.0


def _scored(observation: Observation, memory: Memory) -> Memory:
    """The scores of this tick; between ticks those of the last one stand."""
    span_s = observation.swarm.config.cycle.tick_s
    passed = span_s if memory.at is None or memory.at > observation.mono else observation.mono - memory.at
    if passed < span_s:
        return memory
    hours = _hours(observation, memory.hours, min(passed, 3 * span_s))
    scores = Scores(deviation(observation), performance(hours), efficiency(observation))
    return replace(memory, hours=hours, at=observation.mono, scores=scores)


def deviation(observation: Observation) -> float | None:
    """Share of subjects that are not as desired."""
    workers = [view.record.state in ("stopping", "lost") for view in observation.workers.values() if view.record.living]
    jobs = [job.hold is not None for job in observation.jobs.values() if job.state not in ENDED_JOBS]
    gpus = [not isinstance(gpu.state, Known) or gpu.state.known != "ok" for gpu in observation.gpus.values()]
    files = [
        not view.valid or bool(view.fault) or (view.limit_s or 0.0) < (view.age_s or 0.0)
        for view in observation.files.values()
        if view.limit_s is not None or not view.valid
    ]
    agents = [agent.quarantine is not None for agent in observation.agents.values()]
    every = [*workers, *jobs, *gpus, *files, *agents]
    return sum(every) / len(every) if every else None


def performance(hours: Sequence[Hour]) -> float | None:
    """This hour's throughput against the best of the last 24, mean over the units that are at work now."""
    if not hours:
        return None
    now = hours[-1]
    shares = []
    for unit, total in now.sums.items():
        best = max(hour.sums.get(unit, 0.0) / hour.seconds for hour in hours if hour.seconds > 0)
        if best > 0:
            shares.append(total / now.seconds / best)
    return sum(shares) / len(shares) if shares else None


def efficiency(observation: Observation) -> float | None:
    """CPU seconds in work loops / CPU seconds reserved, over the window of the CPU reading."""
    ours = observation.host.cpu_ours
    engine = [view for view in observation.workers.values() if view.record.living and not is_command(view.job)]
    reserved = sum(view.record.claims.cpus for view in engine)
    if not isinstance(ours, Known) or reserved <= 0:
        return None
    working = sum(view.record.claims.cpus for view in engine if view.record.state == "running")
    used = ours.known / 100.0 * observation.host.cpus
    return min(1.0, used * (working / reserved) / reserved)


def _hours(observation: Observation, hours: tuple[Hour, ...], passed_s: float) -> tuple[Hour, ...]:
    """The running hour with the rates of this tick added."""
    number = int(observation.now // HOUR_S)
    now = hours[-1] if hours and hours[-1].number == number else Hour(number)
    sums = dict(now.sums)
    for view in observation.workers.values():
        if isinstance(view.progress, Known) and view.progress.known.rate and view.record.state == "running":
            unit = view.progress.known.unit
            sums[unit] = sums.get(unit, 0.0) + view.progress.known.rate * passed_s
    kept = tuple(hour for hour in hours if number - HOURS <= hour.number < number)
    return (*kept, Hour(number, now.seconds + passed_s, sums))


AGENT = Arbiter("consensus", Memory, arbitrate)
