"""What is wrong with the world rather than with one worker: when each of these incidents is over, by what is seen.

An incident that an agent opened has nobody who comes back to it; here it is looked at in every cycle until the next
observation shows the contrary of what it says. One row a class; a class without a row ends by what was done about it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ..agents.detectors.overdue import MISSED_TICKS
from ..agents.detectors.placement import startables
from ..agents.detectors.use import cpu_pct, gpu_pct
from ..agents.watchdog import SILENT_S
from ..state.models.facts import Observation
from ..state.models.names import is_command, subject_kind
from ..state.models.readings import Known
from ..state.models.records import IncidentRecord

Over = Callable[[IncidentRecord, Observation], Any]
ROOM: Final = 1.1
"""Free space over the floor, as a factor of it, at which a full disk is full no more."""


def over(incident: IncidentRecord, observation: Observation) -> Any:
    """What was seen that ends it, None while it lasts or while nobody could look."""
    look = ROWS.get(incident.class_)
    return look(incident, observation) if look else None


def _room(incident: IncidentRecord, observation: Observation) -> Any:
    disk = observation.host.disk.get(incident.subject)
    floor_mb = observation.swarm.config.disk.floor_mb
    if disk is None or not isinstance(disk.free_mb, Known) or not isinstance(disk.writable, Known):
        return None
    if not disk.writable.known or disk.free_mb.known < ROOM * floor_mb or observation.host.log_backlog:
        return None
    return {"free_mb": round(disk.free_mb.known), "floor_mb": floor_mb}


def _answers(_incident: IncidentRecord, observation: Observation) -> Any:
    silent_s = observation.host.disk_silent_s
    return None if silent_s >= SILENT_S else {"silent_s": round(silent_s, 3)}


def _valid(incident: IncidentRecord, observation: Observation) -> Any:
    file = observation.files.get(incident.subject)
    if file is None or not file.valid or file.fault or (file.age_s or 0.0) > (file.limit_s or float("inf")):
        return None
    return {"valid": True, "age_s": file.age_s}


def _probe_answers(incident: IncidentRecord, observation: Observation) -> Any:
    probe, gpu = observation.probes.get(incident.subject), observation.gpus.get(incident.subject)
    if probe is not None:
        return {"state": "ok"} if probe.state == "ok" else None
    return {"state": gpu.state.known} if gpu is not None and isinstance(gpu.state, Known) else None


def _device_well(incident: IncidentRecord, observation: Observation) -> Any:
    """Only of a device; of a job it ends when the job runs again."""
    gpu = observation.gpus.get(incident.subject)
    well = gpu is not None and isinstance(gpu.state, Known) and gpu.state.known == "ok"
    return {"state": "ok"} if well and observation.held(incident.subject, incident.class_) is None else None


def _somebody_works(_incident: IncidentRecord, observation: Observation) -> Any:
    living = sum(view.record.living for view in observation.workers.values())
    if living or not startables(observation):
        return {"workers": living}
    return None


def _steps(_incident: IncidentRecord, observation: Observation) -> Any:
    quiet = [view.quiet_s for view in observation.workers.values()
             if view.record.state == "running" and not is_command(view.job)]  # fmt: skip
    if not quiet:
        return {"engine_workers": 0}
    return {"quiet_s": round(min(quiet), 1)} if min(quiet) < 60.0 else None


def _used(incident: IncidentRecord, observation: Observation) -> Any:
    targets, scale = observation.swarm.config.targets, observation.swarm.config.scale
    use = cpu_pct(observation) if incident.subject == "cpu" else gpu_pct(observation)
    target = targets.cpu_pct if incident.subject == "cpu" else targets.gpu_pct
    if isinstance(use, Known) and use.known >= target * (1.0 - scale.band_pct / 100.0):
        return {"pct": round(use.known, 1), "target_pct": target}
    return None if startables(observation) else {"queued": 0}


def _same_build(_incident: IncidentRecord, observation: Observation) -> Any:
    build = observation.swarm.build
    others = [view for view in observation.workers.values() if view.record.build != build and not is_command(view.job)]
    return None if others else {"build": build}


def _seeded(incident: IncidentRecord, observation: Observation) -> Any:
    view = observation.workers.get(incident.subject)
    if view is None or not view.record.living:
        return _gone(incident, observation)
    seeds = view.progress.known.seeds if isinstance(view.progress, Known) else None
    return {"seeds": seeds} if seeds else None


def _gone(incident: IncidentRecord, observation: Observation) -> Any:
    """Of a worker: nothing of it is left. What is about a job is not for here."""
    if subject_kind(incident.subject) != "worker" or incident.subject in observation.workers:
        return None
    return {"worker": "gone"}


def _runs(incident: IncidentRecord, observation: Observation) -> Any:
    agent = observation.agents.get(incident.subject)
    if agent is None or not agent.runs or agent.quarantine:
        return None
    missed = observation.cycle - agent.cycle
    return {"runs": agent.runs, "cycles_ago": missed} if missed <= MISSED_TICKS else None


def _not_open(incident: IncidentRecord, observation: Observation) -> Any:
    open_ = {item.id for item in observation.verify}
    return None if any(f"v{one}" in open_ for one in incident.evidence) else {"open": False}


ROWS: Final[Mapping[str, Over]] = {
    "disk_full": _room,
    "disk_silent": _answers,
    "state_file": _valid,
    "probe": _probe_answers,
    "gpu_hung": _device_well,
    "gpu_lost": _device_well,
    "no_worker": _somebody_works,
    "stalled": _steps,
    "low_utilisation": _used,
    "drift": _same_build,
    "no_seeds": _seeded,
    "slow_kernel": _gone,
    "stuck": _gone,
    "cpu_fallback": _gone,
    "over_budget": _gone,
    "orphan": _gone,
    "unkillable": _gone,
    "agent": _runs,
    "verify_late": _not_open,
}
