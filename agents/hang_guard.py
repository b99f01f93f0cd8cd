"""hang_guard: what takes too long, by class of operation, and what is done about it within bounds.

Watches silent and stopped workers, probes that do not answer, GPUs that hang, vanish or report fatal errors.
Asks for: StopWorker (stuck at rung 2, state T at rung 3; at most STOPS a cycle), RestartProbe with growing waits, Hold
and Release of GPUs, incidents.
Silent: after a gap of the daemon itself; while a disk cannot be written (nobody can report progress then); on missing
readings, which here only ever stop new spawns (detectors/placement.py).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..state.models.actions import (
    FIRST_RUNG,
    HoldSubject,
    OpenIncident,
    Proposal,
    ReleaseHold,
    RestartProbe,
    StopWorker,
)
from ..state.models.facts import GpuView, Known, Missing, Observation
from .api import Agent, Proposals, Voice
from .detectors.incidents import told
from .detectors.overdue import gap, overdue

ASK: Final = Voice("hang_guard")
STOPS: Final = 16
"""Workers stopped for silence in one cycle: when everything seems stuck it may be us."""
PROBE_WAIT_S: Final = 60.0
"""Longest wait between two starts of a probe that stays silent; it doubles from one second."""
PROBE_BLIND_S: Final = 60.0
"""A device without a reading for so long is an incident."""
GPU_CLASSES: Final = {"hung": "gpu_hung", "lost": "gpu_lost", "detached": "gpu_lost"}
GPU_HOLDS: Final = ("gpu_hung", "gpu_lost")
FATAL_XIDS: Final = frozenset((48, 62, 64, 74, 79, 92, 95, 109, 119, 120, 140))
"""They need the device to be reset or say that it is gone; others are the application's (NVIDIA, "Xid Errors")."""


@dataclass(frozen=True, slots=True)
class Memory:
    """`xids`: the newest error of each device that was answered. `restarts`: probe -> when it was last restarted."""

    xids: Mapping[str, int] = field(default_factory=dict)
    restarts: Mapping[str, float] = field(default_factory=dict)


def propose(observation: Observation, memory: Memory) -> tuple[Proposals, Memory]:
    found: list[Proposal] = []
    if not gap(observation.gap_s, observation.swarm.config.cycle.tick_s) and not _unwritable(observation):
        found += _workers(observation)
    restarts = dict(memory.restarts)
    for name, probe in observation.probes.items():
        found += _probe(observation, name, probe.state, probe.restarts, restarts)
    xids = dict(memory.xids)
    for uuid, gpu in observation.gpus.items():
        found += _gpu(observation, gpu, xids.get(uuid, 0))
        if isinstance(gpu.xid, Known):
            xids[uuid] = gpu.xid.known
    restarts = {name: at for name, at in restarts.items() if name in observation.probes}
    return found, Memory(xids, restarts)


def _workers(observation: Observation) -> list[Proposal]:
    working = [view for view in observation.workers.values() if view.record.state in ("starting", "running")]
    late = sorted((view.worker, why) for view in working if (why := overdue(view)))
    found: list[Proposal] = []
    for worker, said in late[:STOPS]:
        fact = f"workers.{worker}.{said.fact}"
        if not told(observation, "stuck", worker):
            found.append(ASK.asks(OpenIncident("stuck", worker, (fact,), said.why), said.why, fact))
        found.append(ASK.asks(StopWorker(worker, FIRST_RUNG[said.reason], said.reason), said.why, fact))
    return found


def _unwritable(observation: Observation) -> bool:
    """Whether a worker may be silent only because it cannot write its progress."""
    if observation.host.log_backlog:
        return True
    return any(isinstance(disk.writable, Known) and not disk.writable.known for disk in observation.host.disk.values())


def _probe(
    observation: Observation, name: str, state: str, count: int, restarts: dict[str, float]
) -> Iterator[Proposal]:
    fact = f"probes.{name}.state"
    if state == "ok":
        return
    if not told(observation, "probe", name):
        why = "it does not answer" if state == "silent" else "two of its helpers cannot be killed: no more are started"
        incident = OpenIncident("probe", name, (fact,), why, "warning" if state == "silent" else "critical")
        yield ASK.asks(incident, why, fact)
    last = restarts.get(name)
    if last is not None and last > observation.mono:
        last = None
    wait_s = min(PROBE_WAIT_S, 2.0 ** min(count, 16))
    if state == "silent" and (last is None or observation.mono - last >= wait_s):
        restarts[name] = observation.mono
        yield ASK.asks(RestartProbe(name), f"silent, restarted {count} times before", fact)


def _gpu(observation: Observation, gpu: GpuView, answered_xid: int) -> Iterator[Proposal]:
    fact = f"gpus.{gpu.uuid}.state"
    if isinstance(gpu.state, Missing):
        blind_s = observation.mono - gpu.state.since
        if blind_s >= PROBE_BLIND_S and not told(observation, "probe", gpu.uuid):
            why = f"no reading for {blind_s:.0f} s: {gpu.state.missing}"
            yield ASK.asks(OpenIncident("probe", gpu.uuid, (fact,), why, "warning"), why, fact)
        return
    class_, why = GPU_CLASSES.get(gpu.state.known, ""), f"the device is {gpu.state.known}"
    if not class_ and isinstance(gpu.xid, Known) and gpu.xid.known != answered_xid and gpu.xid.known in FATAL_XIDS:
        class_, why, fact = "gpu_lost", f"Xid {gpu.xid.known}", f"gpus.{gpu.uuid}.xid"
    if class_:
        yield from _hold(observation, gpu.uuid, class_, why, fact)
        return
    for name in GPU_HOLDS:
        if (held := observation.held(gpu.uuid, name)) and held.over(observation.now):
            yield ASK.asks(ReleaseHold(gpu.uuid, name), "its time has passed and the device is seen to be well", fact)


def _hold(observation: Observation, uuid: str, class_: str, why: str, fact: str) -> Iterator[Proposal]:
    """Nothing new starts there until it is tried again; a hold whose time passes without recovery begins anew."""
    if not told(observation, class_, uuid):
        yield ASK.asks(OpenIncident(class_, uuid, (fact,), why), why, fact)
    held = observation.held(uuid, class_)
    if held is None or held.over(observation.now):
        until = observation.now + observation.swarm.config.gpu.retry_s
        yield ASK.asks(HoldSubject(uuid, class_, why, until=until), why, fact)


AGENT = Agent("hang_guard", Memory, propose)
