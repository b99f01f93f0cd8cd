"""Hands: the only place that spawns, signals and deletes. What it will do is in the log before it does it.

`intend` turns orders into events, `act` carries out what was intended once the log is written. Whether it worked is not
for the hand to say: verify.py looks again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ..state.errors import BtswarmError
from ..state.models.actions import (
    MAX_SPAWNS,
    EnqueueJobs,
    HoldSubject,
    OpenIncident,
    Order,
    ReleaseHold,
    ReplaceJob,
    SetLanes,
    SpawnWorker,
    StartRound,
    StopWorker,
)
from ..state.models.events import Draft
from ..state.models.facts import Observation
from ..state.models.names import gpu_lane, is_command, token
from ..state.models.records import Hold
from ..state.models.transitions import EventRefused
from ..state.plans import digest
from . import incidents
from .admission import fits, plus, total
from .endings import Endings
from .jobs import new_lanes, queued_data, round_jobs, smaller, subject_of_jobs
from .moment import Moment
from .ports import CannotSpawn
from .swarm import Swarm
from .work import JOB, job_file, launch_of
from .workers.stop import Ladder

TOKEN_BITS: Final = 128
STOPPED_FOR: Final = {"stuck": "stuck", "stopped": "stuck", "fallback": "cpu_fallback", "budget": "over_budget",
                      "twin": "orphan", "orphan": "orphan"}  # fmt: skip
"""Reasons of a stop that are incidents, and their class."""
OPENS_WAYS: Final = frozenset(("EnqueueJobs", "StartRound", "SetLanes", "Release", "ReplaceJob"))
Hand = Callable[[Order], None]


@dataclass
class Plan:
    """What a cycle is going to do. `done`: what became of each order, by its number."""

    moment: Moment
    spawns: list[str]
    hands: list[Order]
    done: dict[int, str]
    unsettled: bool = False
    """Whether something was changed that lets more be decided: the next cycle follows at once."""


class Refused(Exception):
    """An order that cannot be carried out as things stand; the agents see that and ask again."""


class Executor:
    """`hands`: further kinds of action, by kind, carried out in `act`; each verifies itself by an open item."""

    def __init__(self, swarm: Swarm, endings: Endings, hands: dict[str, Hand] | None = None) -> None:
        self._swarm, self._endings = swarm, endings
        self.ladder = Ladder(swarm)
        self._hands = hands or {}
        self._carried: dict[type, Callable[[Order, Any, Observation, Plan], None]] = {
            SpawnWorker: self._spawn,
            StopWorker: self._stop,
            ReplaceJob: self._replace,
            EnqueueJobs: self._enqueue,
            StartRound: self._start_round,
            SetLanes: self._set_lanes,
            HoldSubject: self._hold,
            ReleaseHold: self._release,
            OpenIncident: self._open_incident,
        }

    def intend(self, observation: Observation, orders: Sequence[Order], moment: Moment) -> Plan:
        """Say what will be done, in the order given; an order waits for those it names in `after`."""
        plan = Plan(moment, [], [], {})
        self.ladder.climb(moment)
        self._reserved = total(one.claims for one in self._swarm.journal.workers.values() if one.living)
        for order in sorted(orders, key=lambda one: one.n):
            try:
                if any(plan.done.get(n, "ok") != "ok" for n in order.after):
                    raise Refused("what it waits for was refused")
                self._intend(order, observation, plan)
                plan.done[order.n] = "ok"
                plan.unsettled |= order.kind in OPENS_WAYS or len(plan.spawns) >= MAX_SPAWNS
            except (Refused, EventRefused, BtswarmError) as error:
                plan.done[order.n] = str(error)
                self._swarm.journal.tell(
                    Draft(
                        "proposal.refused",
                        order.subject,
                        {"why": str(error), "action": order.kind},
                        agent=order.agent,
                        outcome="cannot be carried out",
                    )
                )
        return plan

    def act(self, plan: Plan, *, may_spawn: bool) -> None:
        """Do it. Stops are allowed whatever the disk says; spawns only when their intents are in the log."""
        self.ladder.act()
        for worker in plan.spawns:
            if may_spawn:
                self._launch(worker, plan.moment)
            else:
                record = self._swarm.journal.workers[worker]
                self._endings.never_began(record, "the log cannot be written", plan.moment, class_="stopped")
        for order in plan.hands:
            self._hands[order.kind](order)

    def _intend(self, order: Order, observation: Observation, plan: Plan) -> None:
        carry = self._carried.get(type(order.action))
        if carry is not None:
            carry(order, order.action, observation, plan)
        elif order.kind in self._hands:
            self._answer_incident(order, None)
            plan.hands.append(order)
        else:
            raise Refused(f"nothing here carries out {order.kind}")

    # -- workers --------------------------------------------------------------------------------------------------

    def _spawn(self, order: Order, action: SpawnWorker, observation: Observation, plan: Plan) -> None:
        """The intent of one worker, with everything that recognises it after a crash."""
        swarm, moment = self._swarm, plan.moment
        journal = swarm.journal
        job, lane = journal.jobs.get(action.job), journal.lanes.get(action.lane)
        if job is None or lane is None:
            raise Refused(f"there is no {'job ' + action.job if job is None else 'lane ' + action.lane}")
        if len(plan.spawns) >= MAX_SPAWNS:
            raise Refused(f"{MAX_SPAWNS} spawns a cycle")
        if not job.startable(moment.now) or lane.hold is not None or journal.log.fault is not None:
            raise Refused("the job is not due" if not job.startable(moment.now) else "the lane or the log is not well")
        if why := fits(observation, job.spec.claims, self._reserved):
            raise Refused(why)
        level = self._spawn_level(moment)
        worker = lane.next_worker()
        limits = swarm.config.workers
        data: dict[str, Any] = {
            "job": job.job,
            "token": token(swarm.swarm_id, f"{swarm.world.random.bits(TOKEN_BITS):032x}"),
            "epoch": swarm.epoch,
            "build": swarm.build,
            "log": str(swarm.log(worker)),
            "start_due": moment.now + limits.start_s,
            "claims": job.spec.claims,
            "gpu_uuid": lane.gpu_uuid,
            "spawn": level - 1.0,
            "opens": self._item(order, moment, worker, incident=self._incident_of(order, action.job)),
        }
        event = journal.record(Draft("worker.spawning", worker, data, _cause(order), order.agent, outcome=order.reason))
        self._reserved = plus(self._reserved, job.spec.claims)
        self._answer_incident(order, event.seq, action.job)
        plan.spawns.append(worker)

    def _spawn_level(self, moment: Moment) -> float:
        limits = self._swarm.config.restart
        bucket = self._swarm.journal.state.control.buckets.spawn
        level = float(limits.spawn_burst)
        if bucket is not None:
            level = bucket.at(moment.mono, limits.spawn_burst, limits.spawn_per_s)
        if level < 1.0:
            raise Refused("the spawn bucket is empty")
        return level

    def _launch(self, worker: str, moment: Moment) -> None:
        """Its folder, its job, its process. What the host refuses is the end of this generation."""
        swarm = self._swarm
        record = swarm.journal.workers[worker]
        job, lane = swarm.journal.jobs[record.job], swarm.journal.lanes[record.lane]
        folder = swarm.folder(worker)
        try:
            swarm.world.files.make_folder(folder)
            if not is_command(job.job):
                swarm.world.files.replace(folder / JOB, job_file(swarm, job, worker))
            swarm.started[worker] = swarm.world.processes.spawn(launch_of(swarm, record, job, lane))
        except CannotSpawn as error:
            self._endings.never_began(record, str(error), moment)
        except (OSError, BtswarmError) as error:
            self._endings.never_began(record, f"{folder}: {error}", moment, class_="cannot_write")

    def _stop(self, order: Order, action: StopWorker, observation: Observation, plan: Plan) -> None:
        record = self._swarm.journal.workers.get(action.worker)
        if record is None or record.state not in ("starting", "running", "stopping"):
            raise Refused(f"{action.worker} is not there to be stopped")
        if record.stop is not None and record.stop.rung >= action.rung:
            raise Refused(f"{action.worker} is on rung {record.stop.rung} already")
        journal, class_ = self._swarm.journal, STOPPED_FOR.get(action.reason)
        if class_ is not None and not any(incidents.about(journal, action.worker)):
            incidents.detect(journal, class_, action.worker, order.reason, evidence=order.evidence, agent=order.agent,
                             policy=f"stop from rung {action.rung}")  # fmt: skip
        name = self._incident_of(order, action.worker)
        ladder_s = sum(self.ladder.grace_s(action.worker, rung) for rung in range(action.rung, 4))
        opens = self._item(order, plan.moment, action.worker, incident=name, due=plan.moment.now + ladder_s)
        extra = {} if record.stop is not None else {"opens": opens}
        seq = self.ladder.begin(action.worker, action.rung, action.reason, plan.moment, **extra)
        self._answer_incident(order, seq, action.worker)

    # -- jobs and lanes -------------------------------------------------------------------------------------------

    def _replace(self, order: Order, action: ReplaceJob, observation: Observation, plan: Plan) -> None:
        job = self._swarm.journal.jobs.get(action.job)
        if job is None or job.state != "running" or job.worker in self._swarm.journal.workers:
            raise Refused(f"{action.job} is not at the end of a worker")
        by = smaller(job, action.volume)
        event = self._swarm.journal.record(Draft("job.replaced", job.job, {"by": by}, _cause(order), order.agent))
        self._settle(order, event.seq, {"replaced_by": by.job, "volume": dict(action.volume)}, action.job)

    def _enqueue(self, order: Order, action: EnqueueJobs, observation: Observation, plan: Plan) -> None:
        known = self._swarm.journal.jobs
        new = [job for job in action.jobs if job.job not in known]
        if not new:
            raise Refused("they are in the queue already")
        for data in queued_data(new):
            self._swarm.journal.record(Draft("job.queued", subject_of_jobs(new), data, _cause(order), order.agent))

    def _start_round(self, order: Order, action: StartRound, observation: Observation, plan: Plan) -> None:
        """The next pass over the plan: its run, if this is the first, and its jobs."""
        journal, config = self._swarm.journal, self._swarm.config
        queue = journal.state.queue
        sha = self._swarm.desired.plan_sha256 or digest(self._swarm.desired.plan)
        if action.round <= queue.round and queue.plan_sha256 == sha and queue.jobs:
            raise Refused(f"round {queue.round} was started already")
        run = queue.run if queue.run and queue.plan_sha256 == sha else run_id(plan.moment.now)
        data = {"run": run, "round": action.round, "plan_sha256": sha}
        event = journal.record(Draft("round.started", f"r{action.round}", data, _cause(order), order.agent))
        jobs = [
            job for job in round_jobs(config, action.round, gpu=bool(observation.gpus)) if job.job not in journal.jobs
        ]
        for one in queued_data(jobs):
            journal.record(Draft("job.queued", f"r{action.round}", one, event.seq, order.agent))

    def _set_lanes(self, order: Order, action: SetLanes, observation: Observation, plan: Plan) -> None:
        """Open or drain lanes until `n` of the kind are open; command lanes are none of it."""
        journal = self._swarm.journal
        lanes = journal.lanes
        same = [one for one in lanes.values() if one.kind == action.kind and one.role != "command"]
        opened = [one.lane for one in same if one.state == "open"]
        if action.kind == "gpu" and action.n > len(opened):
            self._open_devices(order, observation, action.n - len(opened))
            return
        if action.n == len(opened):
            raise Refused(f"{action.n} lanes are open already")
        data: dict[str, Any] = {
            "kind": action.kind,
            "role": "main",
            "from": len(opened),
            "to": action.n,
            "why": order.reason,
        }
        if action.n > len(opened):
            wanted = action.n - len(opened)
            draining = [one.lane for one in same if one.state == "draining"][:wanted]
            data["lanes"] = [*draining, *new_lanes(lanes, wanted - len(draining), role="main")]
            journal.record(Draft("scale.up", action.kind, data, _cause(order), order.agent))
        else:
            busy = {record.lane for record in journal.workers.values()}
            data["lanes"] = sorted(opened, key=lambda one: (one in busy, one))[: len(opened) - action.n]
            journal.record(Draft("scale.down", action.kind, data, _cause(order), order.agent))

    def _open_devices(self, order: Order, observation: Observation, count: int) -> None:
        """The first free places on devices: a lane there is bound to the device's UUID."""
        lanes, slots = self._swarm.journal.lanes, self._swarm.config.lanes.gpu_per_device
        for gpu in sorted(observation.gpus.values(), key=lambda one: one.index):
            for slot in range(slots):
                name = gpu_lane(gpu.index, slot if slots > 1 else None)
                if count and (name not in lanes or lanes[name].state in ("closed", "draining")):
                    data = {"kind": "gpu", "role": "main", "gpu_uuid": gpu.uuid}
                    self._swarm.journal.record(Draft("lane.opened", name, data, _cause(order), order.agent))
                    count -= 1

    # -- holds and incidents --------------------------------------------------------------------------------------

    def _hold(self, order: Order, action: HoldSubject, observation: Observation, plan: Plan) -> None:
        hold = Hold(action.reason, action.class_, plan.moment.now, action.until, action.needs)
        event = self._swarm.journal.record(
            Draft("hold.set", action.subject, {"hold": hold}, _cause(order), order.agent)
        )
        self._settle(order, event.seq, {"held": action.reason}, action.subject)

    def _release(self, order: Order, action: ReleaseHold, observation: Observation, plan: Plan) -> None:
        data = {"class": action.class_, "why": order.reason}
        event = self._swarm.journal.record(Draft("hold.released", action.subject, data, _cause(order), order.agent))
        self._settle(order, event.seq, {"released": action.class_}, action.subject)

    def _open_incident(self, order: Order, action: OpenIncident, observation: Observation, plan: Plan) -> None:
        incidents.detect(self._swarm.journal, action.class_, action.subject, action.why or order.reason,
                         cause=_cause(order), evidence=action.evidence or order.evidence, agent=order.agent,
                         severity=action.severity)  # fmt: skip

    def _item(
        self, order: Order, moment: Moment, subject: str, *, incident: str = "", due: float | None = None
    ) -> dict[str, Any]:
        """An open item: `due` in UTC, like everything that is remembered."""
        at = due if due is not None else moment.now + max(0.0, order.due - moment.mono)
        item: dict[str, Any] = {"action": order.kind, "subject": subject, "done_when": order.done_when, "due": at,
                                "agent": order.agent}  # fmt: skip
        return {**item, "incident": incident} if incident else item

    def _incident_of(self, order: Order, *subjects: str) -> str:
        """The open incident that an order answers: one it names as evidence, or the oldest about its subject."""
        open_ = self._swarm.journal.state.control.incidents
        named = [f"i{one}" for one in order.evidence if f"i{one}" in open_]
        about = sorted(incidents.about(self._swarm.journal, order.subject, *subjects), key=lambda one: one.since)
        return next(iter(named), about[0].incident if about else "")

    def _answer_incident(self, order: Order, cause: int | None, *subjects: str) -> None:
        if name := self._incident_of(order, *subjects):
            incidents.executed(self._swarm.journal, name, order.kind, cause)

    def _settle(self, order: Order, cause: int, seen: dict[str, Any], *subjects: str) -> None:
        if name := self._incident_of(order, *subjects):
            incidents.settle(self._swarm.journal, name, order.kind, seen, cause)


def run_id(now: float) -> str:
    """`bt-YYYYMMDD_HHMMSSZ`."""
    return datetime.fromtimestamp(now, UTC).strftime("bt-%Y%m%d_%H%M%SZ")


def _cause(order: Order) -> int | None:
    """The event that an order follows from: the newest it names."""
    return max((one for one in order.evidence if isinstance(one, int)), default=None)
