"""Observations made by hand: a well host on which everything is as it should be, and what a test changes in it."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from btswarm.agents import discover
from btswarm.agents.api import Agent
from btswarm.state.models.actions import Action, Proposal
from btswarm.state.models.config import Config
from btswarm.state.models.facts import (
    AgentView,
    DiskView,
    FileView,
    GpuView,
    HostView,
    IncidentView,
    JobView,
    Known,
    LaneView,
    Missing,
    Observation,
    ProgressView,
    SwarmView,
    WorkerView,
)
from btswarm.state.models.names import command_job, cpu_lane, engine_job, gpu_lane, hold_name, is_command, lane_kind
from btswarm.state.models.records import Attempt, ClaimsRecord, Desired, Hold, JobSpec, Stop, WorkerRecord
from btswarm.state.models.state_files import CONTROL, FLEET, QUEUE

NOW, MONO = 1_800_000_000.0, 50_000.0
UUID = "GPU-11111111-2222-3333-4444-555555555555"
ROSTER = discover(())
PLAN = {"plan": {"symbols": ["SOLUSDT", "BTCUSDT"], "modes": ["balanced"], "data_path": "/candles"}}


def known(value: Any) -> Known[Any]:
    return Known(value, MONO)


def missing(why: str = "the probe did not answer") -> Missing:
    return Missing(why, MONO - 100.0)


def config(**tables: Any) -> Config:
    merged: dict[str, Any] = {**PLAN, **tables}
    return Config.model_validate(merged, strict=False)


def host(**changes: Any) -> HostView:
    disk = {root: DiskView(known(100_000.0), known(True)) for root in ("results", "state")}
    well = HostView(
        cpus=8.0, mem_mb=64_000, cpu_ours=known(85.0), cpu_others=known(2.0), mem_free_mb=known(32_000.0),
        oom_kills=known(0), pids_max=4096, pids_used=known(200), disk=disk, ballast_mb=known(256.0),
    )  # fmt: skip
    return replace(well, **changes)


def gpu(**changes: Any) -> GpuView:
    well = GpuView(
        UUID,
        0,
        known("ok"),
        known(85.0),
        known(4000.0),
        known(40_000.0),
        known(60.0),
        known(200.0),
        known(()),
        known(0),
    )
    return replace(well, **changes)


def lane(name: str, **changes: Any) -> LaneView:
    kind = lane_kind(name)
    return replace(LaneView(name, kind, "open", NOW - 1000.0, gpu_uuid=UUID if kind == "gpu" else ""), **changes)


def job(name: str, state: str = "running", *, spec: Mapping[str, Any] | None = None, **changes: Any) -> JobView:
    parts = name.split("/")
    if is_command(name):
        made = JobSpec(kind="command", lane_role="command", claims=ClaimsRecord(0.0, 16, 8), restart="always")
    else:
        made = JobSpec(stage=parts[3].partition(".")[0], symbol=parts[1], mode=parts[2])
    made = replace(made, **(spec or {}))
    return replace(JobView(name, made, state, NOW - 900.0), **changes)  # type: ignore[arg-type]


def died(job: JobView, worker: str, class_: str = "crash", steps: int = 0, at: float = NOW - 1.0) -> JobView:
    """The job queued again after this end."""
    attempt = Attempt(worker, class_, 1, steps, at)
    return replace(job, state="queued", worker="", attempts=(*job.attempts, attempt), tries=job.tries + 1)


def progress(**changes: Any) -> Known[ProgressView]:
    made = ProgressView("batch", 10, MONO - 1.0, 100, 5000.0, "combos", checkpoint=8, backend="cpu", device="cpu")
    return known(replace(made, **changes))


def worker(name: str, job: str, state: str = "running", **changes: Any) -> WorkerView:
    record = WorkerRecord(
        name, f"{'a' * 32}.{'b' * 32}", job, state, NOW - 500.0, "e" * 16, pid=100, start_ticks=7,  # type: ignore[arg-type]
        build="1", gpu_uuid=UUID if name.startswith("gpu") else "",
        claims=ClaimsRecord(0.0, 16, 8) if is_command(job) else ClaimsRecord(),
    )  # fmt: skip
    record = replace(record, **changes.pop("record", {}))
    well = WorkerView(
        record, True, missing("it lives"), progress(), 2.0, 60.0, known(1.9), known(300.0), known("R"),
        rss_mb=known(200.0), gpu_mem_mb=known(0.0),
    )  # fmt: skip
    return replace(well, **changes)


def stopping(view: WorkerView, rung: int = 1, reason: str = "drain") -> WorkerView:
    stop = Stop(rung, reason, NOW - 2.0, NOW + 18.0)  # type: ignore[arg-type]
    return replace(view, record=replace(view.record, state="stopping", stop=stop))


def hold(subject: str, class_: str, *, until: float | None = None, needs: str | None = None) -> dict[str, Hold]:
    return {hold_name(subject, class_): Hold("for a test", class_, NOW - 60.0, until, needs)}


def incident(class_: str, subject: str, seq: int = 9) -> dict[str, IncidentView]:
    name = f"i{seq}"
    return {name: IncidentView(name, class_, subject, "executed", "error", NOW - 5.0, seq)}


def desired(**changes: Any) -> Desired:
    return replace(Desired(life="run", plan=PLAN, plan_sha256="f" * 64), **changes)


def by_name(views: Iterable[Any]) -> dict[str, Any]:
    """Views under the name that their first field, or their record's, gives."""
    return {
        view.worker if isinstance(view, WorkerView) else getattr(view, fields(view)[0].name): view for view in views
    }


def observation(**changes: Any) -> Observation:
    """A swarm that is well and has nothing in it; lists of views become mappings."""
    for name in ("lanes", "jobs", "workers", "gpus", "files", "agents", "probes"):
        if isinstance(changes.get(name), list | tuple):
            changes[name] = by_name(changes[name])
    swarm = SwarmView(
        "a" * 32, "e" * 16, changes.pop("config", None) or config(), desired(), "bt-20270115_080000Z", 1, "1"
    )
    swarm = replace(swarm, **changes.pop("swarm", {}))
    base = Observation(cycle=1000, now=NOW, mono=MONO, swarm=swarm, host=host(), gap_s=1.0, draw=0x1234_5678_9ABC_DEF0)
    return replace(base, **changes)


def fleet(count: int, **changes: Any) -> Observation:
    """`count` engine workers at work, each in its lane with its job, and as many command workers; files and agents."""
    lanes, jobs, workers = [], [], []
    for n in range(count):
        names = engine_job(1, f"S{n}USDT", "balanced", "prescreen"), command_job("fill", n)
        for name, place, role in zip(names, (cpu_lane(n), cpu_lane(500 + n)), ("main", "command"), strict=True):
            lanes.append(lane(place, role=role, gen=3))
            jobs.append(job(name, worker=f"{place}@3", tries=1))
            workers.append(worker(f"{place}@3", name))
    files = [FileView(name, 2.0, True, limit_s=15.0) for name in (CONTROL, QUEUE, FLEET)]
    agents = [AgentView(one.name, runs=10, cycle=999, at=NOW - 1.0) for one in ROSTER.proposers]
    gpus, gpu_name = [gpu()], engine_job(1, "SOLUSDT", "balanced", "prescreen")
    lanes.append(lane(gpu_lane(0), gen=1))
    jobs.append(job(gpu_name, spec={"gpu": True}, worker="gpu0@1", tries=1))
    workers.append(worker("gpu0@1", gpu_name, progress=progress(backend="cuda", device="0", rate=9000.0)))
    made: dict[str, Any] = {"lanes": lanes, "jobs": jobs, "workers": workers, "files": files, "agents": agents}
    return observation(**{**made, "gpus": gpus, "host": host(cpus=2.0 * count), **changes})


def propose(agent: str, seen: Observation, memory: Any = None) -> tuple[list[Proposal], Any]:
    """What this agent asks for, and its memory afterwards."""
    one: Agent[Any] = next(one for one in ROSTER.proposers if one.name == agent)
    proposals, after = one.propose(seen, one.fresh() if memory is None else memory)
    return list(proposals), after


def actions(agent: str, seen: Observation, memory: Any = None) -> list[Action]:
    """The actions it asks for, incidents left out."""
    return [one.action for one in propose(agent, seen, memory)[0] if one.kind != "OpenIncident"]


def incidents(agent: str, seen: Observation, memory: Any = None) -> set[tuple[str, str]]:
    """Class and subject of the incidents it opens."""
    asked = propose(agent, seen, memory)[0]
    return {(one.action.class_, one.action.subject) for one in asked if one.kind == "OpenIncident"}  # type: ignore[union-attr]


def blinded(value: Any) -> Any:
    """The same with every reading missing."""
    if isinstance(value, Known):
        return missing()
    if is_dataclass(value) and not isinstance(value, type):
        old = {one.name: getattr(value, one.name) for one in fields(value)}
        new = {name: blinded(one) for name, one in old.items()}
        return replace(value, **{name: new[name] for name in old if new[name] is not old[name]})
    if isinstance(value, dict):
        return {name: blinded(one) for name, one in value.items()}
    return value
