"""What an event that changes records carries in `data`, kind by kind. docs/EVENTS.md is the table for readers.

It is always the result (a new state, level or time), never the input of a computation. Records appear as their JSON.
Keys that only people read (`message why error evidence seen fix text reason needs`) may be shortened.
"""

from typing import Any, Literal, NotRequired, TypedDict

Json = dict[str, Any]


class DaemonStarted(TypedDict):
    """daemon.started. `config`: digest. A new epoch keeps the levels of all buckets and begins their time anew."""

    swarm_id: str
    epoch: str
    build: str
    config: str
    pid: int
    start: Literal["fresh", "crash", "restart", "reboot"]


class AgentLoaded(TypedDict):
    """agent.loaded. `source`: the module or entry point it came from."""

    source: str


class AgentFailed(TypedDict):
    """agent.raised; agent.overran, with `failures` (in a row) only when it was interrupted."""

    error: NotRequired[str]
    failures: NotRequired[int]


class Held(TypedDict):
    """agent.quarantined, lane.quarantined, job.held, hold.set. `hold`: a Hold. A job that is held no longer runs."""

    hold: Json


class WorkerSpawning(TypedDict):
    """worker.spawning: the intent. Subject: the worker. `spawn`: what is left in the bucket; `restarts`: the job's."""

    job: str
    token: str
    epoch: str
    build: str
    log: str
    start_due: float
    claims: NotRequired[Json]
    gpu_uuid: NotRequired[str]
    spawn: NotRequired[float]
    restarts: NotRequired[Json]


class WorkerStarted(TypedDict):
    """worker.started, worker.adopted: the identity. `state`: starting, or running for a command job."""

    pid: int
    start_ticks: int
    state: Literal["starting", "running", "stopping", "lost"]


class WorkerStopping(TypedDict):
    """worker.stopping: a rung of the stop ladder begins. `due`: when the next one does."""

    rung: Literal[1, 2, 3]
    reason: str
    due: float


class Then(TypedDict):
    """What becomes of a job whose worker ended. With `held` goes `hold`."""

    state: Literal["queued", "held"]
    not_before: NotRequired[float]
    hold: NotRequired[Json]


WorkerExited = TypedDict(
    "WorkerExited",
    {
        "job": str,
        "state": Literal["exited", "reaped", "failed"],
        "class": str,
        "code": int | None,
        "steps": NotRequired[int],
        "checkpoint": NotRequired[int | None],
        "life_s": NotRequired[float],
        "message": NotRequired[str],
        "peak_mem_mb": NotRequired[int],
        "then": NotRequired[Then],
        "restarts": NotRequired[Json],
    },
)
"""worker.exited. `exited`: something of it may be left; `reaped`: nothing is, the record goes (a second line, without
`then`, if the first said exited); `failed`: the spawn did. Without `then` the job stays running until a job.* event
says more. `restarts`: the job's budget from now on."""


class JobsQueued(TypedDict):
    """job.queued for new jobs, as many as fit one line. Subject: the round (`r3`) or `cmd`. Each a NewJob."""

    jobs: list[Json]


class JobQueued(TypedDict):
    """job.queued for one job that runs, waits or is held: queued (again). `spec`: replaces its own."""

    not_before: float
    why: NotRequired[str]
    spec: NotRequired[Json]
    restarts: NotRequired[Json]


class JobGated(TypedDict):
    """job.gated. `queued`: waiting jobs this lets go; `cancelled`: jobs it closes for the round."""

    gate: str
    met: Literal["met", "failed", "waived"]
    evidence: str
    queued: NotRequired[list[str]]
    cancelled: NotRequired[list[str]]


class JobFinished(TypedDict):
    """job.finished. `queued`: jobs that waited for this one and for nothing else."""

    state: Literal["done", "cancelled"]
    artifacts: NotRequired[list[str]]
    queued: NotRequired[list[str]]
    steps: NotRequired[int]
    life_s: NotRequired[float]


class JobReplaced(TypedDict):
    """job.replaced. `by`: the smaller NewJob, queued by the same line; who waited for the old one waits for it."""

    by: Json


class LaneOpened(TypedDict):
    """lane.opened. lane.closed and lane.restored carry nothing that is read."""

    kind: str
    role: str
    gpu_uuid: NotRequired[str]
    claims: NotRequired[Json]
    flap: NotRequired[float]


Scaled = TypedDict(
    "Scaled",
    {
        "kind": str,
        "role": str,
        "from": int,
        "to": int,
        "lanes": list[str],
        "claims": NotRequired[Json],
        "flap": NotRequired[float],
        "why": NotRequired[str],
    },
)
"""scale.up opens `lanes`, scale.down lets them drain. `flap`: what is left in the bucket."""


class RoundStarted(TypedDict):
    """round.started. Ended jobs of earlier rounds leave the queue."""

    run: str
    round: int
    plan_sha256: str
    seed: NotRequired[int]


class ClockJumped(TypedDict):
    """clock.jumped. `by_s`: UTC against monotonic time, negative when it was set back."""

    by_s: NotRequired[float]


class RoundFinished(TypedDict):
    """round.finished: told once, when nothing of the round can go on by itself. `jobs`: main ones by state; `counts`
    and `outcomes`: symbols and modes by what came of them (`validated closed held dropped`), their names cut where
    there are many; `verdicts`: of the validated ones, as far as they were read."""

    round: int
    jobs: dict[str, int]
    counts: dict[str, int]
    outcomes: dict[str, list[str]]
    verdicts: NotRequired[dict[str, int]]


IncidentDetected = TypedDict(
    "IncidentDetected",
    {
        "class": str,
        "why": str,
        "evidence": NotRequired[list[int | str]],
        "due": NotRequired[float | None],
        "needs": NotRequired[str],
    },
)
"""incident.detected. Subject of all incident events is the thing that is wrong; the incident is `i<seq>` of this."""


class IncidentStep(TypedDict):
    """incident.classified, executed, verified, escalated, closed. `seen`: what verification looked at and saw."""

    incident: str
    action: NotRequired[str]
    seen: NotRequired[Any]
    why: NotRequired[str]
    due: NotRequired[float | None]
    needs: NotRequired[str]


HoldReleased = TypedDict("HoldReleased", {"class": str, "why": NotRequired[str]})
"""hold.released. Subject: a job, lane, GPU uuid, `swarm`, or a quarantined agent. A held job is queued again."""


class CommandAccepted(TypedDict):
    """command.accepted. `desired`: the fields of Desired that it changes, as they are from now on. `config`: digest of
    the configuration that was loaded again."""

    id: str
    cmd: str
    args: Json
    desired: NotRequired[Json]
    config: NotRequired[str]


class ProbeChanged(TypedDict):
    """probe.silent, probe.restored. `restarts`: how often its helper was started again."""

    why: NotRequired[str]
    state: NotRequired[Literal["ok", "silent", "given_up"]]
    restarts: NotRequired[int]


class Opens(TypedDict):
    """`opens` of any event: an open item `v<seq>` begins. `closes` of any event: the ids of items that end."""

    action: str
    subject: str
    done_when: str
    due: float
    incident: NotRequired[str]
    agent: NotRequired[str]
    args: NotRequired[Json]
