"""One swarm's life in which every kind of event that changes records happens: what the golden files were made of.

`python -m btswarm.tests.state.story FOLDER` writes them for a new version. Those of a version that was released are
never made again.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from btswarm.state.disk import Disk, RealDisk
from btswarm.state.eventlog import EventLog
from btswarm.state.models.events import Draft
from btswarm.state.models.records import AgentRecord, NextStep, RunGate
from btswarm.state.models.state_files import (
    CONTROL,
    FILES,
    FLEET,
    LATEST,
    QUEUE,
    AgentFile,
    AgentHeader,
    DoneAction,
    Payload,
    agent_rule,
)
from btswarm.state.replay import Live, Recorder, SwarmState
from btswarm.state.store import Store
from btswarm.tests.state.fixtures import (
    BOOT,
    RUN,
    SENTRY,
    SWARM,
    UTC,
    exited,
    finished,
    hold,
    opened,
    queued,
    spawning,
    stamp,
    started,
)

SCREEN = "r1/SOLUSDT/balanced/prescreen"
OPTIMIZE = "r1/SOLUSDT/balanced/optimize"
VALIDATE = "r1/SOLUSDT/balanced/validate"
BAD = "r1/BTCUSDT/balanced/prescreen"
FILL = "cmd/fill.0"
GPU = "GPU-8f6f0d6c-0000-0000-0000-000000000001"


def beginning() -> Iterator[Draft]:
    data = {"swarm_id": SWARM, "epoch": BOOT, "build": "0.1.0", "config": "c0ffee", "pid": 4000, "start": "fresh"}
    yield Draft("daemon.started", "swarm", data)
    for agent in ("worker_sentry", "curator"):
        yield Draft("agent.loaded", agent, {"source": f"btswarm.agents.{agent}"})
    plan = {"symbols": ["SOLUSDT", "BTCUSDT"], "modes": ["balanced"]}
    desired = {"life": "run", "plan": plan, "plan_sha256": "5" * 64, "paused": [OPTIMIZE], "cancel": [VALIDATE]}
    yield Draft("command.accepted", "swarm", {"id": "c1", "cmd": "launch", "args": {"plan": plan}, "desired": desired})
    lane = {"kind": "gpu", "role": "main", "gpu_uuid": GPU, "claims": {"cpus": 1.0, "mem_mb": 2048, "pids": 64}}
    yield Draft("lane.opened", "gpu0", lane)
    yield opened("cpu000", "cpu001", "cpu002")
    yield Draft("round.started", "r1", {"run": RUN, "round": 1, "plan_sha256": "5" * 64, "seed": 7})
    yield queued(SCREEN, BAD)
    yield queued(OPTIMIZE, after=[SCREEN])
    yield queued(VALIDATE, after=[OPTIMIZE], priority=3)
    command = {"kind": "command", "argv": ["sleep", "60"], "lane_role": "command", "restart": "always"}
    yield Draft("job.queued", "cmd", {"jobs": [{"job": FILL, "spec": command}]})


def work() -> Iterator[Draft]:
    yield spawning("gpu0@1", SCREEN, gpu_uuid=GPU, claims={"cpus": 1.0, "mem_mb": 2048, "pids": 64, "gpu_mem_mb": 900})
    yield started("gpu0@1")
    budget = {"level": 4.0, "mono": 111.5, "n": 1, "deaths": 1, "best_step": 40}
    again = {"state": "queued", "not_before": UTC + 14}
    yield exited("gpu0@1", SCREEN, steps=40, then=again, restarts=budget)
    yield spawning("gpu0@2", SCREEN, gpu_uuid=GPU)
    yield Draft("worker.adopted", "gpu0@2", {"pid": 4300, "start_ticks": 99, "state": "starting"})
    yield exited("gpu0@2", SCREEN, "done", state="exited", steps=500)
    yield finished(SCREEN, artifacts=["phase0_top500.json"], queued=[OPTIMIZE])
    yield exited("gpu0@2", SCREEN, "done")
    yield spawning("cpu000@1", BAD)
    yield started("cpu000@1")
    yield Draft("worker.stopping", "cpu000@1", {"rung": 2, "reason": "stuck", "due": UTC + 33})
    yield Draft("worker.unkillable", "cpu000@1", {"pids": [4242]})
    yield Draft("lane.quarantined", "cpu000", {"hold": hold("unkillable", None, "reboot the host")})
    yield spawning("cpu001@1", OPTIMIZE)
    yield started("cpu001@1", "running")
    smaller = {"job": f"{OPTIMIZE}.half", "spec": {"stage": "optimize", "volume": {"trials": 100}}}
    yield exited("cpu001@1", OPTIMIZE, "over_budget")
    yield Draft("job.replaced", OPTIMIZE, {"by": smaller})
    yield spawning("cpu001@2", FILL)
    yield started("cpu001@2", "running")
    yield spawning("cpu002@1", f"{OPTIMIZE}.half")
    yield exited("cpu002@1", f"{OPTIMIZE}.half", "cannot_write", state="failed")
    yield Draft("job.held", f"{OPTIMIZE}.half", {"hold": hold("poison", UTC + 3600)})
    yield Draft("hold.released", f"{OPTIMIZE}.half", {"class": "poison"})
    yield Draft("hold.set", f"{OPTIMIZE}.half", {"hold": hold("storage", UTC + 30)})
    gate = {"gate": "preflight", "met": "failed", "evidence": "preflight.json", "cancelled": [VALIDATE]}
    yield Draft("job.gated", "r1/SOLUSDT/balanced", gate)


def trouble() -> Iterator[Draft]:
    facts = {"class": "unkillable", "why": "4 rungs", "evidence": [21, "workers.cpu000@1"], "due": UTC + 60}
    yield Draft("incident.detected", "cpu000@1", facts, agent="hang_guard")
    facts = {"class": "crash", "why": "exit 1"}
    yield Draft("incident.detected", "gpu0@1", facts, severity="warning")


def repair(first: str, second: str) -> Iterator[Draft]:
    yield Draft("incident.classified", "cpu000@1", {"incident": first, "action": "quarantine"})
    yield Draft("incident.executed", "cpu000@1", {"incident": first, "action": "Hold", "due": UTC + 90})
    yield Draft("incident.escalated", "cpu000@1", {"incident": first, "why": "still there", "needs": "reboot"})
    for step in ("classified", "executed", "verified", "closed"):
        kind: Any = f"incident.{step}"
        yield Draft(kind, "gpu0@1", {"incident": second, "action": "SpawnWorker", "seen": "gpu0@2 runs"})
    yield Draft("hold.set", "swarm", {"hold": hold("cannot_write")})
    yield Draft("hold.set", GPU, {"hold": hold("gpu_lost", UTC + 600)})
    yield Draft("hold.released", "swarm", {"class": "cannot_write"})
    yield Draft("agent.raised", "curator", {"error": "KeyError: 'x'", "failures": 2}, agent="curator")
    yield Draft("agent.overran", "curator", {"failures": 3}, agent="curator")
    yield Draft("agent.quarantined", "curator", {"hold": hold("agent", None, "btswarm release curator")})
    opens = {"action": "RestartProbe", "subject": "gpu", "done_when": "probe_answers", "due": UTC + 10}
    yield Draft("probe.silent", "gpu", {"why": "no answer for 5 s", "restarts": 1, "opens": opens})
    yield Draft("probe.silent", "provider", {"why": "no answer"})
    yield Draft("probe.restored", "provider", {})
    down = {"kind": "cpu", "role": "main", "from": 3, "to": 2, "lanes": ["cpu002"], "flap": 29.0}
    yield Draft("scale.down", "cpu", down)
    yield Draft("lane.closed", "cpu002")
    yield Draft("lane.restored", "cpu000")
    yield Draft("command.accepted", "swarm", {"id": "c2", "cmd": "reload", "args": {}, "config": "c0ffef"})
    outcomes = {"closed": ["BTCUSDT/balanced"], "held": ["SOLUSDT/balanced"]}
    round_ = {"round": 1, "jobs": {"done": 1, "cancelled": 1}, "counts": {"closed": 1, "held": 1}, "outcomes": outcomes}
    yield Draft("round.finished", "r1", round_)
    yield Draft("clock.jumped", "clock", {"by_s": 3.5})


def tell(log: EventLog) -> Recorder:
    """The whole story, into an opened log."""
    recorder = Recorder(Live(SwarmState()), log)
    at = 0.0
    for chapter in (beginning, work, trouble):
        for draft in chapter():
            recorder.record(draft, stamp(at, cycle=1 + int(at)))
            at += 0.5
    for draft in repair(*sorted(recorder.live.incidents)):
        recorder.record(draft, stamp(at, cycle=1 + int(at)))
        at += 0.5
    log.flush()
    recorder.live.note_agents([AgentRecord("worker_sentry", runs=40, cycle=40, at=UTC + at, health="ok")])
    step = NextStep("n1", "maintain_polling_and_keep_workers_saturated", "swarm", "all is well", True)
    recorder.live.note_plan((step,), (RunGate("phase0", "met", "phase0_top500.json"), RunGate("verdict", "open")))
    return recorder


def payloads(state: SwarmState) -> dict[str, Payload]:
    done = DoneAction("SpawnWorker", "gpu0@2", "crashed", "done", 14)
    header = AgentHeader(UTC + 40, 40, RUN, "ok", {CONTROL: 0.5, QUEUE: None}, (done,))
    return {
        CONTROL: state.control,
        QUEUE: state.queue,
        FLEET: state.fleet,
        LATEST: {"run_id": RUN, "health": "ok", "next_steps": [{"id": "n1"}]},
        SENTRY: AgentFile(header, {"since": {"gpu0@1": 3.5}}),
    }


def write(folder: Path, disk: Disk) -> None:
    """The golden files into an empty folder."""
    log = EventLog(folder, disk, copies={})
    log.open()
    recorder = tell(log)
    store = Store(folder, disk, {**FILES, SENTRY: agent_rule("worker_sentry")}, uid=0, writer="4000 12345 0.1.0")
    store.save(payloads(recorder.state), stamp(40, cycle=40), recorder.state.seq)


if __name__ == "__main__":
    write(Path(sys.argv[1]), RealDisk())
