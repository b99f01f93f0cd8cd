"""Hands: the only place that spawns, signals and deletes. What it will do is in the log before it does it.

`intend` turns orders into events, `act` carries out what was intended once the log is written. Whether it worked is not
for the hand to say: verify.py looks again.
"""

import contextlib
import errno
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from ..state.errors import BtswarmError
from ..state.models.actions import MAX_SPAWNS, Order, SpawnWorker, StopWorker
from ..state.models.events import Draft
from ..state.models.facts import Observation
from ..state.models.names import is_command, token
from ..state.models.transitions import LIVING_WORKERS, EventRefused
from . import incidents
from .admission import fits, plus, total
from .deeds import Answers, Carry, Plan, Refused
from .endings import Endings
from .moment import Moment
from .ports import CannotSpawn, Identity, Launch
from .record_hands import RecordHands
from .swarm import Swarm
from .work import JOB, LOCK, job_file, launch_of
from .workers.stop import Ladder

TOKEN_BITS: Final = 128
LAID_OUT: Final = 64
"""Folders made at once for who comes next."""
STOPPED_FOR: Final = {"stuck": "stuck", "stopped": "stuck", "fallback": "cpu_fallback", "budget": "over_budget",
                      "twin": "orphan", "orphan": "orphan"}  # fmt: skip
"""Reasons of a stop that are incidents, and their class."""
OPENS_WAYS: Final = frozenset(("EnqueueJobs", "StartRound", "SetLanes", "Release", "ReplaceJob"))


class Executor(Answers):
    """`hands`: whoever carries out further kinds of action."""

    def __init__(self, swarm: Swarm, endings: Endings, hands: Sequence[Answers] = ()) -> None:
        super().__init__(swarm)
        self._endings = endings
        self.ladder = Ladder(swarm)
        self._bare: dict[str, None] = {}
        """Lanes whose next worker has no folder yet."""
        every = (RecordHands(swarm), *hands)
        self._hands = {kind: hand for one in every for kind, hand in one.hands().items()}
        self._carried: dict[type, Carry] = {type_: carry for one in every for type_, carry in one.carried().items()}
        self._carried |= {SpawnWorker: self._spawn, StopWorker: self._stop}

    def intend(self, observation: Observation, orders: Sequence[Order], moment: Moment) -> Plan:
        """Say what will be done, in the order given; an order waits for those it names in `after`."""
        plan = Plan(moment, [], [], {})
        self.ladder.climb(moment)
        living = [one for one in self._swarm.journal.workers.values() if one.state in LIVING_WORKERS]
        self._reserved = total(replace(one.claims, cpus=0.0) if one.state == "lost" else one.claims for one in living)
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

    def _spawn(self, order: Order, action: SpawnWorker, observation: Observation, plan: Plan) -> None:
        """The intent of one worker, with everything that recognises it after a crash."""
        swarm, moment = self._swarm, plan.moment
        journal = swarm.journal
        job, lane = journal.jobs.get(action.job), journal.lanes.get(action.lane)
        if job is None or lane is None:
            raise Refused(f"there is no {'job ' + action.job if job is None else 'lane ' + action.lane}")
        if len(plan.spawns) >= MAX_SPAWNS:
            raise Refused(f"{MAX_SPAWNS} spawns a cycle")
        if not job.startable(moment.now) or lane.hold is not None or journal.blocked:
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
        event = journal.record(
            Draft("worker.spawning", worker, data, self._cause(order, action.job), order.agent, outcome=order.reason)
        )
        self._reserved = plus(self._reserved, job.spec.claims)
        self._answer_incident(order, event.seq, action.job)
        plan.spawns.append(worker)

    def _spawn_level(self, moment: Moment) -> float:
        limits = self._swarm.config.restart
        bucket = self._swarm.journal.live.spawn_bucket
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
            swarm.started[worker] = self._begin(launch_of(swarm, record, job, lane))
            self._bare[record.lane] = None
        except CannotSpawn as error:
            self._endings.never_began(record, str(error), moment)
        except (OSError, BtswarmError) as error:
            self._endings.never_began(record, f"{folder}: {error}", moment, class_="cannot_write")

    def _begin(self, launch: Launch) -> Identity:
        """A folder of logs that somebody removed is made again; a program that is not there is refused again."""
        processes = self._swarm.world.processes
        try:
            return processes.spawn(launch)
        except CannotSpawn as error:
            if error.errno != errno.ENOENT:
                raise
            self._swarm.world.files.make_folder(launch.log.parent)
            return processes.spawn(launch)

    def lay_out(self) -> None:
        """Folder, lock file and log of whoever comes next in lanes that were used: making them is what a file system
        takes longest for, and nobody waits for it now. What fails here is met again, and told, when it is needed."""
        files, lanes = self._swarm.world.files, self._swarm.journal.lanes
        for name in list(self._bare)[:LAID_OUT]:
            del self._bare[name]
            if (lane := lanes.get(name)) is not None and lane.state == "open":
                folder = self._swarm.folder(lane.next_worker())
                with contextlib.suppress(OSError, BtswarmError):
                    files.make_folder(folder)
                    for path in (folder / LOCK, self._swarm.log(folder.name)):
                        files.close(files.open_append(path))

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
        cause = self._cause(order, action.worker)
        seq = self.ladder.begin(action.worker, action.rung, action.reason, plan.moment, cause, **extra)
        self._answer_incident(order, seq, action.worker)
