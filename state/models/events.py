"""One line of `workflow_events.log`: its fields, its kinds, and what each kind carries in `data`.

An event that changes a record carries the result (the new state, the new level, the new time), never the inputs of a
computation: replaying a log of an older build gives what that build decided. A kind in `CHANGES` has a reducer in
state/replay.py; every other kind only tells. docs/EVENTS.md is the table for readers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .event_data import (
    AgentFailed,
    AgentLoaded,
    ClockJumped,
    CommandAccepted,
    DaemonStarted,
    Held,
    HoldReleased,
    IncidentDetected,
    IncidentStep,
    JobFinished,
    JobGated,
    JobQueued,
    JobReplaced,
    JobsQueued,
    LaneOpened,
    ProbeChanged,
    RoundFinished,
    RoundStarted,
    Scaled,
    WorkerExited,
    WorkerSpawning,
    WorkerStarted,
    WorkerStopping,
)

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


@dataclass(frozen=True, slots=True)
class KindRule:
    """`severity`: unless the writer says otherwise. `folds`: equal ones within a minute become one line."""

    severity: Severity = "info"
    folds: bool = False
    data: Any = None
    """The TypedDict of `data` (event_data.py) for a kind that changes records; None: it only tells, `data` is free."""


KINDS: Final[Mapping[Kind, KindRule]] = {
    "daemon.started": KindRule(data=DaemonStarted),
    "daemon.adopted": KindRule(),
    "daemon.overslept": KindRule("warning"),
    "daemon.stopped": KindRule(),
    "cycle.summary": KindRule("debug"),
    "cycle.slow": KindRule("warning", folds=True),
    "agent.loaded": KindRule(data=AgentLoaded),
    "agent.raised": KindRule("error", data=AgentFailed),
    "agent.overran": KindRule("warning", data=AgentFailed),
    "agent.quarantined": KindRule("error", data=Held),
    "proposal.refused": KindRule("debug", folds=True),
    "worker.spawning": KindRule(data=WorkerSpawning),
    "worker.started": KindRule(data=WorkerStarted),
    "worker.adopted": KindRule(data=WorkerStarted),
    "worker.stopping": KindRule(data=WorkerStopping),
    "worker.exited": KindRule(data=WorkerExited),
    "worker.unkillable": KindRule("critical", data=dict),
    "orphan.killed": KindRule("warning"),
    "job.queued": KindRule(data=JobsQueued | JobQueued),
    "job.gated": KindRule(data=JobGated),
    "job.finished": KindRule(data=JobFinished),
    "job.held": KindRule("warning", data=Held),
    "job.replaced": KindRule("warning", data=JobReplaced),
    "lane.opened": KindRule(data=LaneOpened),
    "lane.closed": KindRule(data=dict),
    "lane.quarantined": KindRule("error", data=Held),
    "lane.restored": KindRule(data=dict),
    "gpu.changed": KindRule("warning"),
    "probe.silent": KindRule("warning", data=ProbeChanged),
    "probe.restored": KindRule(data=ProbeChanged),
    "scale.up": KindRule(data=Scaled),
    "scale.down": KindRule(data=Scaled),
    "round.started": KindRule(data=RoundStarted),
    "round.finished": KindRule(data=RoundFinished),
    "incident.detected": KindRule("error", data=IncidentDetected),
    "incident.classified": KindRule(data=IncidentStep),
    "incident.executed": KindRule(data=IncidentStep),
    "incident.verified": KindRule(data=IncidentStep),
    "incident.escalated": KindRule("critical", data=IncidentStep),
    "incident.closed": KindRule(data=IncidentStep),
    "hold.set": KindRule("warning", data=Held),
    "hold.released": KindRule(data=HoldReleased),
    "command.accepted": KindRule(data=CommandAccepted),
    "command.refused": KindRule("warning", folds=True),
    "state.quarantined": KindRule("error"),
    "state.restored": KindRule("warning"),
    "state.refused": KindRule("error"),
    "storage.repaired": KindRule("warning"),
    "disk.full": KindRule("critical", folds=True),
    "disk.restored": KindRule(),
    "clock.jumped": KindRule("warning", data=ClockJumped),
    "budget.warned": KindRule("warning", folds=True),
    "budget.stopped": KindRule("critical"),
    "log.recovered": KindRule("warning"),
    "log.rotated": KindRule(),
}
CHANGES: Final = frozenset(kind for kind, rule in KINDS.items() if rule.data is not None)
"""Kinds whose events change records."""
