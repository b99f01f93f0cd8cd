"""What the tests of the state room are made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from btswarm.state.eventlog import EventLog, Stamp
from btswarm.state.models.events import Draft
from btswarm.state.models.state_files import FILES, agent_file, agent_rule
from btswarm.state.replay import Live, Recorder, SwarmState
from btswarm.state.store import Store
from btswarm.tests.sim.disk import FakeDisk

ROOT = Path("/state")
BOOT = "b" * 16
RUN = "bt-20260101_000000Z"
SWARM = "5" * 32
UTC = 1_767_225_600.0
SENTRY = agent_file("worker_sentry")


def stamp(at: float = 0.0, cycle: int = 1, boot: str = BOOT) -> Stamp:
    """`at` seconds into the test."""
    return Stamp(UTC + at, 100.0 + at, boot, RUN, cycle)


def log_on(disk: FakeDisk, **settings: Any) -> EventLog:
    return EventLog(ROOT, disk, **settings)


def store_on(disk: FakeDisk) -> Store:
    rules = {**FILES, SENTRY: agent_rule("worker_sentry")}
    return Store(ROOT, disk, rules, uid=disk.uid, writer="1 2 0.1.0")


def recorder_on(disk: FakeDisk) -> Recorder:
    log = log_on(disk)
    log.open()
    return Recorder(Live(SwarmState()), log)


def told(text: str = "x", subject: str = "host") -> Draft:
    """An event that changes nothing."""
    return Draft("clock.jumped", subject, {"text": text})


def opened(*lanes: str) -> Draft:
    return Draft("scale.up", "cpu", {"kind": "cpu", "role": "main", "from": 0, "to": len(lanes), "lanes": list(lanes)})


def queued(*jobs: str, **more: Any) -> Draft:
    spec = {"stage": "prescreen", "symbol": "S", "mode": "balanced"}
    return Draft("job.queued", "r1", {"jobs": [{"job": job, "spec": spec, **more} for job in jobs]})


def spawning(worker: str, job: str, **more: Any) -> Draft:
    data = {
        "job": job,
        "token": f"{SWARM}.{'1' * 32}",
        "epoch": BOOT,
        "build": "0.1.0",
        "log": f"/logs/{worker}.log",
        "start_due": UTC + 120,
        "spawn": 99.0,
    }
    return Draft("worker.spawning", worker, data | more)


def started(worker: str, state: str = "starting") -> Draft:
    return Draft("worker.started", worker, {"pid": 4242, "start_ticks": 77, "state": state})


def exited(worker: str, job: str, class_: str = "crash", state: str = "reaped", **more: Any) -> Draft:
    code = 0 if class_ == "done" else -9
    return Draft("worker.exited", worker, {"job": job, "state": state, "class": class_, "code": code, **more})


def finished(job: str, **more: Any) -> Draft:
    return Draft("job.finished", job, {"state": "done", **more})


def hold(class_: str = "crash", until: float | None = UTC + 60, needs: str | None = None) -> Mapping[str, Any]:
    return {"reason": "because", "class": class_, "since": UTC, "until": until, "needs": needs}
