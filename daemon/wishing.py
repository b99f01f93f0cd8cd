"""What people want, made so: their commands logged, and what follows from the configuration kept up in every cycle.

A person's word changes only what is desired. Jobs of commands, their lanes, cancelled jobs and released holds follow
from that here; stopping and starting workers is for the agents to ask for.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from ..state.errors import BtswarmError
from ..state.models.events import Draft, Event
from ..state.models.facts import Command
from ..state.models.names import COMMANDS, SWARM, hold_name, is_command
from ..state.models.transitions import ENDED_JOBS
from ..state.plans import INLINE_BYTES, canonical_bytes
from .doorway import Asked
from .jobs import command_lanes, missing_commands, queued_data, unwanted_commands
from .moment import Moment
from .swarm import Swarm
from .wishes import accepted, known, refused, wish

PLAN_LOST: Final = "plan_lost"
"""Class of the hold while the launched plan cannot be read."""


class Door(Protocol):
    """Where commands come in: the control socket, or nothing in a simulation."""

    def take(self) -> Sequence[Asked]: ...

    def done(self, id_: str, seq: int, result: bytes = b"{}") -> None: ...

    def refuse(self, id_: str, error: BtswarmError) -> None: ...

    def publish(self, seq: int, pages: Mapping[str, bytes]) -> None: ...


def carry_out(swarm: Swarm, asked: Asked) -> Event:
    """Log a command, by which it is so. Raises BadConfig for what cannot be wished, and what the disk says to a plan
    that needs a file."""
    change = dict(wish(swarm.journal.state, swarm.file_config, asked))
    plan = change.get("plan")
    if plan and len(canonical_bytes(plan)) > INLINE_BYTES:
        change |= {"plan": {}, "plan_file": swarm.plans.put(plan)}
    event = swarm.journal.record(accepted(asked, change))
    if asked.cmd == "launch" and hold_name(SWARM, PLAN_LOST) in swarm.journal.state.control.holds:
        data = {"class": PLAN_LOST, "why": "a plan was launched"}
        swarm.journal.record(Draft("hold.released", SWARM, data, event.seq))
    return event


class Wishing:
    """`take` before the agents are asked, `answer` once the log is written."""

    def __init__(self, swarm: Swarm, door: Door | None = None) -> None:
        self._swarm, self.door = swarm, door
        self._answers: list[tuple[str, int]] = []
        self._kept: tuple[object, ...] = ()
        """What the upkeep of commands was last worked out for: it follows from these alone."""

    def take(self, moment: Moment) -> tuple[Command, ...]:
        """New commands, logged and thereby wanted. The same id twice is one command."""
        taken = [one for asked in (self.door.take() if self.door else ()) if (one := self._hear(asked))]
        return tuple(taken)

    def _hear(self, asked: Asked) -> Command | None:
        swarm = self._swarm
        if (seq := known(swarm.journal.state.control, asked.id)) is not None:
            self._answers.append((asked.id, seq))
            return None
        try:
            event = carry_out(swarm, asked)
        except BtswarmError as error:
            swarm.journal.tell(refused(asked, error))
            assert self.door is not None
            self.door.refuse(asked.id, error)
            return None
        self._answers.append((asked.id, event.seq))
        return Command(asked.id, asked.cmd, asked.args, event.seq)  # type: ignore[arg-type]

    def answer(self) -> None:
        """Their senders may know: it is in the log."""
        answers, self._answers = self._answers, []
        for id_, seq in answers:
            if self.door is not None:
                self.door.done(id_, seq)

    def reconcile(self, moment: Moment) -> None:
        """Whatever follows from what is wanted without anybody's decision."""
        swarm = self._swarm
        if swarm.desired.life == "run":
            self._keep_commands()
        for job in swarm.desired.cancel:
            self._cancel(job, "a person cancelled it")
        for subject in swarm.desired.release:
            self._release(subject)
        self._close_drained()

    def _keep_commands(self) -> None:
        journal, config = self._swarm.journal, self._swarm.config
        shape = (config, *(name for name, job in journal.jobs.items() if job.state in ENDED_JOBS and is_command(name)))
        counted = (*shape, len(journal.jobs), sum(lane.state == "closed" for lane in journal.lanes.values()))
        if counted == self._kept:
            return
        self._kept = counted
        for job in unwanted_commands(config, journal.jobs):
            self._cancel(job, "the configuration has no such command")
        if missing := missing_commands(config, journal.jobs):
            for data in queued_data(missing):
                journal.record(Draft("job.queued", COMMANDS, data))
        for lane in command_lanes(journal.jobs, journal.lanes):
            journal.record(Draft("lane.opened", lane, {"kind": "cpu", "role": "command"}))

    def _cancel(self, job: str, why: str) -> None:
        """At once unless it runs; then it ends with its worker."""
        journal = self._swarm.journal
        record = journal.jobs.get(job)
        if record is not None and record.state not in (*ENDED_JOBS, "running"):
            journal.record(Draft("job.finished", job, {"state": "cancelled"}, outcome=why))

    def _release(self, subject: str) -> None:
        """An agent that was set aside; other holds are released by an agent."""
        agent = self._swarm.journal.state.control.agents.get(subject)
        if agent is not None and agent.quarantine is not None:
            data = {"class": agent.quarantine.class_, "why": "a person released it"}
            self._swarm.journal.record(Draft("hold.released", subject, data))

    def _close_drained(self) -> None:
        """A draining lane closes once nobody works there; a command's lane once there is no job for it."""
        journal = self._swarm.journal
        draining = [lane.lane for lane in journal.lanes.values() if lane.state == "draining"]
        busy = {record.lane for record in journal.workers.values()} if draining else set()
        for lane in draining:
            if lane not in busy:
                journal.record(Draft("lane.closed", lane))
