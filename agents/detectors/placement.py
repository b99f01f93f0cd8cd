"""Which queued job may start in which lane, now: one answer for all who spawn, so that they never want the same lane.

Jobs in order: main and command work before fill, one that ran before first, then priority, due time and name. Lanes:
the one it ran in last, else the first free one of its kind. Command jobs have lanes of their own. CPU, memory and pids
are reserved by claims; nothing of the engine starts below the floors of memory and disk, or while a disk is unknown.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ...state.models.actions import MAX_SPAWNS
from ...state.models.facts import HostView, JobView, Known, LaneView, Observation
from ...state.models.names import SWARM, lane_kind, lane_of
from ...state.models.transitions import LIVING_WORKERS

Turn = Literal["again", "main", "fill"]
"""Whose it is to ask: worker_sentry, auto_scheduler, util_controller."""

PIDS_KEPT: Final = 64
LOOKAHEAD: Final = 2 * MAX_SPAWNS
"""Placements worked out in one cycle; consensus caps what is carried out."""


BUSY: Final = LIVING_WORKERS - {"lost"}
"""Of a worker that cannot be killed only the memory counts: it computes nothing, and its work goes on elsewhere."""


@dataclass(frozen=True, slots=True)
class Placement:
    lane: str
    job: str
    turn: Turn


def turn_of(job: JobView) -> Turn:
    if job.tries > 0:
        return "again"
    return "fill" if job.spec.lane_role == "fill" else "main"


def share(observation: Observation, turn: Turn) -> list[Placement]:
    """The placements that are this turn's to ask for."""
    return [one for one in placements(observation) if one.turn == turn]


def placements(observation: Observation) -> Sequence[Placement]:
    """Every start that is possible now, at most `LOOKAHEAD` and what the spawn bucket holds.

    All who ask are answered of one observation in turn: it is worked out once.
    """
    if _NEWEST[0] is not observation:
        _NEWEST[:] = observation, tuple(_placed(observation))
    found: Sequence[Placement] = _NEWEST[1]
    return found


_NEWEST: Final[list[Any]] = [None, ()]
"""The observation that was asked about last, and its placements."""


def _placed(observation: Observation) -> list[Placement]:
    startable = startables(observation)
    if not startable or closed(observation):
        return []
    workers = observation.workers
    taken = {
        lane_of(name)
        for name, one in workers.items()
        if (state := one.record.state) in LIVING_WORKERS or _occupies(name, state)
    }
    lanes = _Lanes(observation, taken)
    running = {one.record.job for one in workers.values() if one.record.state in BUSY}
    room = _Room(observation)
    found: list[Placement] = []
    most = min(LOOKAHEAD, spawns_left(observation))
    for job in sorted(startable, key=_order):
        if len(found) >= most:
            break
        if job.job in running or not room.fits(job):
            continue
        if lane := lanes.take(job):
            room.reserve(job)
            found.append(Placement(lane, job.job, turn_of(job)))
    return found


def startables(observation: Observation) -> list[JobView]:
    """Queued, due, not held, paused or cancelled by anybody."""
    now, held, desired = observation.now, _held(observation), observation.swarm.desired
    unwanted = {*held, *desired.paused, *desired.draining, *desired.cancel}
    return [
        job
        for job in observation.jobs.values()
        if job.state == "queued" and job.hold is None and now >= job.not_before and job.job not in unwanted
    ]


def closed(observation: Observation) -> tuple[str, ...]:
    """Why nothing at all may start; empty when something may."""
    desired = observation.swarm.desired
    held = sorted(hold.reason for name, hold in observation.holds.items() if name.startswith(f"{SWARM}#"))
    said = [f"the swarm is held: {reason}" for reason in held]
    if desired.life in ("drain", "restart"):
        said.append(f"the swarm is told to {desired.life}")
    if SWARM in desired.paused or SWARM in desired.draining:
        said.append("a person paused the swarm")
    if observation.host.log_backlog:
        said.append("the event log cannot be written")
    return tuple(said)


def tight(observation: Observation) -> tuple[str, ...]:
    """Why no engine job may start: memory or disk below its floor, or a disk that nobody can read."""
    host, config = observation.host, observation.swarm.config
    said = []
    if isinstance(host.mem_free_mb, Known) and host.mem_free_mb.known < config.lanes.keep_free_mb:
        said.append(f"{host.mem_free_mb.known:.0f} MB of memory free, {config.lanes.keep_free_mb} are kept")
    for root, disk in host.disk.items():
        if not isinstance(disk.free_mb, Known):
            said.append(f"free space of {root} is unknown: {disk.free_mb.missing}")
        elif disk.free_mb.known < config.disk.floor_mb:
            said.append(f"{disk.free_mb.known:.0f} MB free for {root}, {config.disk.floor_mb} is the floor")
        if isinstance(disk.writable, Known) and not disk.writable.known:
            said.append(f"{root} cannot be written")
    return tuple(said)


def spawns_left(observation: Observation) -> int:
    """Whole tokens of the spawn bucket."""
    limits, bucket = observation.swarm.config.restart, observation.buckets.spawn
    if bucket is None:
        return limits.spawn_burst
    return math.floor(bucket.at(observation.mono, limits.spawn_burst, limits.spawn_per_s))


def cpu_room(host: HostView) -> float:
    """CPUs that may be reserved in all: the capacity, a started one counted whole."""
    return max(1.0, math.ceil(host.cpus))


def gpu_usable(observation: Observation, uuid: str) -> bool:
    """Seen to be well, and not held. A reading that is missing stops new spawns on the device, and nothing else."""
    gpu = observation.gpus.get(uuid)
    if gpu is None or not isinstance(gpu.state, Known) or gpu.state.known != "ok":
        return False
    return uuid not in _held(observation)


def _held(observation: Observation) -> set[str]:
    return {name.rpartition("#")[0] for name in observation.holds}


def _occupies(worker: str, state: str) -> bool:
    """On a GPU the lane is free only once the memory was seen to return, which is when the worker is reaped."""
    return state in LIVING_WORKERS or (state == "exited" and lane_kind(worker) == "gpu")


def _order(job: JobView) -> tuple[bool, bool, int, float, str]:
    return (job.spec.lane_role == "fill", job.tries == 0, -job.priority, job.not_before, job.job)


class _Lanes:
    """Free lanes by what may run in them: `_left` says which still are, `_queue` holds them by name, the first last."""

    def __init__(self, observation: Observation, taken: Iterable[str]) -> None:
        desired = observation.swarm.desired
        barred = {*taken, *desired.paused, *desired.draining, *_held(observation)}
        usable = {uuid: gpu_usable(observation, uuid) for uuid in observation.gpus}
        self._queue: dict[tuple[str, bool], list[str]] = {}
        for lane in observation.lanes.values():
            if lane.state == "open" and lane.hold is None and lane.lane not in barred and _well(lane, usable):
                self._queue.setdefault((lane.kind, lane.role == "command"), []).append(lane.lane)
        for queue in self._queue.values():
            queue.sort(reverse=True)
        self._left = {kind: set(queue) for kind, queue in self._queue.items()}

    def take(self, job: JobView) -> str:
        """The lane this job starts in, empty if there is none."""
        kind = ("gpu" if job.spec.gpu else "cpu", job.spec.lane_role == "command")
        left = self._left.get(kind)
        if not left:
            return ""
        lane = lane_of(job.attempts[-1].worker) if job.attempts else ""
        while lane not in left:
            lane = self._queue[kind].pop()
        left.remove(lane)
        return lane


def _well(lane: LaneView, usable: dict[str, bool]) -> bool:
    return lane.kind == "cpu" or usable.get(lane.gpu_uuid, False)


class _Room:
    """What living workers have not reserved."""

    def __init__(self, observation: Observation) -> None:
        host, config = observation.host, observation.swarm.config
        cpus, mem_mb, pids = 0.0, 0, 0
        for view in observation.workers.values():
            record = view.record
            if record.state in LIVING_WORKERS:
                claims = record.claims
                mem_mb += claims.mem_mb
                pids += claims.pids
                if record.state in BUSY:
                    cpus += claims.cpus
        self._cpus = cpu_room(host) - cpus
        self._alone = not cpus
        self._mem_mb = host.mem_mb - config.lanes.keep_free_mb - mem_mb
        if not host.mem_mb:
            self._mem_mb = 1 << 40
        self._pids = (host.pids_max or 1 << 40) - PIDS_KEPT - pids
        if host.pids_max and isinstance(host.pids_used, Known):
            self._pids = min(self._pids, host.pids_max - PIDS_KEPT - host.pids_used.known)
        self._engine = not tight(observation)

    def fits(self, job: JobView) -> bool:
        claims = job.spec.claims
        if job.spec.kind == "engine" and not self._engine:
            return False
        cpus = claims.cpus <= self._cpus or self._alone or not claims.cpus
        return cpus and claims.mem_mb <= self._mem_mb and claims.pids <= self._pids

    def reserve(self, job: JobView) -> None:
        claims = job.spec.claims
        self._cpus -= claims.cpus
        self._alone = self._alone and not claims.cpus
        self._mem_mb -= claims.mem_mb
        self._pids -= claims.pids
