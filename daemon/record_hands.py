"""Hands for what is in the records only: jobs, rounds, lanes, holds and incidents. They are done once they are said."""

from datetime import UTC, datetime
from typing import Any, Final

from ..agents.detectors.trend import flaps
from ..state.models.actions import (
    EnqueueJobs,
    HoldSubject,
    OpenIncident,
    Order,
    ReleaseHold,
    ReplaceJob,
    SetLanes,
    StartRound,
)
from ..state.models.events import Draft
from ..state.models.facts import Observation
from ..state.models.names import SWARM, gpu_lane, is_command, parse_job, subject_kind
from ..state.models.records import Hold, IncidentRecord
from ..state.models.transitions import ENDED_JOBS
from ..state.plans import digest
from . import incidents
from .deeds import Answers, Carry, Plan, Refused, cause_of
from .ends import read_exit
from .jobs import new_lanes, queued_data, smaller, subject_of_jobs
from .run_gates import finished, in_words

WORLD: Final = ("swarm", "gpu")
"""Kinds of subject whose incidents end by what is seen of the world (standing.py)."""


class RecordHands(Answers):
    """Each writes one event, or a few that belong together."""

    def carried(self) -> dict[type, Carry]:
        """By type of action."""
        return {
            ReplaceJob: self._replace,
            EnqueueJobs: self._enqueue,
            StartRound: self._start_round,
            SetLanes: self._set_lanes,
            HoldSubject: self._hold,
            ReleaseHold: self._release,
            OpenIncident: self._open_incident,
        }

    def _replace(self, order: Order, action: ReplaceJob, observation: Observation, plan: Plan) -> None:
        job = self._swarm.journal.jobs.get(action.job)
        if job is None or job.state != "running" or job.worker in self._swarm.journal.workers:
            raise Refused(f"{action.job} is not at the end of a worker")
        by = smaller(job, action.volume, self._learned_gpu_mb(job.worker))
        cause = self._cause(order, action.job)
        event = self._swarm.journal.record(Draft("job.replaced", job.job, {"by": by}, cause, order.agent))
        self._settle(order, event.seq, {"replaced_by": by.job, "volume": dict(action.volume)}, action.job)

    def _learned_gpu_mb(self, worker: str) -> int:
        """What its last word says that it had of the device at most."""
        swarm = self._swarm
        said = read_exit(swarm.world.files, swarm.folder(worker), worker) or {}
        peak = said.get("peak_gpu_mb", 0)
        return peak if isinstance(peak, int) else 0

    def _enqueue(self, order: Order, action: EnqueueJobs, observation: Observation, plan: Plan) -> None:
        known = self._swarm.journal.jobs
        new = [job for job in action.jobs if job.job not in known]
        if not new:
            raise Refused("they are in the queue already")
        for data in queued_data(new):
            self._swarm.journal.record(Draft("job.queued", subject_of_jobs(new), data, cause_of(order), order.agent))

    def _start_round(self, order: Order, action: StartRound, observation: Observation, plan: Plan) -> None:
        """The next pass over the plan, and its run if this is the first. An order of their own queues its jobs."""
        journal = self._swarm.journal
        queue = journal.state.queue
        sha = self._swarm.desired.plan_sha256 or digest(self._swarm.desired.plan)
        if action.round <= queue.round and queue.plan_sha256 == sha and queue.jobs:
            raise Refused(f"round {queue.round} was started already")
        run = queue.run if queue.run and queue.plan_sha256 == sha else run_id(plan.moment.now)
        data = {"run": run, "round": action.round, "plan_sha256": sha}
        self._end_round(observation)
        event = journal.record(Draft("round.started", f"r{action.round}", data, cause_of(order), order.agent))
        if sha != queue.plan_sha256:
            self._drop_old_plan(action.round, event.seq)

    def _end_round(self, observation: Observation) -> None:
        """The round before is over now at the latest; its jobs leave the queue with the next event."""
        queue = self._swarm.journal.state.queue
        if queue.finished < queue.round and observation.swarm.round == queue.round:
            data = finished(observation, self._swarm.findings.leaderboard, by_force=True)
            if data is not None:
                self._swarm.journal.record(Draft("round.finished", f"r{queue.round}", data, outcome=in_words(data)))

    def _drop_old_plan(self, round_: int, cause: int) -> None:
        """What another plan queued would be done by the present one's volumes and candles. Who runs already was told
        by the old one and ends as it began."""
        journal = self._swarm.journal
        for job in list(journal.jobs.values()):
            at_rest = job.state not in (*ENDED_JOBS, "running")
            if at_rest and not is_command(job.job) and parse_job(job.job).round < round_:
                why = "another plan was launched"
                journal.record(Draft("job.finished", job.job, {"state": "cancelled"}, cause, outcome=why))

    def _set_lanes(self, order: Order, action: SetLanes, observation: Observation, plan: Plan) -> None:
        """Open or drain lanes until `n` of the kind are open; command lanes are none of it."""
        journal = self._swarm.journal
        lanes = journal.lanes
        same = [one for one in lanes.values() if one.kind == action.kind and one.role != "command"]
        opened = [one.lane for one in same if one.state == "open"]
        if action.kind == "gpu" and action.n > len(opened):
            self._open_devices(order, observation, action.n - len(opened), self._flap(plan))
            return
        if action.n == len(opened):
            raise Refused(f"{action.n} lanes are open already")
        data: dict[str, Any] = {
            "kind": action.kind,
            "role": "main",
            "from": len(opened),
            "to": action.n,
            "why": order.reason,
            "flap": self._flap(plan),
        }
        if action.n > len(opened):
            wanted = action.n - len(opened)
            draining = [one.lane for one in same if one.state == "draining"][:wanted]
            data["lanes"] = [*draining, *new_lanes(lanes, wanted - len(draining), role="main")]
            journal.record(Draft("scale.up", action.kind, data, cause_of(order), order.agent))
        else:
            busy = {record.lane for record in journal.workers.values()}
            data["lanes"] = sorted(opened, key=lambda one: (one in busy, one))[: len(opened) - action.n]
            journal.record(Draft("scale.down", action.kind, data, cause_of(order), order.agent))

    def _flap(self, plan: Plan) -> float:
        """What one change of lanes leaves of this hour's."""
        bucket = self._swarm.journal.state.control.buckets.flap
        return flaps(bucket, plan.moment.mono, self._swarm.config.scale) - 1.0

    def _open_devices(self, order: Order, observation: Observation, count: int, flap: float) -> None:
        """The first free places on devices: a lane there is bound to the device's UUID."""
        lanes, slots = self._swarm.journal.lanes, self._swarm.config.lanes.gpu_per_device
        spent = {"flap": flap}  # all of them together are one change
        for gpu in sorted(observation.gpus.values(), key=lambda one: one.index):
            for slot in range(slots):
                name = gpu_lane(gpu.index, slot if slots > 1 else None)
                if count and (name not in lanes or lanes[name].state in ("closed", "draining")):
                    data = {"kind": "gpu", "role": "main", "gpu_uuid": gpu.uuid, **spent}
                    spent = {}
                    self._swarm.journal.record(Draft("lane.opened", name, data, cause_of(order), order.agent))
                    count -= 1

    def _hold(self, order: Order, action: HoldSubject, observation: Observation, plan: Plan) -> None:
        """A job or lane that is held is dealt with; a device or a disk is well only when it is seen to be."""
        journal = self._swarm.journal
        try:
            hold = Hold(action.reason, action.class_, plan.moment.now, action.until, action.needs)
        except ValueError as error:
            raise Refused(str(error)) from error
        of_world = [one for one in self._of_world(action.subject) if one.class_ == action.class_]
        cause = of_world[0].seq if of_world else self._cause(order, action.subject)
        event = journal.record(Draft("hold.set", action.subject, {"hold": hold}, cause, order.agent))
        for one in of_world:
            incidents.executed(journal, one.incident, order.kind, event.seq)
        if subject_kind(action.subject) not in WORLD:
            self._settle(order, event.seq, {"held": action.reason}, action.subject)

    def _release(self, order: Order, action: ReleaseHold, observation: Observation, plan: Plan) -> None:
        data = {"class": action.class_, "why": order.reason}
        cause = self._cause(order, action.subject)
        event = self._swarm.journal.record(Draft("hold.released", action.subject, data, cause, order.agent))
        if subject_kind(action.subject) not in WORLD:
            self._settle(order, event.seq, {"released": action.class_}, action.subject)

    def _of_world(self, subject: str) -> list[IncidentRecord]:
        """Incidents that a hold of the swarm or of a device may answer: of the swarm, those of any subject."""
        open_ = self._swarm.journal.incidents.values()
        return [one for one in open_ if subject == SWARM or (one.subject == subject and subject_kind(subject) == "gpu")]

    def _open_incident(self, order: Order, action: OpenIncident, observation: Observation, plan: Plan) -> None:
        incidents.detect(self._swarm.journal, action.class_, action.subject, action.why or order.reason,
                         cause=cause_of(order), evidence=action.evidence or order.evidence, agent=order.agent,
                         severity=action.severity)  # fmt: skip


def run_id(now: float) -> str:
    """`bt-YYYYMMDD_HHMMSSZ`."""
    return datetime.fromtimestamp(now, UTC).strftime("bt-%Y%m%d_%H%M%SZ")
