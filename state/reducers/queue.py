"""The queue slice: the run, its round, and the life of every job."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from ..models.actions import NewJob
from ..models.events import Event, Kind
from ..models.names import is_command, parse_job, subject_kind
from ..models.records import Attempt, JobRecord
from ..models.state_files import Queue
from ..models.transitions import ENDED_JOBS, EventRefused, IllegalTransition, JobState, UnknownSubject, job_to
from .edit import Edit, Table
from .parts import hold_of, moved, new_job_of, spec_of

ATTEMPTS_KEPT: Final = 10


class QueueEdit(Edit):
    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self.run = queue.run
        self.round = queue.round
        self.plan_sha256 = queue.plan_sha256
        self.jobs = Table("job", queue.jobs, self.undo)
        self.next_steps = queue.next_steps
        self.run_gates = queue.run_gates
        self.finished = queue.finished
        self.first = queue.first

    def frozen(self) -> Queue:
        return Queue(
            self.run,
            self.round,
            self.plan_sha256,
            self.jobs.share(),
            self.next_steps,
            self.run_gates,
            self.finished,
            self.first,
        )


Reducer = Callable[[QueueEdit, Event], None]


def _move(edit: QueueEdit, job: str, state: JobState, event: Event, **changes: Any) -> None:
    known = edit.jobs.get(job)
    new = job_to(job, known.state, state)
    edit.jobs.put(job, replace(known, state=new, since=event.ts, **changes))


def _again(edit: QueueEdit, job: str, event: Event, **changes: Any) -> None:
    """Queued again. A hold that was set while it ran stays; the one that held it ends."""
    known = edit.jobs.get(job)
    hold = None if known.state == "held" else known.hold
    _move(edit, job, "queued", event, hold=hold, worker="", **changes)


def _enqueue(edit: QueueEdit, new: NewJob, event: Event) -> None:
    parse_job(new.job)
    known = edit.jobs.find(new.job)
    state: JobState = "waiting" if new.after else "queued"
    if known is not None and known.state not in ENDED_JOBS:
        raise IllegalTransition("job", new.job, known.state, f"a new one, {state}")
    record = JobRecord(new.job, new.spec, state, event.ts, new.priority, new.after, new.not_before)
    edit.jobs.put(new.job, record)


def _let_go(edit: QueueEdit, jobs: Iterable[str], event: Event) -> None:
    for job in jobs:
        _move(edit, job, "queued", event)


def _job_queued(edit: QueueEdit, event: Event) -> None:
    data = event.data
    if "jobs" in data:
        for one in data["jobs"]:
            _enqueue(edit, new_job_of(one), event)
        return
    changes = {"spec": spec_of(data["spec"])} if "spec" in data else {}
    _again(edit, event.subject, event, not_before=data["not_before"], **changes)


def _job_gated(edit: QueueEdit, event: Event) -> None:
    _let_go(edit, event.data.get("queued", ()), event)
    for job in event.data.get("cancelled", ()):
        _move(edit, job, "cancelled", event, hold=None, worker="")


def _job_finished(edit: QueueEdit, event: Event) -> None:
    data = event.data
    artifacts = tuple(data.get("artifacts", ()))
    _move(edit, event.subject, data["state"], event, artifacts=artifacts, hold=None, worker="")
    _let_go(edit, data.get("queued", ()), event)


def _job_held(edit: QueueEdit, event: Event) -> None:
    _move(edit, event.subject, "held", event, hold=hold_of(event.data["hold"]), worker="")


def _job_replaced(edit: QueueEdit, event: Event) -> None:
    smaller = new_job_of(event.data["by"])
    _move(edit, event.subject, "replaced", event, replaced_by=smaller.job, hold=None, worker="")
    _enqueue(edit, smaller, event)
    for job, record in list(edit.jobs.rows.items()):
        if event.subject in record.after and record.state == "waiting":
            after = tuple(smaller.job if one == event.subject else one for one in record.after)
            edit.jobs.put(job, replace(record, after=after))


def _worker_spawning(edit: QueueEdit, event: Event) -> None:
    job = event.data["job"]
    known = edit.jobs.get(job)
    if known.hold is not None and not known.hold.over(event.ts):
        raise EventRefused(f"job {job} is held: {known.hold.reason}")
    _move(edit, job, "running", event, worker=event.subject, tries=known.tries + 1)


def _worker_exited(edit: QueueEdit, event: Event) -> None:
    """The attempt is kept, once; a job that went on without this worker, or is gone, is left as it is."""
    data = event.data
    known = edit.jobs.find(data["job"])
    told = known is not None and any(attempt.worker == event.subject for attempt in known.attempts)
    if known is None or (told and "then" not in data):
        return
    attempt = Attempt(event.subject, data["class"], data["code"], data.get("steps", 0), event.ts)
    edit.jobs.put(known.job, replace(known, attempts=(*known.attempts, attempt)[-ATTEMPTS_KEPT:]))
    then = data.get("then")
    if then is None or known.worker != event.subject:
        return
    not_before = then.get("not_before", 0.0)
    if then["state"] == "queued":
        _again(edit, known.job, event, not_before=not_before)
    else:
        hold = hold_of(then["hold"])
        _move(edit, known.job, then["state"], event, not_before=not_before, hold=hold, worker="")


def _hold_set(edit: QueueEdit, event: Event) -> None:
    if subject_kind(event.subject) == "job":
        known = edit.jobs.get(event.subject)
        if known.state in ENDED_JOBS:
            raise IllegalTransition("job", known.job, known.state, "held")
        edit.jobs.put(known.job, replace(known, hold=hold_of(event.data["hold"])))


def _hold_released(edit: QueueEdit, event: Event) -> None:
    if subject_kind(event.subject) != "job":
        return
    known = edit.jobs.get(event.subject)
    if known.hold is None or known.hold.class_ != event.data["class"]:
        raise UnknownSubject("hold", f"{event.subject}#{event.data['class']}")
    if known.state == "held":
        _move(edit, known.job, "queued", event, hold=None)
    else:
        edit.jobs.put(known.job, replace(known, hold=None))


def _round_started(edit: QueueEdit, event: Event) -> None:
    data = event.data
    if data["run"] != edit.run or not edit.first:
        edit.set("first", data["round"])
    edit.set("run", data["run"])
    edit.set("round", data["round"])
    edit.set("plan_sha256", data["plan_sha256"])
    for job, record in list(edit.jobs.rows.items()):
        if record.state in ENDED_JOBS and not is_command(job) and parse_job(job).round < data["round"]:
            edit.jobs.drop(job)


def _round_finished(edit: QueueEdit, event: Event) -> None:
    edit.set("finished", max(edit.finished, event.data["round"]))


def _clock_jumped(edit: QueueEdit, event: Event) -> None:
    """How long ago something was is asked as well as how long it lasts: a cooldown counts from the last end."""
    by_s = event.data.get("by_s", 0.0)
    for name, job in list(edit.jobs.rows.items()):
        not_before = max(0.0, job.not_before + by_s) if job.not_before else 0.0
        attempts = tuple(replace(one, at=one.at + by_s) for one in job.attempts)
        later = replace(job, since=job.since + by_s, not_before=not_before, attempts=attempts)
        edit.jobs.put(name, replace(later, hold=moved(job.hold, by_s)))


QUEUE: Final[Mapping[Kind, Reducer]] = {
    "clock.jumped": _clock_jumped,
    "job.queued": _job_queued,
    "job.gated": _job_gated,
    "job.finished": _job_finished,
    "job.held": _job_held,
    "job.replaced": _job_replaced,
    "worker.spawning": _worker_spawning,
    "worker.exited": _worker_exited,
    "hold.set": _hold_set,
    "hold.released": _hold_released,
    "round.started": _round_started,
    "round.finished": _round_finished,
}
