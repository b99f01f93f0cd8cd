"""Random histories of a swarm: mostly what a daemon would write, some of it impossible and refused."""

from collections.abc import Callable, Sequence
from typing import Any

from btswarm.state.models.events import Draft
from btswarm.state.models.names import worker_name
from btswarm.state.models.transitions import EventRefused
from btswarm.state.replay import Recorder, SwarmState
from btswarm.tests.state.fixtures import (
    BOOT,
    RUN,
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
    told,
)

LANES = ("cpu000", "cpu001", "gpu0")
JOBS = ("r1/S/balanced/prescreen", "r1/S/balanced/optimize", "r2/S/balanced/prescreen", "cmd/fill.0")
Choices = Sequence[int]
Make = Callable[[SwarmState, Choices], Draft]


def pick(options: Sequence[Any], choice: int) -> Any:
    return options[choice % len(options)]


def some_worker(state: SwarmState, choice: int) -> str:
    return str(pick(sorted(state.fleet.workers) or ["cpu000@1"], choice))


def job_of(state: SwarmState, worker: str) -> str:
    known = state.fleet.workers.get(worker)
    return known.job if known else JOBS[0]


def some_incident(state: SwarmState, choice: int) -> str:
    return str(pick(sorted(state.control.incidents) or ["i1"], choice))


def spawn(state: SwarmState, choices: Choices) -> Draft:
    lane = pick(LANES, choices[0])
    gen = state.fleet.lanes[lane].gen if lane in state.fleet.lanes else 0
    worker = worker_name(lane, max(1, gen + pick((1, 1, 1, 2, 0), choices[1])))
    restarts = {"level": float(choices[2] % 5), "mono": 100.0, "n": choices[2] % 3}
    return spawning(worker, pick(JOBS, choices[2]), restarts=restarts)


def end(state: SwarmState, choices: Choices) -> Draft:
    worker = some_worker(state, choices[0])
    then: list[dict[str, Any]] = [
        {},
        {"then": {"state": "queued", "not_before": UTC + choices[1]}},
        {"then": {"state": "held", "hold": hold("poison")}},
        {"then": {"state": "queued"}, "restarts": {"level": 1.5, "mono": 99.0, "n": 1, "deaths": 2}},
    ]
    ending = pick(("exited", "reaped", "failed"), choices[2])
    return exited(
        worker, job_of(state, worker), pick(("crash", "done", "stuck"), choices[1]), ending, **pick(then, choices[1])
    )


def stop(state: SwarmState, choices: Choices) -> Draft:
    data = {"rung": pick((1, 2, 3), choices[1]), "reason": "drain", "due": UTC + 20}
    return Draft("worker.stopping", some_worker(state, choices[0]), data)


def adopt(state: SwarmState, choices: Choices) -> Draft:
    worker = some_worker(state, choices[0])
    known = state.fleet.workers.get(worker)
    there = known.state if known and known.state != "intended" else "starting"
    return Draft("worker.adopted", worker, {"pid": 9, "start_ticks": 8, "state": there})


def step(kind: Any) -> Make:
    def make(state: SwarmState, choices: Choices) -> Draft:
        name = some_incident(state, choices[0])
        known = state.control.incidents.get(name)
        data = {"incident": name, "action": "SpawnWorker", "seen": choices[1], "due": None}
        return Draft(kind, known.subject if known else "x", data)

    return make


def set_hold(_state: SwarmState, choices: Choices) -> Draft:
    subject = pick((*JOBS, *LANES, "swarm", "GPU-1"), choices[0])
    return Draft("hold.set", subject, {"hold": hold(pick(("crash", "cannot_write"), choices[1]))})


def release(_state: SwarmState, choices: Choices) -> Draft:
    subject = pick((*JOBS, *LANES, "swarm", "GPU-1", "curator"), choices[0])
    return Draft("hold.released", subject, {"class": pick(("crash", "cannot_write", "poison"), choices[1])})


def command(_state: SwarmState, choices: Choices) -> Draft:
    desired = pick(
        ({"paused": ["swarm"]}, {"paused": []}, {"cancel": [JOBS[0]]}, {"life": "run", "plan": {"symbols": ["S"]}}),
        choices[0],
    )
    return Draft("command.accepted", "swarm", {"id": f"c{choices[1]}", "cmd": "pause", "args": {}, "desired": desired})


def open_item(_state: SwarmState, choices: Choices) -> Draft:
    opens = {"action": "RestartProbe", "subject": "gpu", "done_when": "probe_answers", "due": UTC + 10}
    return Draft("probe.silent", "gpu", {"why": "late", "restarts": choices[0] % 4, "opens": opens})


def close_item(state: SwarmState, choices: Choices) -> Draft:
    items = [item.id for item in state.fleet.verify] or ["v1"]
    return Draft("probe.restored", "gpu", {"closes": [pick(items, choices[0])]})


def start_daemon(_state: SwarmState, choices: Choices) -> Draft:
    epoch = pick((BOOT, "c" * 16), choices[0])
    data = {"swarm_id": SWARM, "epoch": epoch, "build": "0.1.0", "config": "x", "pid": 1, "start": "crash"}
    return Draft("daemon.started", "swarm", data)


def lane(_state: SwarmState, choices: Choices) -> Draft:
    name = pick(LANES, choices[0])
    down = {"kind": "cpu", "role": "main", "from": 1, "to": 0, "lanes": [name], "flap": 29.0}
    drafts = (
        opened(name),
        opened(name),
        Draft("lane.opened", name, {"kind": "cpu", "role": "main", "gpu_uuid": "GPU-1"}),
        Draft("lane.closed", name),
        Draft("lane.restored", name),
        Draft("lane.quarantined", name, {"hold": hold("gpu_lost")}),
        Draft("scale.down", "cpu", down),
    )
    return pick(drafts, choices[1])  # type: ignore[no-any-return]


def enqueue(_state: SwarmState, choices: Choices) -> Draft:
    return queued(pick(JOBS, choices[0]), after=[pick(JOBS, choices[1])] if choices[2] % 2 else [])


def job(_state: SwarmState, choices: Choices) -> Draft:
    name, other = pick(JOBS, choices[0]), pick(JOBS, choices[1])
    smaller = {"job": f"r1/S/balanced/prescreen.{choices[1]}", "spec": {"volume": {"combos": 5}}}
    again = {"not_before": UTC + choices[1], "spec": {"kind": "command", "argv": ["a"]}}
    drafts = (
        Draft("job.queued", name, again),
        Draft("job.held", name, {"hold": hold("bad_data", None, "mend it")}),
        Draft("job.replaced", name, {"by": smaller}),
        finished(name, artifacts=["a"], queued=[other] if choices[2] % 3 == 0 else []),
        Draft("job.finished", name, {"state": "cancelled"}),
        Draft("job.gated", "r1", {"gate": "preflight", "met": "failed", "evidence": "x", "cancelled": [name]}),
        Draft("round.started", "r1", {"run": RUN, "round": choices[0] % 4, "plan_sha256": "p"}),
    )
    return pick(drafts, choices[2])  # type: ignore[no-any-return]


def start(state: SwarmState, choices: Choices) -> Draft:
    return started(some_worker(state, choices[0]), pick(("starting", "running"), choices[1]))


def unkillable(state: SwarmState, choices: Choices) -> Draft:
    return Draft("worker.unkillable", some_worker(state, choices[0]), {"pids": [1]})


def detect(_state: SwarmState, choices: Choices) -> Draft:
    return Draft("incident.detected", "cpu000@1", {"class": "crash", "why": "exit 1", "evidence": [choices[0], "x"]})


def agent(_state: SwarmState, choices: Choices) -> Draft:
    drafts = (
        Draft("agent.loaded", pick(("curator", "watchdog"), choices[0]), {"source": "btswarm.agents"}),
        Draft("agent.raised", "curator", {"error": "x", "failures": choices[0]}, agent="curator"),
        Draft("agent.quarantined", "curator", {"hold": hold("agent")}),
        told(),
    )
    return pick(drafts, choices[1])  # type: ignore[no-any-return]


INCIDENTS = ("classified", "executed", "verified", "escalated", "closed")
MAKERS: Sequence[Make] = (
    *[lane] * 3, *[enqueue] * 3, *[spawn] * 5, *[start] * 4, *[end] * 4, stop, stop, adopt, unkillable, job, job,
    detect, *[step(f"incident.{name}") for name in INCIDENTS], set_hold, release, command, open_item, close_item,
    agent, start_daemon,
)  # fmt: skip


def live_through(recorder: Recorder, history: Sequence[tuple[int, Choices]]) -> list[SwarmState]:
    """Record the history, impossible events being refused; the state after each event that was written."""
    states = [recorder.state]
    for at, (maker, choices) in enumerate(history):
        draft = MAKERS[maker % len(MAKERS)](recorder.state, choices)
        before, number = recorder.state, recorder.log.next_seq
        try:
            recorder.record(draft, stamp(at))
        except EventRefused:
            assert recorder.state is before
            assert recorder.log.next_seq == number
        else:
            states.append(recorder.state)
    return states
