"""A worker has ended: which class of failure that is, and what becomes of its job. Judged here, not by an agent."""

import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from ..agents.detectors.restarts import Death, after
from ..state.errors import ExitCode, FailureClass
from ..state.models.config import RestartTable
from ..state.models.facts import ExitView
from ..state.models.failures import POLICIES, Policy, class_of_exit
from ..state.models.jobs import VERSION
from ..state.models.names import is_command
from ..state.models.records import Hold, JobRecord, Restarts, WorkerRecord
from ..state.wire import encode
from .ports import Ended, Files
from .probes.artifacts import fault

EXIT = "exit.json"
PROGRESS = "progress.json"
BEFORE_WORK = ("start", "load")
INPUT_WAIT_S = 60.0
ARTIFACTS_BYTES = 3000
"""Of the names of a job's artifacts, which the event that it is done has to hold."""
OUTSIDE = frozenset(-one for one in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
SIGNALS: dict[int, str] = {int(one): one.name for one in signal.Signals}
STOPPED_AS: dict[str, FailureClass] = {
    "stuck": FailureClass.STUCK,
    "stopped": FailureClass.STUCK,
    "budget": FailureClass.OVER_BUDGET,
}


@dataclass(frozen=True, slots=True)
class At:
    """When and after what life. `chance`: in [0, 1), this death's own."""

    now: float
    mono: float
    life_s: float
    chance: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """`then`: what becomes of the job at once, None if a later event says; `restarts`: its budget from now on.

    `finished`: the job ends as done or cancelled.
    """

    policy: Policy
    then: dict[str, Any] | None = None
    restarts: Restarts | None = None
    finished: str = ""
    poisoned: bool = False


def read_exit(files: Files, folder: Path, worker: str) -> dict[str, Any] | None:
    """The worker's last word, None if there is none that can be believed: of another, of a newer version, or with
    artifacts that are no list of names."""
    try:
        said = orjson.loads(files.read(folder / EXIT))
    except (OSError, orjson.JSONDecodeError):
        return None
    if not isinstance(said, dict) or said.get("worker") != worker or (_number(said.get("v", VERSION)) or 0) > VERSION:
        return None
    names = said.get("artifacts", [])
    return said if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def reached(files: Files, folder: Path, worker: str) -> tuple[int, int | None]:
    """Steps and checkpoint of a worker that had no last word, by its progress file: at least one once it had loaded."""
    try:
        said = orjson.loads(files.read(folder / PROGRESS))
    except (OSError, orjson.JSONDecodeError):
        return 0, None
    if not isinstance(said, dict) or said.get("worker") != worker:
        return 0, None
    working = said.get("phase") not in BEFORE_WORK
    return max(_number(said.get("step")) or 0, int(working)), _number(said.get("checkpoint"))


def exit_view(
    record: WorkerRecord, ended: Ended, said: dict[str, Any] | None, files: Files, *, starved: bool
) -> ExitView:
    """How it ended. `starved`: the host was out of memory at that time."""
    code = ended.code if ended.code is not None or said is None else _number(said.get("code"))
    class_, why = _class(record, code, said, files, starved=starved)
    said = said or {}
    return ExitView(
        code=code,
        class_=class_,
        ours=record.stop is not None,
        message=why or str(said.get("message", "")),
        fix=str(said.get("fix", "")),
        steps=_number(said.get("steps")) or 0,
        checkpoint=_number(said.get("checkpoint")),
        artifacts=tuple(said.get("artifacts", ())),
        peak_mem_mb=_number(said.get("peak_mem_mb")) or 0,
        peak_gpu_mb=_number(said.get("peak_gpu_mb")) or 0,
        batch=_number(said.get("batch")),
    )


def judge(
    job: JobRecord, exit_: ExitView, known: Restarts | None, limits: RestartTable, reason: str, at: At
) -> Verdict:
    """What follows by the table and the arithmetic. `reason`: why we stopped it, empty if we did not."""
    class_ = FailureClass(exit_.class_)
    policy = POLICIES[class_]
    if reason == "cancel":
        return Verdict(policy, finished="cancelled")
    if job.hold is not None:  # held while it ran: the hold outlives the worker
        return Verdict(policy, {"state": "held", "hold": job.hold})
    if is_command(job.job):
        return _command(job, class_, known, limits, exit_, at)
    match policy.then:
        case "finish":
            return Verdict(policy, finished="done")
        case "again":
            return _again(job, policy, known, limits, exit_, at)
        case "hold":
            hold = Hold(exit_.message or class_, class_, at.now, needs=exit_.fix or policy.needs)
            return Verdict(policy, {"state": "held", "hold": hold})
        case "wait_input":
            why = exit_.message or "an input is not there"
            return Verdict(policy, {"state": "held", "hold": Hold(why, class_, at.now, until=at.now + INPUT_WAIT_S)})
        case "replace":
            return Verdict(policy)
        case "requeue":
            return Verdict(policy, {"state": "queued", "not_before": 0.0})


def _class(record: WorkerRecord, code: int | None, said: dict[str, Any] | None, files: Files, *,
           starved: bool) -> tuple[FailureClass, str]:  # fmt: skip
    """The class, and why if that is not the worker's own message."""
    stopped = STOPPED_AS.get(record.stop.reason, FailureClass.STOPPED) if record.stop else None
    mute = said is None and not is_command(record.job)
    if (code == 0 and not mute) or (code == ExitCode.CHECK_FAILED and said and said.get("class") == FailureClass.DONE):
        return _done(said, files)  # a stage may end its work and find that the way on is closed
    if stopped is not None:
        return stopped, ""
    if code == 0:
        return FailureClass.CRASH, "it left without a last word, so nobody knows of its artifacts"
    if code is None or code < 0:
        if starved and code in (None, -signal.SIGKILL):
            return FailureClass.HOST_OOM, "killed while the host was out of memory"
        return FailureClass.CRASH, "nobody knows how it ended" if code is None else f"killed by {_signal(-code)}"
    return (FailureClass.CRASH if is_command(record.job) else class_of_exit(code)), f"exit status {code}" * (not said)


def _done(said: dict[str, Any] | None, files: Files) -> tuple[FailureClass, str]:
    """It counts once every artifact it names is valid."""
    names = (said or {}).get("artifacts", ())
    if len(encode(names)) > ARTIFACTS_BYTES:
        return FailureClass.CRASH, f"it names {len(names)} artifacts, more than a line of the log holds"
    for path in names:
        if why := fault(files, Path(path)):
            return FailureClass.CRASH, f"it left no valid artifact: {why}"
    return FailureClass.DONE, ""


def _command(
    job: JobRecord, class_: FailureClass, known: Restarts | None, limits: RestartTable, exit_: ExitView, at: At
) -> Verdict:
    """A command job: its own restart policy, the same arithmetic, never poison."""
    if class_ is FailureClass.STOPPED:
        return Verdict(POLICIES[class_], {"state": "queued", "not_before": 0.0})
    restart = job.spec.restart
    if restart == "never" or (restart == "on-failure" and class_ is FailureClass.DONE):
        return Verdict(POLICIES[class_], finished="done" if class_ is FailureClass.DONE else "cancelled")
    policy = replace(POLICIES[FailureClass.CRASH], blame=False, incident=class_ is not FailureClass.DONE)
    return _again(job, policy, known, limits, exit_, at)


def _again(
    job: JobRecord, policy: Policy, known: Restarts | None, limits: RestartTable, exit_: ExitView, at: At
) -> Verdict:
    """Relaunched at once while credits last, then with full jitter; held when it dies without getting on."""
    killed_from_outside = exit_.code in OUTSIDE and not exit_.ours and exit_.steps > 0
    checkpoint = (exit_.checkpoint or 0) > (known.best_step if known else 0)
    blame = policy.blame and not killed_from_outside
    death = Death(exit_.steps, at.life_s, checkpoint, blame, policy.credit)
    follows = after(known, death, limits, at.mono, at.chance)
    if follows.poison:
        why = f"{follows.restarts.deaths} deaths in a row without getting on, the last: {exit_.message}"
        hold = Hold(why, FailureClass.POISON, at.now, until=at.now + limits.poison_hold_s)
        return Verdict(policy, {"state": "held", "hold": hold}, follows.restarts, poisoned=True)
    then = {"state": "queued", "not_before": at.now + follows.wait_s if follows.wait_s else 0.0}
    if policy.halves == "batch":
        return Verdict(policy, None, follows.restarts)  # it goes on as a smaller job
    return Verdict(policy, then, follows.restarts)


def _signal(number: int) -> str:
    return SIGNALS.get(number, f"signal {number}")


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
