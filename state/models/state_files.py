"""What each state file holds (`payload` of its envelope), whose it is, how old it may get, and how it is written.

Records are validated here when a file is loaded; while the daemon runs they are made by code and trusted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from .records import (
    FULL,
    IDLE,
    STRICT,
    AgentRecord,
    Buckets,
    Desired,
    Hold,
    IncidentRecord,
    JobRecord,
    LaneRecord,
    NextStep,
    OpenItem,
    ProbeRecord,
    RunGate,
    WorkerRecord,
)

VERSION: Final = 1
TICK_LIMIT_S: Final = 15.0
HEARTBEAT_LIMIT_S: Final = 150.0

CONTROL: Final = "swarm_control_state.json"
QUEUE: Final = "work_queue.json"
FLEET: Final = "workers.json"
LATEST: Final = "session_latest.json"
CONTINUITY: Final = "session_state_manager_state.json"
EVENT_LOG: Final = "workflow_events.log"
CONTINUITY_EVENTS: Final = "session_state_manager_events.jsonl"
AGENT_FILES: Final[Mapping[str, str]] = {
    "hang_guard": "operation_hang_guard_state.json",
    "consensus": "orchestration_consensus_state.json",
}
"""Agents whose file is not `<agent>_state.json`."""

Payload: TypeAlias = "Control | Queue | Fleet | AgentFile | Mapping[str, Any]"
Schema = Literal["control", "queue", "fleet", "latest", "agent"]


@dataclass(frozen=True, slots=True)
class Control:
    """`swarm_control_state.json`: the control plane at a glance. `boot`: the epoch in which `mono` of buckets counts.

    `config`: digest of the configuration in force. `incidents`: not closed yet. `holds`: of the swarm and of GPUs, by
    hold name; those of jobs and lanes are in their records.
    """

    __pydantic_config__ = STRICT

    swarm_id: str = ""
    boot: str = ""
    build: str = ""
    config: str = ""
    started: float = 0.0
    desired: Desired = IDLE
    agents: Mapping[str, AgentRecord] = field(default_factory=dict)
    probes: Mapping[str, ProbeRecord] = field(default_factory=dict)
    buckets: Buckets = FULL
    incidents: Mapping[str, IncidentRecord] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """`work_queue.json`. `next_steps` and `run_gates` are worked out anew at every tick. `finished`: the newest round
    whose end was told; `first`: the run's first one."""

    __pydantic_config__ = STRICT

    run: str = ""
    round: int = 0
    plan_sha256: str = ""
    jobs: Mapping[str, JobRecord] = field(default_factory=dict)
    next_steps: tuple[NextStep, ...] = ()
    run_gates: tuple[RunGate, ...] = ()
    finished: int = 0
    first: int = 0


@dataclass(frozen=True, slots=True)
class Fleet:
    """`workers.json`: identities and decisions, never measured values. Closed lanes stay, for their generation."""

    __pydantic_config__ = STRICT

    lanes: Mapping[str, LaneRecord] = field(default_factory=dict)
    workers: Mapping[str, WorkerRecord] = field(default_factory=dict)
    verify: tuple[OpenItem, ...] = ()


@dataclass(frozen=True, slots=True)
class DoneAction:
    """What an agent's proposal of the last cycle came to."""

    __pydantic_config__ = STRICT

    action: str
    subject: str
    reason: str
    outcome: str
    cause_seq: int | None = None


@dataclass(frozen=True, slots=True)
class AgentHeader:
    """`inputs`: file -> age in seconds, None if it could not be read."""

    __pydantic_config__ = STRICT

    updated_at: float
    cycle: int
    run: str = ""
    health: str = "ok"
    inputs: Mapping[str, float | None] = field(default_factory=dict)
    actions_last_cycle: tuple[DoneAction, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentFile:
    """`<agent>_state.json`: the header, and the agent's memory as its own model writes it.

    `facts`: session_state_manager's alone, what `query --json` prints.
    """

    __pydantic_config__ = STRICT

    agent: AgentHeader
    memory: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileRule:
    """`owner`: who answers for it. `synced`: to disk when more than the agent header changed. `replayed`: a slice of
    the state that events after its `log_seq` bring up to date. `limit_s`: stale after; None never."""

    schema: Schema
    payload: type[Control] | type[Queue] | type[Fleet] | type[AgentFile] | None
    owner: str
    synced: bool = True
    replayed: bool = False
    limit_s: float | None = TICK_LIMIT_S


FILES: Final[Mapping[str, FileRule]] = {
    CONTROL: FileRule("control", Control, "cycle", replayed=True),
    QUEUE: FileRule("queue", Queue, "cycle", replayed=True),
    FLEET: FileRule("fleet", Fleet, "cycle", replayed=True),
    LATEST: FileRule("latest", None, "cycle", synced=False),
}


def agent_file(agent: str) -> str:
    """The name of an agent's state file."""
    return AGENT_FILES.get(agent, f"{agent}_state.json")


def agent_rule(agent: str) -> FileRule:
    return FileRule("agent", AgentFile, agent)


def heartbeat_file(run: str) -> str:
    """`session_state_<RUN_ID>.jsonl`, one line of at most 2 KB a minute."""
    return f"session_state_{run}.jsonl"


def lasting(payload: Payload) -> Any:
    """The part of a payload worth a sync: without what is worked out anew in every cycle."""
    if isinstance(payload, Control):
        return replace(payload, agents={name: _lasting(one) for name, one in payload.agents.items()})
    if isinstance(payload, Queue):
        return replace(payload, next_steps=(), run_gates=())
    if isinstance(payload, AgentFile):
        return payload.memory
    return payload


def _lasting(agent: AgentRecord) -> AgentRecord:
    return replace(agent, runs=0, cycle=0, at=0.0, health="", failures=0)
