"""Ends of workers as events: the worker's, its job's, and the incident if there is one. One place for every way to end.

What is decided is in ends.py; here it is looked up, said, and so made so.
"""

import signal
from dataclasses import replace
from typing import Any

from ..agents.detectors.restarts import chance
from ..state.errors import FailureClass
from ..state.models.events import Draft
from ..state.models.facts import ExitView, WorkerView
from ..state.models.names import is_command, parse_job
from ..state.models.readings import Known, known
from ..state.models.records import JobRecord, WorkerRecord
from . import incidents
from .ends import At, Verdict, exit_view, judge, reached, read_exit
from .jobs import CLOSING, closed_by, freed_by
from .moment import Moment
from .ports import Ended
from .swarm import Swarm

KILLED = (None, -signal.SIGKILL)
"""Ends that may have been the kernel's, for want of memory."""
SETTLE_S = 60.0
"""After its relaunch is due, this long until an incident whose job does not run escalates."""


class Endings:
    """`judge` is called once a cycle, before the agents are asked."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._oom_kills = known(swarm.world.host.readings().oom_kills)
        self._strays: set[tuple[int, int]] = set()
        """Whom the last tick killed: one that does not die is told of once."""

    def judge(self, moment: Moment) -> list[WorkerView]:
        """Everybody who ended since the last cycle, as views of workers that are no more."""
        ended = self._swarm.world.processes.ended()
        if moment.tick:
            self.look_again()
            self._tidy()
        if not ended:
            return []
        starved = any(one.code in KILLED for one in ended) and self._starved()
        workers = self._swarm.journal.workers
        ours = [(workers[one.identity.worker], one) for one in ended if one.identity.worker in workers]
        return [self.conclude(record, one, moment, starved=starved) for record, one in ours]

    def conclude(self, record: WorkerRecord, ended: Ended, moment: Moment, *, starved: bool = False) -> WorkerView:
        """Say that it ended and what follows for its job."""
        swarm = self._swarm
        files = swarm.world.files
        said = read_exit(files, swarm.folder(record.worker), record.worker)
        exit_ = exit_view(record, ended, said, files, starved=starved)
        if said is None and not is_command(record.job):
            steps, checkpoint = reached(files, swarm.folder(record.worker), record.worker)
            exit_ = replace(exit_, steps=steps, checkpoint=checkpoint)
        job = swarm.journal.jobs.get(record.job)
        spawned = record.start_due - swarm.config.workers.start_s  # `since` is that of its state
        life_s = max(0.0, moment.now - spawned) if record.pid else 0.0
        verdict = self._verdict(
            job, record, exit_, At(moment.now, moment.mono, life_s, chance(moment.draw, record.job))
        )
        seq = self._say_exited(record, ended, exit_, verdict, life_s)
        if job is not None and verdict is not None:
            self._say_job(job, exit_, verdict, life_s, seq)
            if verdict.policy.incident and record.stop is None:
                self._say_incident(job, exit_, verdict, moment, seq)
        if record.state == "lost":
            self._restore(record, seq)
        gone = replace(record, state="exited" if ended.left else "reaped")
        return WorkerView(gone, alive=bool(ended.left), exit=Known(exit_, moment.mono))

    def _restore(self, record: WorkerRecord, cause: int) -> None:
        """What could not be killed is gone after all: its lane can be used again."""
        lane = self._swarm.journal.lanes.get(record.lane)
        if lane is not None and lane.state == "quarantined" and lane.hold and lane.hold.class_ == "unkillable":
            self._swarm.journal.record(Draft("lane.restored", record.lane, {}, cause))

    def look_again(self) -> None:
        """Workers that ended and left something that would not die: over once nothing is left. A pass over /proc."""
        swarm = self._swarm
        for record in [one for one in swarm.journal.workers.values() if one.state == "exited"]:
            left = list(swarm.world.processes.left(record.token))
            if not left:
                data = {"job": record.job, "state": "reaped", "class": "crash", "code": None}
                swarm.journal.record(Draft("worker.exited", record.worker, data, outcome="nothing is left"))
                continue
            needs = f"processes {left} survive SIGKILL: find out what they wait for, or restart the host"
            name = incidents.detect(swarm.journal, "unkillable", record.worker, needs, severity="critical")
            incidents.escalate(swarm.journal, name, needs, needs=needs)

    def _tidy(self) -> None:
        """Children that were handed to us: the dead ones are reaped, though no worker ended, or they would pile up;
        living ones of dead workers are killed."""
        journal, processes = self._swarm.journal, self._swarm.world.processes
        strays = processes.strays({record.token for record in journal.workers.values()})
        for seen in strays:
            processes.kill(seen)
            if (seen.pid, seen.ticks) not in self._strays:
                data = {"token": seen.token[-8:], "why": "its worker ended"}
                journal.tell(Draft("orphan.killed", f"pid {seen.pid}", data))
        self._strays = {(seen.pid, seen.ticks) for seen in strays}

    def never_began(self, record: WorkerRecord, why: str, moment: Moment, *, class_: str = "crash") -> None:
        """An intent that came to no process: its job is queued again, on credit if it was refused by the host."""
        swarm = self._swarm
        job = swarm.journal.jobs.get(record.job)
        exit_ = ExitView(None, class_, message=why)
        at = At(moment.now, moment.mono, 0.0, chance(moment.draw, record.job))
        verdict = self._verdict(job, record, exit_, at)
        data = {**self._exit_data(record, exit_, verdict, 0.0), "state": "failed"}
        if items := [item.id for item in swarm.journal.verify if item.subject == record.worker]:
            data["closes"] = items
        event = swarm.journal.record(Draft("worker.exited", record.worker, data, outcome=why))
        if job is not None and verdict is not None and class_ != FailureClass.STOPPED:
            self._say_incident(job, exit_, verdict, moment, event.seq)

    def _verdict(self, job: JobRecord | None, record: WorkerRecord, exit_: ExitView, at: At) -> Verdict | None:
        if job is None or job.worker != record.worker:
            return None  # the job went on without this worker
        swarm = self._swarm
        restarts = swarm.journal.live.restarts.get(job.job)
        reason = record.stop.reason if record.stop else ""
        if job.job in swarm.desired.cancel:
            reason = "cancel"
        return judge(job, exit_, restarts, swarm.config.restart, reason, at)

    def _say_exited(self, record: WorkerRecord, ended: Ended, exit_: ExitView, verdict: Verdict | None,
                    life_s: float) -> int:  # fmt: skip
        swarm = self._swarm
        items = [item for item in swarm.journal.verify if item.subject == record.worker]
        data = self._exit_data(record, exit_, verdict, life_s)
        data["state"] = "exited" if ended.left else "reaped"
        if items:
            data["closes"] = [item.id for item in items]
        event = swarm.journal.record(Draft("worker.exited", record.worker, data, outcome=exit_.class_))
        for item in items:
            if item.incident and item.done_when == "worker_gone":
                seen = {"left": list(ended.left), "class": exit_.class_, "code": exit_.code}
                incidents.settle(swarm.journal, item.incident, item.action, seen)
        return event.seq

    def _exit_data(
        self, record: WorkerRecord, exit_: ExitView, verdict: Verdict | None, life_s: float
    ) -> dict[str, Any]:
        data: dict[str, Any] = {
            "job": record.job,
            "class": exit_.class_,
            "code": exit_.code,
            "steps": exit_.steps,
            "life_s": round(life_s, 3),
        }
        if exit_.message:
            data["message"] = exit_.message
        if exit_.checkpoint is not None:
            data["checkpoint"] = exit_.checkpoint
        if exit_.peak_mem_mb:
            data["peak_mem_mb"] = exit_.peak_mem_mb
        if verdict and verdict.then is not None:
            data["then"] = verdict.then
        if verdict and verdict.restarts is not None:
            data["restarts"] = verdict.restarts
        return data

    def _say_job(self, job: JobRecord, exit_: ExitView, verdict: Verdict, life_s: float, cause: int) -> None:
        journal = self._swarm.journal
        if not verdict.finished:
            return  # what waits for a held job waits on: it may be released
        data = {"state": verdict.finished, "steps": exit_.steps, "life_s": round(life_s, 3)}
        closes_gate = exit_.class_ == FailureClass.DONE and bool(exit_.message)
        if verdict.finished == "done":
            data["artifacts"] = list(exit_.artifacts)
            if not closes_gate:
                data["queued"] = freed_by(journal.jobs, job.job)
        finished = journal.record(Draft("job.finished", job.job, data, cause))
        if closes_gate or verdict.finished == "cancelled":
            self._close_round(job, exit_, finished.seq)

    def _close_round(self, job: JobRecord, exit_: ExitView, cause: int) -> None:
        """The way on is closed for this symbol and mode: what waits for it is cancelled, not left to wait."""
        journal = self._swarm.journal
        if is_command(job.job) or parse_job(job.job).stage not in CLOSING | {"prescreen"}:
            return
        why = exit_.message or exit_.class_
        data = {"gate": parse_job(job.job).stage, "met": "failed", "evidence": why,
                "cancelled": closed_by(journal.jobs, job.job)}  # fmt: skip
        journal.record(Draft("job.gated", job.job, data, cause))

    def _say_incident(self, job: JobRecord, exit_: ExitView, verdict: Verdict, moment: Moment, cause: int) -> None:
        journal = self._swarm.journal
        class_ = "poison" if verdict.poisoned else exit_.class_
        then = verdict.then or {}
        due = max(moment.now, then.get("not_before", 0.0)) + SETTLE_S
        policy = {"queued": "relaunch", "held": "hold"}.get(then.get("state", ""), verdict.policy.then)
        name = incidents.detect(journal, class_, job.job, exit_.message or exit_.class_, cause=cause, due=due,
                                policy=policy)  # fmt: skip
        if then.get("state") == "held":
            hold = journal.jobs[job.job].hold
            incidents.settle(journal, name, "Hold", {"state": "held", "until": hold and hold.until,
                                                     "needs": hold and hold.needs})  # fmt: skip

    def _starved(self) -> bool:
        """Whether the kernel killed for memory since we last asked, or memory is low right now.

        The readings of the last tick were taken before whoever just ended was killed, so it is looked at again.
        """
        free, kills = self._swarm.world.host.memory()
        moved = False
        if isinstance(kills, Known):
            moved = self._oom_kills is not None and kills.known > self._oom_kills
            self._oom_kills = kills.known
        low = isinstance(free, Known) and free.known < self._swarm.config.lanes.keep_free_mb / 4
        return moved or low
