"""The lives of jobs, workers and incidents. What is not listed is an error, live and on replay."""

from typing import Final, Literal

from ..errors import StorageBroken

JobState = Literal["waiting", "queued", "running", "held", "done", "replaced", "cancelled"]
WorkerState = Literal[
    "intended", "starting", "running", "stopping", "lost", "exited", "reaped", "failed"
]  # fmt: skip
IncidentState = Literal["detected", "classified", "executed", "verified", "escalated", "closed"]
LaneState = Literal["open", "draining", "closed", "quarantined"]

JOB: Final[dict[JobState, frozenset[JobState]]] = {
    "waiting": frozenset(("queued", "cancelled")),
    "queued": frozenset(("running", "cancelled")),
    "running": frozenset(("done", "queued", "held", "replaced", "cancelled")),
    "held": frozenset(("queued", "cancelled")),
    "replaced": frozenset(("cancelled",)),
    "done": frozenset(),
    "cancelled": frozenset(),
}
WORKER: Final[dict[WorkerState, frozenset[WorkerState]]] = {
    "intended": frozenset(("starting", "failed")),
    "starting": frozenset(("running", "stopping", "exited")),
    "running": frozenset(("stopping", "exited")),
    "stopping": frozenset(("lost", "exited")),
    "lost": frozenset(("exited",)),
    "exited": frozenset(("reaped",)),
    "reaped": frozenset(),
    "failed": frozenset(),
}
INCIDENT: Final[dict[IncidentState, frozenset[IncidentState]]] = {
    "detected": frozenset(("classified",)),
    "classified": frozenset(("executed", "escalated")),
    "executed": frozenset(("verified", "escalated")),
    "escalated": frozenset(("executed", "closed")),
    "verified": frozenset(("closed",)),
    "closed": frozenset(),
}
LANE: Final[dict[LaneState, frozenset[LaneState]]] = {
    "closed": frozenset(("open",)),
    "open": frozenset(("draining", "closed", "quarantined")),
    "draining": frozenset(("open", "closed", "quarantined")),
    "quarantined": frozenset(("open", "closed")),
}

ENDED_JOBS: Final[frozenset[JobState]] = frozenset(("done", "replaced", "cancelled"))
LIVING_WORKERS: Final[frozenset[WorkerState]] = frozenset(("intended", "starting", "running", "stopping", "lost"))
"""States in which processes of the token may exist: the lane and the job are taken."""


class EventRefused(StorageBroken):
    """An event says what cannot be: whoever wrote it is wrong, and nothing was changed."""


class UnknownSubject(EventRefused):
    """An event is about something that no record is kept of."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"there is no {what} {name}")


class IllegalTransition(EventRefused):
    """A life took a step that its table does not list."""

    def __init__(self, what: str, name: str, old: str, new: str) -> None:
        super().__init__(f"{what} {name} cannot go from {old} to {new}")


def job_to(name: str, old: JobState, new: JobState) -> JobState:
    """`new`, if a job may go there from `old`. Raises IllegalTransition."""
    if new not in JOB[old]:
        raise IllegalTransition("job", name, old, new)
    return new


def worker_to(name: str, old: WorkerState, new: WorkerState) -> WorkerState:
    """`new`, if a worker may go there from `old`. Raises IllegalTransition."""
    if new not in WORKER[old]:
        raise IllegalTransition("worker", name, old, new)
    return new


def incident_to(name: str, old: IncidentState, new: IncidentState) -> IncidentState:
    """`new`, if an incident may go there from `old`. Raises IllegalTransition."""
    if new not in INCIDENT[old]:
        raise IllegalTransition("incident", name, old, new)
    return new


def lane_to(name: str, old: LaneState, new: LaneState) -> LaneState:
    """`new`, if a lane may go there from `old`. Raises IllegalTransition."""
    if new not in LANE[old]:
        raise IllegalTransition("lane", name, old, new)
    return new
