"""Everything the control loop asks of the world, as Protocols: the real ones live in this room, a simulator's in tests.

A port tells what is; it decides nothing. What cannot be read is `Missing`, never 0. Times: `now` UTC seconds, `mono`
monotonic seconds.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from ..state.disk import Disk
from ..state.models.facts import DiskView, GpuView, ProviderView
from ..state.models.readings import Missing, Reading

T = TypeVar("T")


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> float:
        """UTC seconds; may jump."""
        ...

    def mono(self) -> float:
        """CLOCK_MONOTONIC seconds of this epoch; never goes back."""
        ...


class Random(Protocol):
    """The only source of chance."""

    def bits(self, n: int) -> int: ...


class Meter(Protocol):
    """Runs an agent's call on this thread, watched."""

    def call(self, agent: str, limit_s: float, run: Callable[[], T]) -> "Metered[T]":
        """What `run` returned, or how it failed. It is interrupted at `limit_s`; it never raises an Exception of it."""
        ...


@dataclass(frozen=True, slots=True)
class Metered(Generic[T]):
    """`value`: what came back, None when it failed; `error` then says how. `overran`: it was interrupted."""

    value: T | None
    elapsed_ms: float
    error: str = ""
    overran: bool = False


class Files(Disk, Protocol):
    """Worker folders and what is read back of them. Every method may raise OSError."""

    def make_folder(self, path: Path) -> None:
        """With its parents, for this user alone; one that exists is left as it is."""
        ...

    def replace(self, path: Path, data: bytes) -> None:
        """The whole content in one step, not synced."""
        ...

    def allocate(self, path: Path, size: int) -> None:
        """A new file that has its blocks, without writing them where the file system can."""
        ...

    def remove_tree(self, path: Path) -> None:
        """A folder with what is in it, or a file; nothing there is fine."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process is meant: a pid alone is never trusted. `ticks`: its start time in clock ticks since boot."""

    worker: str
    token: str
    pid: int
    ticks: int


@dataclass(frozen=True, slots=True)
class Launch:
    """How a worker is started. `lock`: its lock file, passed locked; `log`: where stdout and stderr are appended."""

    worker: str
    token: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    lock: Path
    log: Path


class CannotSpawn(Exception):
    """Why there is no process: `errno` of the refusal (EAGAIN pids, ENOMEM, ENOSPC, ENOENT program; 0 lock held)."""

    def __init__(self, message: str, errno: int = 0) -> None:
        super().__init__(message)
        self.errno = errno


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker's main process is gone and, if it was our child, buried. `code`: status, negative the signal, None when
    nobody can know. `left`: pids of its token that still lived when looked at; they were killed."""

    identity: Identity
    code: int | None
    left: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """A process that carries one of our tokens."""

    pid: int
    ticks: int
    token: str
    parent: int
    state: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a process. `state`: R S D T Z X; `cpu_s`: user and system time since its start."""

    state: str
    cpu_s: float
    rss_mb: float
    ticks: int


class Processes(Protocol):
    """The workers' processes. One table of owned identities; none is dropped before its end was told."""

    def spawn(self, launch: Launch) -> Identity:
        """Start it; its program runs when this returns. Raises CannotSpawn."""
        ...

    def adopt(self, identity: Identity) -> bool:
        """Own a process that a former daemon started. False when it is gone."""
        ...

    def ended(self) -> Sequence[Ended]:
        """Owned workers whose main process ended since the last call: group killed, reaped, strays killed."""
        ...

    def left(self, token: str) -> Sequence[int]:
        """Pids of the token outside the states Z and X."""
        ...

    def signal(self, identity: Identity, signal: int) -> bool:
        """To the main process, if it still is the one meant. False when it is gone."""
        ...

    def kill_token(self, identity: Identity) -> None:
        """KILL to every process of the token, in whatever group or session."""
        ...

    def sample(self, identity: Identity) -> Reading[Sample]:
        """A look at the main process, right now."""
        ...

    def family_cpu(self, identity: Identity) -> Mapping[tuple[int, int], float]:
        """CPU seconds of every process of the token, by pid and start ticks. Slow: for suspects only."""
        ...

    def strays(self, living: Collection[str]) -> Sequence[Seen]:
        """Children of ours that carry a token of this swarm outside of `living`: orphans of dead generations."""
        ...

    def kill(self, seen: Seen) -> None:
        """KILL to a process that carries a token of ours."""
        ...

    def census(self) -> Sequence[Seen]:
        """Every process on this host that carries a token of this swarm. Slow: on start and on suspicion only."""
        ...

    def locked(self, lock: Path) -> bool:
        """Whether somebody holds this worker's lock."""
        ...

    def owned(self) -> Collection[str]:
        """Workers in the table."""
        ...


@dataclass(frozen=True, slots=True)
class HostReadings:
    """The newest readings of the host; taken elsewhere, so that asking never waits.

    `cpus`: what we may use of `machine_cpus`. `cpu_busy_s`, `cpu_steal_s`: of the machine since boot. `disk`: by root.
    """

    cpus: float
    machine_cpus: float
    mem_mb: int
    pids_max: int | None
    cpu_busy_s: Reading[float]
    cpu_steal_s: Reading[float]
    mem_free_mb: Reading[float]
    oom_kills: Reading[int]
    pids_used: Reading[int]
    disk: Mapping[str, DiskView] = field(default_factory=dict)
    ballast_mb: Reading[float] = field(default_factory=lambda: Missing("never read", 0.0))


class Host(Protocol):
    """The machine as far as this process may use it."""

    def readings(self) -> HostReadings: ...

    def refresh(self) -> None:
        """Ask for new readings; does not wait for them."""
        ...

    def asked_at(self) -> float | None:
        """Since when it owes readings (monotonic), None if it owes none."""
        ...

    def answered_at(self) -> float:
        """When it last took some (monotonic)."""
        ...

    def restart(self) -> bool:
        """Leave a helper that hangs and ask another; False when too many hang already."""
        ...

    def memory(self) -> tuple[Reading[float], Reading[int]]:
        """Free MB and the count of OOM kills as of right now: files of the kernel, which never keep anybody waiting."""
        ...


class Gpu(Protocol):
    """The devices, by UUID; empty without any."""

    def readings(self) -> Mapping[str, GpuView]: ...

    def restart(self) -> None: ...


class Provider(Protocol):
    """Who rents the host out."""

    def ask(self) -> None:
        """Ask for a new reading, if it is time for one; does not wait for it."""
        ...

    def reading(self) -> Reading[ProviderView]: ...

    def cannot_stop(self) -> str:
        """Why an instance cannot be stopped from here, empty if it can."""
        ...

    def stop_instance(self) -> None:
        """Tell the provider; it stops in its own time."""
        ...


@dataclass(frozen=True, slots=True)
class ToolEnd:
    """How a helper program ended. `output`: its stdout; `error`: its stderr. `late`: it was killed at its limit."""

    code: int
    output: bytes
    error: str = ""
    late: bool = False


class Tools(Protocol):
    """Short-lived programs for what the daemon itself must not do; nobody waits for one."""

    def start(self, name: str, argv: Sequence[str], environment: Mapping[str, str], limit_s: float) -> None:
        """Begin one under a name of its own. Raises OSError."""
        ...

    def running(self, name: str) -> bool:
        """Whether one of that name was started and its end not told yet."""
        ...

    def ended(self, name: str) -> ToolEnd | None:
        """Its end, once; None while it runs. One over its limit is killed here."""
        ...


@dataclass(frozen=True)
class World:
    """All ports of one swarm."""

    clock: Clock
    random: Random
    meter: Meter
    files: Files
    processes: Processes
    host: Host
    gpu: Gpu
    provider: Provider
    tools: Tools
