"""One line of `workflow_events.log`: its fields, its kinds, and what each kind carries in `data`.

An event that changes a record carries the result (the new state, the new level, the new time), never the inputs of a
computation: replaying a log of an older build gives what that build decided. A kind in `CHANGES` has a reducer in
state/replay.py; every other kind only tells. docs/EVENTS.md is the table for readers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NotRequired, TypedDict

VERSION: Final = 1
MAX_LINE: Final = 4096
"""Bytes of one line with its newline."""

Severity = Literal["debug", "info", "warning", "error", "critical"]
Kind = Literal[
    "daemon.started", "daemon.adopted", "daemon.overslept", "daemon.stopped",
    "cycle.summary", "cycle.slow",
    "agent.loaded", "agent.raised", "agent.overran", "agent.quarantined",
    "proposal.refused",
    "worker.spawning", "worker.started", "worker.adopted", "worker.stopping", "worker.exited", "worker.unkillable",
    "orphan.killed",
    "job.queued", "job.gated", "job.finished", "job.held", "job.replaced",
    "lane.opened", "lane.closed", "lane.quarantined", "lane.restored",
    "gpu.changed", "probe.silent", "probe.restored",
    "scale.up", "scale.down", "round.started", "round.finished",
    "incident.detected", "incident.classified", "incident.executed", "incident.verified", "incident.escalated",
    "incident.closed",
    "hold.set", "hold.released", "command.accepted", "command.refused",
    "state.quarantined", "state.restored", "state.refused", "storage.repaired",
    "disk.full", "disk.restored", "clock.jumped", "budget.warned", "budget.stopped",
    "log.recovered", "log.rotated",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """A written event; the order of the fields is that of the line. `ts` UTC seconds, `mono` monotonic seconds.

    `boot` is the epoch in which `mono` counts. `cause_seq`: the event this one follows from. `count`: how many equal
    ones this line stands for.
    """

    v: int
    seq: int
    ts: float
    mono: float
    boot: str
    run: str
    cycle: int
    agent: str
    kind: Kind
    severity: Severity
    subject: str
    cause_seq: int | None
    outcome: str
    dur_ms: float | None
    count: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """An event before it has a number and a time. An empty severity is the kind's own."""

    kind: Kind
    subject: str
    data: Mapping[str, Any] = field(default_factory=dict)
    cause_seq: int | None = None
    agent: str = "cycle"
    outcome: str = ""
    severity: Severity | Literal[""] = ""
    dur_ms: float | None = None


class HoldData(TypedDict):
    """`class`, and exactly one of `until` (UTC seconds) and `needs`."""

    reason: str
    until: float | None
    needs: str | None


class Started(TypedDict):
    epoch: str
    build: str
    config: str
    pid: int
    versions: NotRequired[dict[str, str]]
    start: NotRequired[Literal["fresh", "crash", "restart", "reboot"]]  # fmt: skip


"""daemon.started. `config`: digest. A new epoch keeps the levels of all buckets and begins their time anew."""


class AgentLoaded(TypedDict):
    source: str
    quarantined: NotRequired[bool]


class AgentFailed(TypedDict):
    error: str
    failures: int


"""agent.raised, agent.overran (with `failures` only when it was interrupted)."""


class AgentQuarantined(TypedDict):
    hold: dict[str, Any]


class Spawning(TypedDict):
    job: str
    token: str
    epoch: str
    build: str
    log: str
    start_due: float
    claims: NotRequired[dict[str, Any]]
    gpu_uuid: NotRequired[str]
    spawn: NotRequired[float]
    restarts: NotRequired[dict[str, Any]]  # fmt: skip


"""worker.spawning, the intent. Subject: the worker. `spawn`: level of the spawn bucket left, `restarts`: the job's."""


class WorkerStarted(TypedDict):
    pid: int
    start_ticks: int
    state: NotRequired[str]


"""worker.started, worker.adopted: the identity. `state`: starting, or running for a command job."""


class Stopping(TypedDict):
    rung: int
    reason: str
    due: float


WorkerExited = TypedDict("WorkerExited", {
    "state": Literal["exited", "reaped", "failed"], "class": str, "code": int | None, "steps": NotRequired[int],
    "checkpoint": NotRequired[int | None], "life_s": NotRequired[float], "message": NotRequired[str],
    "peak_mem_mb": NotRequired[int], "job": NotRequired[dict[str, Any]], "restarts": NotRequired[dict[str, Any]],
})  # fmt: skip
"""worker.exited. `reaped` passes through exited. `job`: what becomes of its job at once, as in job.queued and job.held
(`{"state", "not_before", "hold"}`); without it the job stays running until a job.* event. `restarts`: its budget."""


class Unkillable(TypedDict):
    pids: list[int]


class JobsQueued(TypedDict):
    jobs: list[dict[str, Any]]


"""job.queued for new jobs, as many as fit one line. Subject: the round (`r3`) or `cmd`. Each is a NewJob as JSON."""


class JobQueued(TypedDict):
    not_before: float
    why: str
    spec: NotRequired[dict[str, Any]]
    restarts: NotRequired[dict[str, Any]]  # fmt: skip


"""job.queued for one job that runs, waits or is held: queued (again). `spec`: replaces its own."""


class JobGated(TypedDict):
    gate: str
    met: str
    evidence: str
    queued: NotRequired[list[str]]
    cancelled: NotRequired[list[str]]  # fmt: skip


"""job.gated. `queued`: waiting jobs this lets go; `cancelled`: jobs it closes for the round."""


class JobFinished(TypedDict):
    state: Literal["done", "cancelled"]
    artifacts: NotRequired[list[str]]
    queued: NotRequired[list[str]]
    steps: NotRequired[int]
    life_s: NotRequired[float]  # fmt: skip


"""job.finished. `queued`: jobs that waited for this one only."""


class JobHeld(TypedDict):
    hold: dict[str, Any]


class JobReplaced(TypedDict):
    by: dict[str, Any]


"""job.replaced. `by`: the smaller job, a NewJob as JSON, queued by the same event."""


class LaneOpened(TypedDict):
    kind: str
    role: str
    gpu_uuid: NotRequired[str]
    claims: NotRequired[dict[str, Any]]  # fmt: skip


class LaneQuarantined(TypedDict):
    hold: dict[str, Any]


Scaled = TypedDict("Scaled", {
    "kind": str, "from": int, "to": int, "role": str, "lanes": list[str], "flap": NotRequired[float],
})  # fmt: skip
"""scale.up opens `lanes`, scale.down lets them drain; `flap`: level left of the bucket."""


class RoundStarted(TypedDict):
    round: int
    run: str
    plan_sha256: str
    seed: NotRequired[int]


"""round.started. Ended jobs of earlier rounds leave the queue."""

IncidentDetected = TypedDict("IncidentDetected", {
    "class": str, "why": str, "evidence": NotRequired[list[int | str]], "due": NotRequired[float | None],
})  # fmt: skip
"""incident.detected. Subject of all incident events: the thing that is wrong. The incident is `i<seq>` of this one."""


class IncidentStep(TypedDict):
    incident: str
    action: NotRequired[str]
    seen: NotRequired[Any]
    why: NotRequired[str]
    due: NotRequired[float | None]
    needs: NotRequired[str]  # fmt: skip


"""incident.classified, executed, verified, escalated, closed. `seen`: the value that verification saw."""


class HoldSet(TypedDict):
    hold: dict[str, Any]


"""hold.set. Subject: a job, lane, GPU uuid, or `swarm`."""
HoldReleased = TypedDict("HoldReleased", {"class": str, "why": str})
"""hold.released. Also ends an agent's quarantine (subject: the agent). A held job is queued again."""


class CommandAccepted(TypedDict):
    id: str
    cmd: str
    args: dict[str, Any]
    desired: NotRequired[dict[str, Any]]  # fmt: skip


"""command.accepted. `desired`: the fields of Desired that it changes."""


class Probe(TypedDict):
    why: NotRequired[str]
    state: NotRequired[str]
    restarts: NotRequired[int]


class Opened(TypedDict):
    action: str
    subject: str
    done_when: str
    due: float
    incident: NotRequired[str]
    agent: NotRequired[str]
    args: NotRequired[dict[str, Any]]  # fmt: skip


"""`data.opens` of any event: an open item `v<seq>` begins. `data.closes` of any event: ids of items that end."""


@dataclass(frozen=True, slots=True)
class KindRule:
    """`severity`: unless the writer says otherwise. `folds`: equal ones within a minute become one line."""

    severity: Severity = "info"
    folds: bool = False
    data: Any = None
    """The TypedDict of `data` for a kind that changes records; None: it only tells, `data` is free."""


KINDS: Final[Mapping[Kind, KindRule]] = {
    "daemon.started": KindRule(data=Started),
    "daemon.adopted": KindRule(),
    "daemon.overslept": KindRule("warning"),
    "daemon.stopped": KindRule(),
    "cycle.summary": KindRule("debug"),
    "cycle.slow": KindRule("warning", folds=True),
    "agent.loaded": KindRule(data=AgentLoaded),
    "agent.raised": KindRule("error", data=AgentFailed),
    "agent.overran": KindRule("warning", data=AgentFailed),
    "agent.quarantined": KindRule("error", data=AgentQuarantined),
    "proposal.refused": KindRule("debug", folds=True),
    "worker.spawning": KindRule(data=Spawning),
    "worker.started": KindRule(data=WorkerStarted),
    "worker.adopted": KindRule(data=WorkerStarted),
    "worker.stopping": KindRule(data=Stopping),
    "worker.exited": KindRule(data=WorkerExited),
    "worker.unkillable": KindRule("critical", data=Unkillable),
    "orphan.killed": KindRule("warning"),
    "job.queued": KindRule(data=JobQueued),
    "job.gated": KindRule(data=JobGated),
    "job.finished": KindRule(data=JobFinished),
    "job.held": KindRule("warning", data=JobHeld),
    "job.replaced": KindRule("warning", data=JobReplaced),
    "lane.opened": KindRule(data=LaneOpened),
    "lane.closed": KindRule(data=dict),
    "lane.quarantined": KindRule("error", data=LaneQuarantined),
    "lane.restored": KindRule(data=dict),
    "gpu.changed": KindRule("warning"),
    "probe.silent": KindRule("warning", data=Probe),
    "probe.restored": KindRule(data=Probe),
    "scale.up": KindRule(data=Scaled),
    "scale.down": KindRule(data=Scaled),
    "round.started": KindRule(data=RoundStarted),
    "round.finished": KindRule(),
    "incident.detected": KindRule("error", data=IncidentDetected),
    "incident.classified": KindRule(data=IncidentStep),
    "incident.executed": KindRule(data=IncidentStep),
    "incident.verified": KindRule(data=IncidentStep),
    "incident.escalated": KindRule("critical", data=IncidentStep),
    "incident.closed": KindRule(data=IncidentStep),
    "hold.set": KindRule("warning", data=HoldSet),
    "hold.released": KindRule(data=HoldReleased),
    "command.accepted": KindRule(data=CommandAccepted),
    "command.refused": KindRule("warning", folds=True),
    "state.quarantined": KindRule("error"),
    "state.restored": KindRule("warning"),
    "state.refused": KindRule("error"),
    "storage.repaired": KindRule("warning"),
    "disk.full": KindRule("critical", folds=True),
    "disk.restored": KindRule(),
    "clock.jumped": KindRule("warning"),
    "budget.warned": KindRule("warning", folds=True),
    "budget.stopped": KindRule("critical"),
    "log.recovered": KindRule("warning"),
    "log.rotated": KindRule(),
}
CHANGES: Final = frozenset(kind for kind, rule in KINDS.items() if rule.data is not None)
"""Kinds whose events change records."""
