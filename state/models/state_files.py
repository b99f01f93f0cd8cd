"""What each state file holds (`payload` of its envelope), whose it is, how old it may get, and how it is written.

Records are validated here when a file is loaded; while the daemon runs they are made by code and trusted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from .records import (
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

Schema = Literal["control", "queue", "fleet", "latest", "agent"]


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ControlPayload(_Payload):
    """`swarm_control_state.json`: the control plane at a glance."""

    swarm_id: str = ""
    boot: str = Field("", description="epoch in which `mono` of the buckets counts")
    build: str = ""
    config: str = Field("", description="digest of the configuration in force")
    started: float = 0.0
    desired: Desired = Desired()
    agents: dict[str, AgentRecord] = Field(default_factory=dict)
    probes: dict[str, ProbeRecord] = Field(default_factory=dict)
    buckets: Buckets = Buckets()
    incidents: dict[str, IncidentRecord] = Field(default_factory=dict, description="not closed yet")
    holds: dict[str, Hold] = Field(default_factory=dict, description="of the swarm and of GPUs, by hold name")


class QueuePayload(_Payload):
    """`work_queue.json`."""

    run: str = ""
    round: int = 0
    plan_sha256: str = ""
    jobs: dict[str, JobRecord] = Field(default_factory=dict)
    next_steps: tuple[NextStep, ...] = ()
    run_gates: tuple[RunGate, ...] = ()


class FleetPayload(_Payload):
    """`workers.json`: identities and decisions, never measured values."""

    lanes: dict[str, LaneRecord] = Field(default_factory=dict)
    workers: dict[str, WorkerRecord] = Field(default_factory=dict)
    verify: tuple[OpenItem, ...] = ()


class DoneAction(_Payload):
    """What an agent's proposal of the last cycle came to."""

    action: str
    subject: str
    reason: str
    outcome: str
    cause_seq: int | None = None


class AgentHeader(_Payload):
    """`inputs`: file -> age in seconds."""

    updated_at: float
    cycle: int
    run: str = ""
    health: str = "ok"
    inputs: dict[str, float | None] = Field(default_factory=dict)
    actions_last_cycle: tuple[DoneAction, ...] = ()


class AgentPayload(_Payload):
    """`<agent>_state.json`: the header, and the agent's memory as its own model writes it."""

    agent: AgentHeader
    memory: dict[str, Any] = Field(default_factory=dict)
    facts: dict[str, Any] = Field(
        default_factory=dict, description="session_state_manager alone: what `query --json` prints"
    )


class Envelope(_Payload):
    """What every state file is wrapped in; `sha256` is over the bytes between `"payload":` and the last `}`."""

    schema_: Schema = Field(alias="schema")
    v: int
    seq: int = Field(ge=0, description="how often this file was written")
    log_seq: int = Field(ge=0, description="newest event folded in")
    written: float
    mono: float
    epoch: str
    writer: str = Field(description="pid, start ticks and build of the daemon")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class FileRule:
    """`owner`: who answers for it. `synced`: to disk when more than the agent header changed. `replayed`: a slice of
    the state that events after its `log_seq` bring up to date. `limit_s`: stale after; None never."""

    schema: Schema
    payload: type[BaseModel] | None
    owner: str
    synced: bool = True
    replayed: bool = False
    limit_s: float | None = TICK_LIMIT_S


FILES: Final[Mapping[str, FileRule]] = {
    CONTROL: FileRule("control", ControlPayload, "cycle", replayed=True),
    QUEUE: FileRule("queue", QueuePayload, "cycle", replayed=True),
    FLEET: FileRule("fleet", FleetPayload, "cycle", replayed=True),
    LATEST: FileRule("latest", None, "cycle", synced=False),
}


def agent_file(agent: str) -> str:
    """The name of an agent's state file."""
    return AGENT_FILES.get(agent, f"{agent}_state.json")


def agent_rule(agent: str) -> FileRule:
    return FileRule("agent", AgentPayload, agent)


def heartbeat_file(run: str) -> str:
    """`session_state_<RUN_ID>.jsonl`, one line of at most 2 KB a minute."""
    return f"session_state_{run}.jsonl"
