"""What the swarm sees in one cycle. Agents decide from an Observation and from nothing else.

Everything is frozen; a view that did not change is carried over from cycle to cycle. A reading that could not be taken
is `Missing` with its reason. `_s` seconds, `_mb` MiB, `_pct` percent; `at since until due` UTC seconds, `mono`
CLOCK_MONOTONIC seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .config import Config
from .names import SWARM, hold_name
from .readings import Known, Missing, Reading
from .records import (
    FULL,
    IDLE,
    AgentRecord,
    Bucket,
    Buckets,
    Desired,
    Hold,
    IncidentRecord,
    JobRecord,
    LaneRecord,
    OpenItem,
    ProbeRecord,
    Restarts,
    RunGate,
    WorkerRecord,
)

VERSION: Final = 1
UNSEEN: Final = Missing("never read", 0.0)

JobView = JobRecord
LaneView = LaneRecord
IncidentView = IncidentRecord
AgentView = AgentRecord
ProbeView = ProbeRecord
BucketsView = Buckets

GpuState = Literal["ok", "hung", "lost", "detached"]
FileFault = Literal[
    "", "deleted", "unreadable", "torn", "edited", "newer", "aged", "wrong_owner", "wrong_mode", "unanswered"
]  # fmt: skip
CommandName = Literal["launch", "pause", "resume", "stop_job", "release", "drain", "restart", "reload"]


@dataclass(frozen=True, slots=True)
class Command:
    """A person's command, accepted and logged under `seq`."""

    id: str
    cmd: CommandName
    args: Mapping[str, Any]
    seq: int


@dataclass(frozen=True, slots=True)
class SwarmView:
    """`run` is empty before the first plan; `first`: the run's first round. `epoch`: outside it a pid means nothing.
    `build`: code and versions."""

    swarm_id: str
    epoch: str
    config: Config
    desired: Desired = IDLE
    run: str = ""
    round: int = 0
    build: str = ""
    since: float = 0.0
    first: int = 0


@dataclass(frozen=True, slots=True)
class DiskView:
    """One root's file system."""

    free_mb: Reading[float] = UNSEEN
    writable: Reading[bool] = UNSEEN


@dataclass(frozen=True, slots=True)
class HostView:
    """`cpus`: capacity, the smaller of affinity and cgroup quota. `cpu_ours`, `cpu_others`: percent of the capacity
    over the last 60 s, steal among the others'. `oom_kills`: the counter. `disk`: by root (results, state, logs...).

    `log_backlog`: events that could not be written yet; while there are any nothing is spawned. `disk_silent_s`: how
    long the disk of the state has kept the log or a save waiting.
    """

    cpus: float
    mem_mb: int = 0
    cpu_ours: Reading[float] = UNSEEN
    cpu_others: Reading[float] = UNSEEN
    mem_free_mb: Reading[float] = UNSEEN
    oom_kills: Reading[int] = UNSEEN
    pids_max: int | None = None
    pids_used: Reading[int] = UNSEEN
    disk: Mapping[str, DiskView] = field(default_factory=dict)
    ballast_mb: Reading[float] = UNSEEN
    log_backlog: int = 0
    disk_silent_s: float = 0.0


@dataclass(frozen=True, slots=True)
class GpuView:
    """One device, by UUID. `throttle`: reasons as NVML names them. `xid`: the newest, 0 for none."""

    uuid: str
    index: int
    state: Reading[GpuState] = UNSEEN
    util_pct: Reading[float] = UNSEEN
    mem_used_mb: Reading[float] = UNSEEN
    mem_total_mb: Reading[float] = UNSEEN
    temp_c: Reading[float] = UNSEEN
    power_w: Reading[float] = UNSEEN
    throttle: Reading[tuple[str, ...]] = UNSEEN
    xid: Reading[int] = UNSEEN


@dataclass(frozen=True, slots=True)
class ExitView:
    """How a worker ended. `code`: status, negative the signal, None unknown. `ours`: we sent that signal.

    From `exit.json` where there is one: `class_`, `message`, `fix`, `artifacts`, `batch` (the size that ran out).
    """

    code: int | None
    class_: str
    ours: bool = False
    message: str = ""
    fix: str = ""
    steps: int = 0
    checkpoint: int | None = None
    artifacts: tuple[str, ...] = ()
    peak_mem_mb: int = 0
    peak_gpu_mb: int = 0
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class ProgressView:
    """`progress.json` as last read. `step` counts work. `seeds`: of phase 0, loaded (optimize)."""

    phase: str
    step: int
    mono: float
    steps: int | None = None
    rate: float | None = None
    unit: str = ""
    next_s: float | None = None
    checkpoint: int | None = None
    backend: str = ""
    device: str = ""
    seeds: int | None = None
    gpu_mem_mb: int = 0


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker's record and what was measured of it.

    `alive`: a process of its token lives. `exit`: missing while it does. `quiet_s`: since the last step that was seen,
    in this daemon's life and outside of its gaps. `quiet_cpu_s`: CPU seconds all its processes used in that time.
    `cpu_s`: CPU seconds so far. `proc_state`: R S D T Z X of the main process; `stopped_s`: how long it has been T.
    """

    record: WorkerRecord
    alive: bool
    exit: Reading[ExitView] = UNSEEN
    progress: Reading[ProgressView] = UNSEEN
    quiet_s: float = 0.0
    quiet_limit_s: float = 0.0
    quiet_cpu_s: Reading[float] = UNSEEN
    cpu_s: Reading[float] = UNSEEN
    proc_state: Reading[str] = UNSEEN
    stopped_s: float = 0.0
    rss_mb: Reading[float] = UNSEEN
    gpu_mem_mb: Reading[float] = UNSEEN

    @property
    def worker(self) -> str:
        return self.record.worker

    @property
    def lane(self) -> str:
        return self.record.lane

    @property
    def job(self) -> str:
        return self.record.job

    @property
    def state(self) -> str:
        return self.record.state


@dataclass(frozen=True, slots=True)
class FileView:
    """A state file as read back from disk. `age_s`: since it was written, None if nobody can say."""

    name: str
    age_s: float | None
    valid: bool
    fault: FileFault = ""
    limit_s: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class ArtifactsView:
    """`counts` by kind (`phase0`, `trials`, `validation`...); `changed`: paths new since the last cycle; `newest`: the
    highest number of a round that lies there, whoever made it."""

    counts: Mapping[str, int] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    newest: int = 0


@dataclass(frozen=True, slots=True)
class SearchView:
    """The ledger's account of one search (`symbol/mode/strategy:space/first training day`).

    `looks`: it took at a hold-out, ever; `k`: those of its symbol, mode and space that count today. `spent_until`: the
    day on which the hold-out must begin before there is another look; empty while there is one. `verdict`: the newest.
    """

    looks: int
    k: int
    spent_until: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class LeaderView:
    """One row of the leaderboard."""

    symbol: str
    mode: str
    round: int
    name: str
    metrics: Mapping[str, float | None]
    verdict: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class ProviderView:
    """The rented instance, where there is a provider. Money in its currency per hour."""

    price_per_hour: float | None = None
    is_bid: bool = False
    min_bid: float | None = None
    end_date: float | None = None
    status: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """The whole of one cycle. `draw`: 64 random bits, the only source of jitter. `gap_s`: since the last cycle."""

    cycle: int
    now: float
    mono: float
    swarm: SwarmView
    host: HostView
    gap_s: float = 0.0
    draw: int = 0
    woken_by: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    gpus: Mapping[str, GpuView] = field(default_factory=dict)
    lanes: Mapping[str, LaneView] = field(default_factory=dict)
    jobs: Mapping[str, JobView] = field(default_factory=dict)
    workers: Mapping[str, WorkerView] = field(default_factory=dict)
    files: Mapping[str, FileView] = field(default_factory=dict)
    probes: Mapping[str, ProbeView] = field(default_factory=dict)
    agents: Mapping[str, AgentView] = field(default_factory=dict)
    incidents: Mapping[str, IncidentView] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    verify: tuple[OpenItem, ...] = ()
    buckets: BucketsView = FULL
    run_gates: tuple[RunGate, ...] = ()
    artifacts: ArtifactsView = ArtifactsView()
    leaderboard: tuple[LeaderView, ...] = ()
    searches: Mapping[str, SearchView] = field(default_factory=dict)
    hypotheses: tuple[Mapping[str, Any], ...] = ()
    knowledge: Reading[Mapping[str, Any]] = UNSEEN
    provider: Reading[ProviderView] = UNSEEN
    v: int = VERSION

    def held(self, subject: str, class_: str) -> Hold | None:
        """The hold of `subject` (a job, lane, GPU uuid or `swarm`) for this reason, if there is one."""
        return self.holds.get(hold_name(subject, class_))

    def paused(self, *subjects: str) -> bool:
        """Whether a person paused the swarm or one of `subjects`."""
        paused = self.swarm.desired.paused
        return bool(paused) and (SWARM in paused or any(one in paused for one in subjects))


__all__ = [
    "UNSEEN", "VERSION", "AgentView", "ArtifactsView", "Bucket", "BucketsView", "Command", "CommandName", "Desired",
    "DiskView", "ExitView", "FileFault", "FileView", "GpuState", "GpuView", "Hold", "HostView", "IncidentView",
    "JobView", "Known", "LaneView", "LeaderView", "Missing", "Observation", "OpenItem", "ProbeView", "ProgressView",
    "ProviderView", "Reading", "Restarts", "RunGate", "SearchView", "SwarmView", "WorkerView",
]  # fmt: skip
