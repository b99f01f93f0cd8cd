"""What agents may ask for: the actions with their arguments, who may propose each, and what counts as done.

An agent proposes, consensus accepts or refuses, the orchestrator orders, the executor carries out, verify looks again.
In JSON an action is `{"kind": ..., "args": {...}}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import orjson
from pydantic import TypeAdapter, ValidationError

from ..errors import BadConfig
from ..wire import encode
from .names import SWARM, LaneKind
from .records import STRICT, Class, JobSpec, Rung

_ADAPTERS: Final[dict[type[Any], TypeAdapter[Any]]] = {}
MAX_PROPOSALS: Final = 256
"""Of one agent in one cycle."""
MAX_SPAWNS: Final = 32
"""In one cycle; the rest at once in the next."""

StopReason = Literal["drain", "scale", "budget", "pause", "stuck", "stopped", "twin", "orphan", "fallback", "cancel"]
FIRST_RUNG: Final[Mapping[StopReason, Rung]] = {
    "drain": 1, "scale": 1, "budget": 1, "pause": 1, "cancel": 1, "fallback": 1,
    "stuck": 2,
    "stopped": 3, "twin": 3, "orphan": 3,
}  # fmt: skip
"""Where the ladder begins. `stopped` is state T; `fallback` a GPU job on the CPU."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be put into the queue: waiting while `after` is not empty, else queued."""

    __pydantic_config__ = STRICT

    job: str
    spec: JobSpec
    priority: int = 0
    after: tuple[str, ...] = ()
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class SpawnWorker:
    __pydantic_config__ = STRICT

    lane: str
    job: str


@dataclass(frozen=True, slots=True)
class StopWorker:
    __pydantic_config__ = STRICT

    worker: str
    rung: Rung
    reason: StopReason


@dataclass(frozen=True, slots=True)
class ReplaceJob:
    """`volume`: what the smaller job gets, by the fields of `Volume`."""

    __pydantic_config__ = STRICT

    job: str
    volume: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EnqueueJobs:
    __pydantic_config__ = STRICT

    jobs: tuple[NewJob, ...]


@dataclass(frozen=True, slots=True)
class StartRound:
    __pydantic_config__ = STRICT

    round: int


@dataclass(frozen=True, slots=True)
class SetLanes:
    """`n` lanes of `kind` open for fill work and main work together."""

    __pydantic_config__ = STRICT

    kind: LaneKind
    n: int


@dataclass(frozen=True, slots=True)
class HoldSubject:
    """Kind `Hold`. `subject`: a job, lane, GPU uuid or `swarm`. Exactly one of `until` and `needs`."""

    __pydantic_config__ = STRICT

    subject: str
    class_: Class
    reason: str
    until: float | None = None
    needs: str | None = None


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """Kind `Release`. Only the hold of this class: others on the same subject stay."""

    __pydantic_config__ = STRICT

    subject: str
    class_: Class


@dataclass(frozen=True, slots=True)
class OpenIncident:
    __pydantic_config__ = STRICT

    class_: Class
    subject: str
    evidence: tuple[int | str, ...] = ()
    why: str = ""
    severity: Literal["warning", "error", "critical"] = "error"


@dataclass(frozen=True, slots=True)
class RecordHypothesis:
    __pydantic_config__ = STRICT

    entry: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RestartProbe:
    __pydantic_config__ = STRICT

    name: str


@dataclass(frozen=True, slots=True)
class RepairStorage:
    __pydantic_config__ = STRICT

    path: str


@dataclass(frozen=True, slots=True)
class RewriteState:
    """Write the file again from what the daemon knows; what lies there is quarantined beside it."""

    __pydantic_config__ = STRICT

    file: str


@dataclass(frozen=True, slots=True)
class RestoreState:
    """Take the previous good copy of a file that the daemon cannot make again by itself (an agent's memory)."""

    __pydantic_config__ = STRICT

    file: str


@dataclass(frozen=True, slots=True)
class ReleaseBallast:
    __pydantic_config__ = STRICT


@dataclass(frozen=True, slots=True)
class RebuildBallast:
    __pydantic_config__ = STRICT


@dataclass(frozen=True, slots=True)
class WriteNotes:
    __pydantic_config__ = STRICT

    file: str
    block: str


@dataclass(frozen=True, slots=True)
class StopInstance:
    __pydantic_config__ = STRICT


Action: TypeAlias = (
    SpawnWorker | StopWorker | ReplaceJob | EnqueueJobs | StartRound | SetLanes | HoldSubject | ReleaseHold
    | OpenIncident | RecordHypothesis | RestartProbe | RepairStorage | RewriteState | RestoreState | ReleaseBallast
    | RebuildBallast | WriteNotes | StopInstance
)  # fmt: skip
DoneWhen = Literal[
    "worker_started", "worker_gone", "job_replaced", "jobs_queued", "round_started", "lanes_set", "hold_set",
    "hold_released", "incident_logged", "hypothesis_recorded", "probe_answers", "storage_opens", "state_valid",
    "space_free", "ballast_whole", "notes_written", "instance_stopped",
]  # fmt: skip
"""What `daemon/verify.py` looks for: one check of the world for each name."""
ANY: Final = frozenset(("*",))
CYCLE: Final = "cycle"
"""The proposer of what the cycle does by its own tables, without an agent."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`within_s`: 0 the same cycle; None the stop ladder's own deadline. `starts`, `stops`: a stop beats a start."""

    action: type[Action]
    proposers: frozenset[str]
    done_when: DoneWhen
    within_s: float | None
    starts: bool = False
    stops: bool = False


def _by(*agents: str) -> frozenset[str]:
    return frozenset(agents)


RULES: Final[Mapping[str, Rule]] = {
    "SpawnWorker": Rule(
        SpawnWorker, _by("worker_sentry", "auto_scheduler", "util_controller"), "worker_started", 1.0, starts=True
    ),
    "StopWorker": Rule(
        StopWorker,
        _by("worker_sentry", "hang_guard", "util_controller", "budget_guard"),
        "worker_gone",
        None,
        stops=True,
    ),
    "ReplaceJob": Rule(ReplaceJob, _by("worker_sentry"), "job_replaced", 0.0),
    "EnqueueJobs": Rule(EnqueueJobs, _by("auto_scheduler", "hypothesis_runner"), "jobs_queued", 0.0),
    "StartRound": Rule(StartRound, _by("auto_scheduler", "hypothesis_runner"), "round_started", 0.0, starts=True),
    "SetLanes": Rule(SetLanes, _by("util_controller"), "lanes_set", 0.0),
    "Hold": Rule(
        HoldSubject,
        _by("worker_sentry", "hang_guard", "budget_guard", "session_state_manager"),
        "hold_set",
        0.0,
        stops=True,
    ),
    "Release": Rule(
        ReleaseHold,
        _by("worker_sentry", "hang_guard", "budget_guard", "session_state_manager"),
        "hold_released",
        0.0,
        starts=True,
    ),
    "OpenIncident": Rule(OpenIncident, ANY, "incident_logged", 0.0),
    "RecordHypothesis": Rule(RecordHypothesis, _by("hypothesis_runner"), "hypothesis_recorded", 5.0),
    "RestartProbe": Rule(RestartProbe, _by("hang_guard"), "probe_answers", 10.0),
    "RepairStorage": Rule(RepairStorage, _by("worker_sentry"), "storage_opens", 30.0),
    "RewriteState": Rule(RewriteState, _by("watchdog"), "state_valid", 0.0),
    "RestoreState": Rule(RestoreState, _by("watchdog"), "state_valid", 0.0),
    "ReleaseBallast": Rule(ReleaseBallast, _by("watchdog"), "space_free", 1.0),
    "RebuildBallast": Rule(RebuildBallast, _by("watchdog"), "ballast_whole", 1.0),
    "WriteNotes": Rule(WriteNotes, _by("curator", "quant_analyst", "session_log"), "notes_written", 5.0),
    "StopInstance": Rule(StopInstance, _by("budget_guard"), "instance_stopped", 600.0, stops=True),
}
NOTES: Final = frozenset(("OpenIncident", "RecordHypothesis", "WriteNotes"))
"""Kinds that touch nothing: they stand beside whatever else is done to their subject."""
KINDS: Final[Mapping[type[Action], str]] = {rule.action: kind for kind, rule in RULES.items()}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one agent asks for. `subject`: what the action is about; one action per subject and cycle.

    `evidence`: seqs of events, or paths of facts such as `workers.cpu000@3.quiet_s`. `expires_s`: how long after the
    cycle the wish still holds if it could not be carried out at once.
    """

    agent: str
    action: Action
    subject: str
    reason: str
    evidence: tuple[int | str, ...] = ()
    expires_s: float = 0.0

    @property
    def kind(self) -> str:
        return KINDS[type(self.action)]


@dataclass(frozen=True, slots=True)
class Refusal:
    proposal: Proposal
    why: str


@dataclass(frozen=True, slots=True)
class Scores:
    """0..1. deviation: subjects not as desired / all. performance: throughput / its best hour of 24.

    efficiency: CPU seconds in work loops / CPU seconds reserved. NaN-free: None while there is nothing to divide by.
    """

    deviation: float | None = None
    performance: float | None = None
    efficiency: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Accepted in the order of precedence."""

    accepted: tuple[Proposal, ...] = ()
    refused: tuple[Refusal, ...] = ()
    scores: Scores = Scores()


@dataclass(frozen=True, slots=True)
class Order:
    """`n` counts from 1 within the cycle; `after`: orders whose action must have succeeded first. `due`: monotonic.

    `agent`, `reason`, `evidence` are the proposal's, so that the event of the action tells why.
    """

    n: int
    action: Action
    subject: str
    done_when: DoneWhen
    due: float
    after: tuple[int, ...] = ()
    agent: str = CYCLE
    reason: str = ""
    evidence: tuple[int | str, ...] = ()
    args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return KINDS[type(self.action)]


def kind_of(action: Action) -> str:
    return KINDS[type(action)]


def may_propose(agent: str, action: Action) -> bool:
    """Whether the table lets `agent` ask for this; `*` are all."""
    proposers = RULES[KINDS[type(action)]].proposers
    return agent in proposers or proposers is ANY


def refuse_unsound(proposal: object) -> None:
    """Of an agent that is not ours: whether its proposal is of the types it names, so that whoever reads it later need
    not look. Raises TypeError, and BadConfig for an action's arguments."""
    if not isinstance(proposal, Proposal) or type(proposal.action) not in KINDS:
        raise TypeError(f"{type(proposal).__name__} is no proposal of a known action")
    text = proposal.agent, proposal.subject, proposal.reason
    if not all(isinstance(one, str) for one in text) or not isinstance(proposal.expires_s, int | float):
        raise TypeError("agent, subject and reason are text, expires_s is a number")
    if not isinstance(proposal.evidence, tuple | list) or not all(
        isinstance(one, int | str) for one in proposal.evidence
    ):
        raise TypeError("evidence is a tuple of numbers of events and paths of facts")
    encode((*text, proposal.evidence))
    parse_action(proposal.kind, orjson.loads(encode(proposal.action)))


def subject_of(action: Action) -> str:
    """The subject an action is about when its proposer has no better one."""
    for name in ("worker", "subject", "job", "name", "file", "path", "kind"):
        value = getattr(action, name, None)
        if isinstance(value, str):
            return value
    return SWARM


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Building one costs ten times what validating with it does."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def parse_action(kind: str, args: Mapping[str, Any]) -> Action:
    """An action from its JSON. Raises BadConfig naming what is wrong."""
    if kind not in RULES:
        raise BadConfig(f"{kind!r} is no action", fix=f"the actions are {', '.join(RULES)}")
    try:
        action: Action = _adapter(RULES[kind].action).validate_python(dict(args))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadConfig(f"{kind}: {where}: {first['msg']}") from error
    return action
