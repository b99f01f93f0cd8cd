"""util_controller: CPU and GPU utilisation at their targets while work is queued, without flapping.

Watches the CPU that our workers use, each device's utilisation, open and idle lanes, deaths for want of memory.
Asks for: SetLanes (the feed-forward count at once, then trims), SpawnWorker of fill jobs, StopWorker of draining lanes
while memory is short.
Silent: on missing readings (lanes stay as they are), until a whole window has passed since the last change, when the
swarm drains or nobody launched a plan.

    feed-forward   ceil(target x capacity / threads per lane); GPU: lanes per device x devices
    CPU %          CPU of our workers / (capacity - other processes - steal) over 60 s
    after OOM      half the lanes, then one more per settled window
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..state.models.actions import FIRST_RUNG, Proposal, SetLanes, SpawnWorker, StopWorker
from ..state.models.facts import Known, LaneView, Missing, Observation, Reading
from ..state.models.names import LaneKind
from .api import Agent, Proposals, Voice
from .detectors.idle import free_lanes, open_lanes
from .detectors.news import only_ends
from .detectors.placement import closed, cpu_room, share
from .detectors.rounds import chains
from .detectors.trend import EMPTY, Window, lasting, past, recommended, trimmed
from .detectors.use import cpu_pct, gpu_pct

ASK: Final = Voice("util_controller")
WINDOW_S: Final = 60.0
"""Over which utilisation is measured: a reading is settled once its whole window lies after the last change."""
GPU_LANES_MAX: Final = 4
"""Per device, by trimming."""
OOM_RECENT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Track:
    """One kind of lanes. `count`, `changed`: how many there are and since when (monotonic). `busy`: since when none is
    idle. `first`: the feed-forward count, `trimmed`: what feedback made of it. `cap`, `capped`: the most after an
    out-of-memory, and since when it stands there."""

    count: int = 0
    changed: float | None = None
    busy: float | None = None
    window: Window = EMPTY
    first: int = 0
    trimmed: int | None = None
    cap: int | None = None
    capped: float = 0.0


@dataclass(frozen=True, slots=True)
class Memory:
    """`oom_kills`: the counter as last read. `oom_at`: the newest death for want of memory that was answered (UTC)."""

    cpu: Track = Track()
    gpu: Track = Track()
    oom_kills: int | None = None
    oom_at: float = 0.0


def propose(observation: Observation, memory: Memory) -> tuple[Proposals, Memory]:
    found = [
        ASK.asks(SpawnWorker(one.lane, one.job), "an idle lane is filled", f"lanes.{one.lane}", subject=one.lane)
        for one in share(observation, "fill")
    ]
    oom, memory = _oom(observation, memory)
    if only_ends(observation) and not oom:
        return found, memory
    cpu, gpu = open_lanes(observation, "cpu"), open_lanes(observation, "gpu")
    cpu_track = _seen(observation, memory.cpu, cpu, "cpu")
    gpu_track = _seen(observation, memory.gpu, gpu, "gpu")
    if oom:
        cpu_track = replace(cpu_track, cap=max(1, len(cpu) // 2), capped=observation.mono)
    cpu_track = _settled_cap(observation, cpu_track)
    if observation.swarm.desired.life == "run" and chains(observation.swarm.config) and not closed(observation):
        wanted, why, cpu_track = _cpu(observation, cpu, cpu_track)
        found += _set("cpu", len(cpu), wanted, why)
        wanted, why, gpu_track = _gpu(observation, gpu, gpu_track)
        found += _set("gpu", len(gpu), wanted, why)
    found += _relief(observation)
    return found, replace(memory, cpu=cpu_track, gpu=gpu_track)


def _set(kind: LaneKind, count: int, wanted: int, why: str) -> list[Proposal]:
    if wanted == count:
        return []
    return [ASK.asks(SetLanes(kind, wanted), f"{count} -> {wanted} lanes: {why}", f"host.{kind}", subject=kind)]


def feed_forward(observation: Observation) -> int:
    """CPU lanes that give the target if each keeps its threads busy; a number in the configuration wins."""
    config = observation.swarm.config
    if config.lanes.cpu != "auto":
        return config.lanes.cpu
    return max(1, math.ceil(config.targets.cpu_pct / 100.0 * observation.host.cpus / config.lanes.threads - 1e-9))


def _cpu(observation: Observation, lanes: Sequence[LaneView], track: Track) -> tuple[int, str, Track]:
    config, count, first = observation.swarm.config, len(lanes), feed_forward(observation)
    most = first
    if config.lanes.cpu == "auto":
        most = max(first, math.floor(cpu_room(observation.host) / config.lanes.threads))
    if track.cap is not None:
        most = min(most, track.cap)
    if count > most:
        return most, "memory ran out" if track.cap is not None else "the configuration", track
    if first != track.first:
        track = replace(track, first=first, trimmed=None)
    goal = min(most, first if track.trimmed is None else track.trimmed)
    if count < goal:
        return goal, "feed-forward", track
    target = config.targets.cpu_pct
    wanted, why, track = _trim(observation, lanes, track, cpu_pct(observation), target, most, min(first, most, 1))
    return wanted, why, track if wanted == count else replace(track, trimmed=wanted)


def _gpu(observation: Observation, lanes: Sequence[LaneView], track: Track) -> tuple[int, str, Track]:
    config, count = observation.swarm.config, len(lanes)
    if any(isinstance(gpu.state, Missing) for gpu in observation.gpus.values()):
        return count, "", track
    devices = sum(isinstance(gpu.state, Known) and gpu.state.known == "ok" for gpu in observation.gpus.values())
    first = devices * config.lanes.gpu_per_device
    if count < first or not devices:
        return max(first, count), "feed-forward", track
    most = devices * max(GPU_LANES_MAX, config.lanes.gpu_per_device)
    wanted, why, track = _trim(observation, lanes, track, gpu_pct(observation), config.targets.gpu_pct, most, first)
    return min(wanted, count + devices), why, track


def _trim(
    observation: Observation, lanes: Sequence[LaneView], track: Track, measured: Reading[float], target: float,
    most: int, least: int,
) -> tuple[int, str, Track]:  # fmt: skip
    """Feedback, on settled readings of lanes that were all at work."""
    count, mono, scale = len(lanes), observation.mono, observation.swarm.config.scale
    if isinstance(measured, Missing) or not past(track.changed, mono, max(WINDOW_S, scale.up_period_s)):
        return count, "", track
    advice = max(least, min(most, recommended(count, measured.known, target, scale.band_pct)))
    track = replace(track, window=track.window.add(mono, advice, scale.down_window_s))
    wanted = trimmed(count, advice, track.window, mono, scale)
    why = f"{measured.known:.0f} % used, the target is {target:.0f} %"
    if wanted > count and not past(track.busy, mono, WINDOW_S):
        return count, "", track
    if wanted < count:
        resident = sum(observation.now - lane.since < scale.residency_s for lane in lanes)
        wanted = min(count, max(wanted, resident))
    return wanted, why, track


def _seen(observation: Observation, track: Track, lanes: Sequence[LaneView], kind: LaneKind) -> Track:
    """The count as it is now; a change begins all windows anew, as does the time of another boot."""
    mono = observation.mono
    busy = lasting(track.busy, bool(lanes) and not free_lanes(observation, kind), mono)
    if len(lanes) != track.count or track.changed is None or track.changed > mono:
        track = replace(track, count=len(lanes), changed=mono, window=EMPTY)
    return replace(track, busy=busy) if busy != track.busy else track


def _oom(observation: Observation, memory: Memory) -> tuple[bool, Memory]:
    """Whether memory ran out since the last cycle: once for all deaths of one window."""
    newest = memory.oom_at
    for job in observation.jobs.values():
        if job.attempts and job.attempts[-1].class_ == "host_oom":
            newest = max(newest, job.attempts[-1].at)
    died = newest > memory.oom_at and observation.now - newest < OOM_RECENT_S
    kills = observation.host.oom_kills
    counted = isinstance(kills, Known) and memory.oom_kills is not None and kills.known > memory.oom_kills
    if newest != memory.oom_at or (isinstance(kills, Known) and kills.known != memory.oom_kills):
        memory = replace(memory, oom_at=newest, oom_kills=kills.known if isinstance(kills, Known) else memory.oom_kills)
    again = memory.cpu.cap is not None and 0 <= observation.mono - memory.cpu.capped < WINDOW_S
    return (died or counted) and not again, memory


def _settled_cap(observation: Observation, track: Track) -> Track:
    """One lane more for each window without an out-of-memory, until the feed-forward count is reached again."""
    if track.cap is None or 0 <= observation.mono - track.capped < WINDOW_S:
        return track
    free = observation.host.mem_free_mb
    if not isinstance(free, Known) or free.known < observation.swarm.config.lanes.keep_free_mb:
        return track
    cap = track.cap + 1
    return replace(track, cap=None if cap >= feed_forward(observation) else cap, capped=observation.mono)


def _relief(observation: Observation) -> list[Proposal]:
    """While memory is short, the youngest worker of a draining lane does not wait for its natural end."""
    free, keep_mb = observation.host.mem_free_mb, observation.swarm.config.lanes.keep_free_mb
    if not isinstance(free, Known) or free.known >= keep_mb / 2:
        return []
    draining = {lane.lane for lane in observation.lanes.values() if lane.state == "draining"}
    views = [view for view in observation.workers.values() if view.lane in draining]
    if any(view.record.state == "stopping" for view in views):
        return []
    views = [view for view in views if view.record.state in ("starting", "running")]
    if not views:
        return []
    worker = max(views, key=lambda view: (view.record.since, view.worker)).worker
    why = f"{free.known:.0f} MB of memory free and its lane is draining"
    return [ASK.asks(StopWorker(worker, FIRST_RUNG["scale"], "scale"), why, "host.mem_free_mb")]


AGENT = Agent("util_controller", Memory, propose)
