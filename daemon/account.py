"""The run as people and scripts see it: what `btswarm query --json` prints and `session_latest.json` holds.

One pure function of an observation, so that a simulator, the file and the socket tell the same. A figure that could not
be measured is null and its reason stands beside it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from ..agents.detectors.use import cpu_pct
from ..state.models.facts import UNSEEN, GpuView, Hold, JobView, LaneView, Observation, WorkerView
from ..state.models.readings import Known, Missing, Reading
from ..state.models.records import IncidentRecord, NextStep

VERSION: Final = 1
CONTINUITY_AGENT: Final = "session_state_manager"
JOBS_LISTED: Final = 200


class Continuity(Protocol):
    """What session_state_manager keeps in mind."""

    @property
    def stage(self) -> str: ...

    @property
    def health(self) -> str: ...

    @property
    def conditions(self) -> Mapping[str, bool]: ...

    @property
    def next_steps(self) -> tuple[NextStep, ...]: ...


def account(observation: Observation, continuity: Continuity | None) -> dict[str, Any]:
    """Plain values and records that `state.wire.encode` turns into JSON. `continuity`: None while nobody keeps it."""
    swarm, desired = observation.swarm, observation.swarm.desired
    return {
        "v": VERSION,
        "swarm_id": swarm.swarm_id,
        "run_id": swarm.run,
        "stage": continuity.stage if continuity else "unknown",
        "round": swarm.round,
        "health": continuity.health if continuity else "unknown",
        "health_why": why_not_well(observation),
        "conditions": continuity.conditions if continuity else {},
        "at": observation.now,
        "cycle": observation.cycle,
        "since": swarm.since,
        "build": swarm.build,
        "desired": {"life": desired.life, "paused": desired.paused, "draining": desired.draining,
                    "cancel": desired.cancel, "plan_sha256": desired.plan_sha256},
        "plan": {"symbols": swarm.config.plan.symbols, "modes": swarm.config.plan.modes,
                 "data_path": swarm.config.plan.data_path},
        "next_steps": continuity.next_steps if continuity else (),
        "run_gates": observation.run_gates,
        "incidents": [_incident(one, observation.now) for one in observation.incidents.values()],
        "holds": holds_of(observation),
        "agents": {name: _agent(observation, name) for name in sorted(observation.agents)},
        "workers": [_worker(one, observation.now) for one in observation.workers.values()],
        "lanes": {name: _lane(lane, observation) for name, lane in observation.lanes.items()},
        "utilisation": utilisation(observation),
        "throughput": throughput(observation),
        "host": _host(observation),
        "queue": _queue(observation),
        "files": {name: {"age_s": _rounded(file.age_s), "valid": file.valid, "fault": file.fault,
                         "limit_s": file.limit_s}
                  for name, file in sorted(observation.files.items())},
        "verify": [{"action": item.action, "subject": item.subject, "done_when": item.done_when, "due": item.due}
                   for item in observation.verify],
        "probes": {name: {"state": probe.state, "since": probe.since, "why": probe.why}
                   for name, probe in observation.probes.items()},
        "artifacts": observation.artifacts,
        "leaderboard": observation.leaderboard,
        "searches": observation.searches,
    }  # fmt: skip


def why_not_well(observation: Observation) -> str:
    """The first thing that is not as it should be, empty when all is."""
    order = ("critical", "error", "warning")
    worst = sorted(
        observation.incidents.values(),
        key=lambda one: (one.state != "escalated", order.index(one.severity) if one.severity in order else len(order)),
    )
    if worst:
        more = f" and {len(worst) - 1} more incidents" if len(worst) > 1 else ""
        return f"{worst[0].class_} of {worst[0].subject}{more}"
    bad = [name for name, file in observation.files.items() if not file.valid]
    if bad:
        return f"{bad[0]} is not as it should be"
    count = len(observation.holds)
    return f"{count} hold{'s' * (count > 1)}" if count else ""


AT_WORK: Final = ("batch", "trial")
"""Phases whose rate is the search's."""
_OPEN: Final = frozenset({"waiting", "queued", "running", "held"})


def holds_of(observation: Observation) -> list[dict[str, Any]]:
    """Every hold there is, and what ends it."""
    found: list[tuple[str, Hold]] = [(name.rpartition("#")[0], hold) for name, hold in observation.holds.items()]
    seen = set(observation.holds.values())
    records: list[JobView | LaneView] = [*observation.jobs.values(), *observation.lanes.values()]
    found += [
        (record.job if isinstance(record, JobView) else record.lane, record.hold)
        for record in records
        if record.hold and record.hold not in seen
    ]
    found += [(agent.name, agent.quarantine) for agent in observation.agents.values() if agent.quarantine]
    return [{"subject": subject, "class": hold.class_, "reason": hold.reason, "since": hold.since, "until": hold.until,
             "needs": hold.needs} for subject, hold in found]  # fmt: skip


def utilisation(observation: Observation) -> dict[str, Any]:
    """Against the targets. The CPU's `pct` is of what other processes leave us, `ours_pct` and `others_pct` of all of
    it; the GPU's is the mean of those that could be read."""
    targets = observation.swarm.config.targets
    gpus = list(observation.gpus.values())
    return {
        "cpu": {**_reading(cpu_pct(observation)), "target_pct": targets.cpu_pct,
                "ours_pct": _value(observation.host.cpu_ours), "others_pct": _value(observation.host.cpu_others)},
        "gpu": {**_reading(_mean_of_gpus(gpus)), "target_pct": targets.gpu_pct,
                "devices": {gpu.uuid: {"index": gpu.index, "state": _value(gpu.state), "pct": _value(gpu.util_pct),
                                       "mem_used_mb": _value(gpu.mem_used_mb)} for gpu in gpus}},
    }  # fmt: skip


def throughput(observation: Observation) -> dict[str, float]:
    """What engine workers get done a second at this moment, by their own reports."""
    rates = {"combos": 0.0, "trials": 0.0}
    for view in observation.workers.values():
        if view.record.living and isinstance(view.progress, Known):
            said = view.progress.known
            if said.phase in AT_WORK and said.unit in rates and said.rate:
                rates[said.unit] += said.rate
    return {"combos_per_s": round(rates["combos"], 1), "trials_per_s": round(rates["trials"], 3)}


def _mean_of_gpus(gpus: Sequence[GpuView]) -> Reading[float]:
    known = [gpu.util_pct for gpu in gpus if isinstance(gpu.util_pct, Known)]
    if not gpus:
        return Missing("skip_gpu_actions_no_gpu_detected", 0.0)
    return Known(sum(one.known for one in known) / len(known), known[0].at) if known else UNSEEN


def _reading(reading: Reading[float]) -> dict[str, Any]:
    if isinstance(reading, Known):
        return {"pct": round(reading.known, 1), "missing": None}
    return {"pct": None, "missing": reading.missing}


def _value(reading: Reading[Any]) -> Any:
    return reading.known if isinstance(reading, Known) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _incident(one: IncidentRecord, now: float) -> dict[str, Any]:
    return {"incident": one.incident, "class": one.class_, "subject": one.subject, "state": one.state,
            "severity": one.severity, "since": one.since, "age_s": round(now - one.since, 1), "why": one.why,
            "actions": one.actions, "due": one.due, "needs": one.needs}  # fmt: skip


def _agent(observation: Observation, name: str) -> dict[str, Any]:
    record = observation.agents[name]
    age = round(observation.now - record.at, 1) if record.at else None
    limit = 3 * observation.swarm.config.cycle.tick_s
    return {"last_run": record.at or None, "age_s": age, "fresh": age is not None and age <= limit,
            "runs": record.runs, "crashes": record.crashes, "failures": record.failures, "health": record.health,
            "quarantine": record.quarantine.reason if record.quarantine else None}  # fmt: skip


def _worker(one: WorkerView, now: float) -> dict[str, Any]:
    progress = one.progress.known if isinstance(one.progress, Known) else None
    record = one.record
    return {"worker": record.worker, "lane": record.lane, "job": record.job, "state": record.state, "pid": record.pid,
            "since": record.since, "age_s": round(now - record.since, 1), "adopted": record.adopted,
            "phase": progress.phase if progress else None, "step": progress.step if progress else None,
            "steps": progress.steps if progress else None, "rate": progress.rate if progress else None,
            "unit": progress.unit if progress else "", "backend": progress.backend if progress else "",
            "quiet_s": round(one.quiet_s, 1), "quiet_limit_s": round(one.quiet_limit_s, 1),
            "rss_mb": _value(one.rss_mb),
            "stop": {"rung": record.stop.rung, "reason": record.stop.reason, "due": record.stop.due}
            if record.stop else None, "log": record.log}  # fmt: skip


def _lane(lane: LaneView, observation: Observation) -> dict[str, Any]:
    paused = lane.lane in observation.swarm.desired.paused
    return {"kind": lane.kind, "role": lane.role, "state": "paused" if paused else lane.state, "gen": lane.gen,
            "gpu_uuid": lane.gpu_uuid, "hold": lane.hold.reason if lane.hold else None}  # fmt: skip


def _host(observation: Observation) -> dict[str, Any]:
    host = observation.host
    return {"cpus": host.cpus, "mem_mb": host.mem_mb, "mem_free_mb": _value(host.mem_free_mb),
            "pids_used": _value(host.pids_used), "pids_max": host.pids_max, "log_backlog": host.log_backlog,
            "disk": {root: {"free_mb": _value(disk.free_mb), "writable": _value(disk.writable)}
                     for root, disk in host.disk.items()}}  # fmt: skip


def _queue(observation: Observation) -> dict[str, Any]:
    """Counts of all jobs; of those that are not over, the first in the order they would run."""
    jobs = observation.jobs.values()
    open_ = sorted(
        (job for job in jobs if job.state in _OPEN), key=lambda job: (-job.priority, job.not_before, job.job)
    )
    return {
        "counts": dict(Counter(job.state for job in jobs)),
        "jobs": [{"job": job.job, "state": job.state, "priority": job.priority, "worker": job.worker,
                  "tries": job.tries, "not_before": job.not_before or None, "after": job.after,
                  "last": job.attempts[-1].class_ if job.attempts else None} for job in open_[:JOBS_LISTED]],
        "left_out": max(0, len(open_) - JOBS_LISTED),
    }  # fmt: skip
