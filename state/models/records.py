"""What survives: jobs, lanes, workers, incidents, holds, open items, buckets and what people want.

Only an event changes a record (state/replay.py). Measured values are no records. `at since until due` are UTC seconds,
`mono` monotonic seconds of the boot that the state names. Where JSON says `class`, the field is `class_`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from .names import LaneKind, hold_name, lane_of, worker_name
from .transitions import LIVING_WORKERS, IncidentState, JobState, LaneState, WorkerState

STRICT: Final = {"extra": "forbid"}
Rung = Literal[1, 2, 3, 4]
"""1 TERM, 2 INT with a stack dump, 3 KILL of everything of the token, 4 unkillable."""

LaneRole = Literal["main", "fill", "command"]
Class = Annotated[str, Field(alias="class")]


@dataclass(frozen=True, slots=True)
class Hold:
    """Why something may not run: exactly one of `until` and `needs` (what a person must do) is set."""

    __pydantic_config__ = STRICT

    reason: str
    class_: Class
    since: float
    until: float | None = None
    needs: str | None = None

    def __post_init__(self) -> None:
        if (self.until is None) == (not self.needs):
            raise ValueError(f"hold {self.reason!r}: exactly one of until and needs must be set")

    def name(self, subject: str) -> str:
        return hold_name(subject, self.class_)

    def over(self, now: float) -> bool:
        """Whether its time has passed; one that waits for a person is never over by itself."""
        return self.until is not None and now >= self.until


@dataclass(frozen=True, slots=True)
class ClaimsRecord:
    """What a worker reserves."""

    __pydantic_config__ = STRICT

    cpus: float = 1.0
    mem_mb: int = 1024
    pids: int = 64
    gpu_mem_mb: int = 0


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What makes this job differ from the configuration and the plan; with them it becomes `job.json`.

    `volume`: the fields of `Volume` that differ. `gpu`: wants one. `lane_role`: the kind of lane it may run in.
    """

    __pydantic_config__ = STRICT

    kind: Literal["engine", "command"] = "engine"
    stage: str = ""
    symbol: str = ""
    mode: str = ""
    gpu: bool = False
    lane_role: LaneRole = "main"
    seed: int = 0
    volume: Mapping[str, int] = field(default_factory=dict)
    claims: ClaimsRecord = ClaimsRecord()
    argv: tuple[str, ...] = ()
    restart: Literal["always", "on-failure", "never"] = "on-failure"
    budget_s: float | None = None
    artifacts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One worker's end on this job. `code`: exit status, negative the signal, None if nobody saw it."""

    __pydantic_config__ = STRICT

    worker: str
    class_: Class
    code: int | None
    steps: int
    at: float


@dataclass(frozen=True, slots=True)
class JobRecord:
    """`after`: jobs it waits for. `not_before`: earliest start. `worker`: who runs it. `attempts`: the newest few."""

    __pydantic_config__ = STRICT

    job: str
    spec: JobSpec
    state: JobState
    since: float
    priority: int = 0
    after: tuple[str, ...] = ()
    not_before: float = 0.0
    hold: Hold | None = None
    worker: str = ""
    attempts: tuple[Attempt, ...] = ()
    tries: int = 0
    artifacts: tuple[str, ...] = ()
    replaced_by: str = ""

    def startable(self, now: float) -> bool:
        """Queued, not held and due: buckets, lanes and pauses are others' to know."""
        return self.state == "queued" and self.hold is None and now >= self.not_before


@dataclass(frozen=True, slots=True)
class LaneRecord:
    """`gen`: the newest generation, never used again, also while closed. `gpu_uuid`: the device it is bound to."""

    __pydantic_config__ = STRICT

    lane: str
    kind: LaneKind
    state: LaneState
    since: float
    role: LaneRole = "main"
    gpu_uuid: str = ""
    claims: ClaimsRecord = ClaimsRecord()
    gen: int = 0
    hold: Hold | None = None

    def next_worker(self) -> str:
        return worker_name(self.lane, self.gen + 1)


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a worker stands on the stop ladder. `due`: when the next rung begins."""

    __pydantic_config__ = STRICT

    rung: Rung
    reason: str
    since: float
    due: float


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """Identity: worker, pid, start ticks, epoch, token. `pid` is 0 until the exec was seen.

    `starting` becomes `running` at the first step, or for a command job at the exec. `start_due`: when the first step
    is late. `adopted`: this daemon did not spawn it, so its exit status is `exit.json` or unknown.
    """

    __pydantic_config__ = STRICT

    worker: str
    token: str
    job: str
    state: WorkerState
    since: float
    epoch: str
    pid: int = 0
    start_ticks: int = 0
    start_due: float = 0.0
    claims: ClaimsRecord = ClaimsRecord()
    gpu_uuid: str = ""
    build: str = ""
    log: str = ""
    adopted: bool = False
    stop: Stop | None = None

    @property
    def lane(self) -> str:
        return lane_of(self.worker)

    @property
    def living(self) -> bool:
        """Processes of its token may exist: its lane and its job are taken."""
        return self.state in LIVING_WORKERS


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """`seq`: its newest event, the cause of the next one. `actions`: kinds executed. `due`: when it escalates."""

    __pydantic_config__ = STRICT

    incident: str
    class_: Class
    subject: str
    state: IncidentState
    severity: str
    since: float
    seq: int
    why: str = ""
    evidence: tuple[int | str, ...] = ()
    actions: tuple[str, ...] = ()
    due: float | None = None
    escalations: int = 0
    needs: str = ""


@dataclass(frozen=True, slots=True)
class OpenItem:
    """An order that takes time, looked at in every cycle until what `done_when` names is seen, or it is late.

    `id` is `v<seq>` of the event that opened it.
    """

    __pydantic_config__ = STRICT

    id: str
    action: str
    subject: str
    done_when: str
    since: float
    due: float
    incident: str = ""
    agent: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket as it stood at `mono`; size and rate are the configuration's."""

    __pydantic_config__ = STRICT

    level: float
    mono: float

    def at(self, mono: float, size: float, per_s: float) -> float:
        """Its level at `mono`."""
        return min(size, self.level + max(0.0, mono - self.mono) * per_s)


@dataclass(frozen=True, slots=True)
class Restarts:
    """A job's restart budget: credits (`level` at `mono`), exponent `n` of the jitter, and what poison is told by.

    `deaths`: in a row, of class crash or stuck, none of which passed `best_step`.
    """

    __pydantic_config__ = STRICT

    level: float
    mono: float
    n: int = 0
    deaths: int = 0
    best_step: int = 0

    def credits(self, mono: float, size: float, refill_s: float) -> float:
        """Credits at `mono`."""
        return Bucket(self.level, self.mono).at(mono, size, 1.0 / refill_s)


@dataclass(frozen=True, slots=True)
class Buckets:
    """`spawn` and `flap` for all, `restarts` by job. None or absent: full."""

    __pydantic_config__ = STRICT

    spawn: Bucket | None = None
    flap: Bucket | None = None
    restarts: Mapping[str, Restarts] = field(default_factory=dict)


FULL: Final = Buckets()


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """`failures`: in a row. `runs`, `at`, `cycle`, `health` are noted each cycle; the rest is changed by events."""

    __pydantic_config__ = STRICT

    name: str
    source: str = ""
    crashes: int = 0
    failures: int = 0
    quarantine: Hold | None = None
    runs: int = 0
    cycle: int = 0
    at: float = 0.0
    health: str = "new"


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """`given_up`: no more tries of it (two helpers that cannot be killed)."""

    __pydantic_config__ = STRICT

    name: str
    state: Literal["ok", "silent", "given_up"] = "ok"
    since: float = 0.0
    restarts: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Desired:
    """What people asked for. `paused`, `draining`: `swarm`, lanes or jobs. `cancel`: jobs; `release`: held subjects.

    `plan` is empty where `plan_file` names the file that holds it, by its sha256. `plan_sha256`: identity of the search
    that the plan asks for.

    `life`: idle without a plan; drain ends the daemon with its workers, restart ends it and leaves them.
    `commands`: the newest ids and the seq each was logged under, so that the same id twice is one command.
    """

    __pydantic_config__ = STRICT

    life: Literal["idle", "run", "drain", "restart"] = "idle"
    plan: Mapping[str, Any] = field(default_factory=dict)
    plan_sha256: str = ""
    plan_file: str = ""
    paused: tuple[str, ...] = ()
    draining: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    commands: Mapping[str, int] = field(default_factory=dict)

    @property
    def has_plan(self) -> bool:
        return bool(self.plan or self.plan_file)


IDLE: Final = Desired()
"""Nobody asked for anything yet."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """What happens next, and what is expected to come of it."""

    __pydantic_config__ = STRICT

    id: str
    action: str
    subject: str
    why: str
    actionable: bool
    blocked_by: tuple[str, ...] = ()
    expected_outcome: str = ""
    due: float | None = None


@dataclass(frozen=True, slots=True)
class RunGate:
    """A condition of the whole run. `evidence`: an artifact's path, an event's seq, or why it was waived."""

    __pydantic_config__ = STRICT

    gate: str
    met: Literal["met", "open", "failed", "waived"]
    evidence: str = ""
