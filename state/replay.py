"""The swarm's memory as a fold over its events: what the daemon holds, and what a restart makes of the disk.

`apply` is pure and the only way a record changes, so replaying the log gives what the daemon had. The state has three
slices, one file each, and an event changes each slice from that slice alone: their files may be of different ages, and
each is brought up to date by the events after its own `log_seq`.

What is worked out anew in every cycle and would not be worth a line (agents' runs, first steps, next steps, gates) is
noted beside the events and may be lost: `settled` leaves it out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from .errors import BadData
from .eventlog import EventLog, Stamp
from .models.events import KINDS, Draft, Event
from .models.records import (
    AgentRecord,
    Bucket,
    Desired,
    IncidentRecord,
    JobRecord,
    LaneRecord,
    NextStep,
    OpenItem,
    Restarts,
    RunGate,
    WorkerRecord,
)
from .models.state_files import CONTROL, FLEET, QUEUE, Control, Fleet, Queue, lasting
from .models.transitions import EventRefused, worker_to
from .reducers import control, fleet, queue
from .reducers.fleet import items

Slice = Literal["control", "queue", "fleet"]
SLICES: Final[Mapping[Slice, str]] = {"control": CONTROL, "queue": QUEUE, "fleet": FLEET}
"""Slice -> its file."""


@dataclass(frozen=True, slots=True)
class SwarmState:
    """`seq`: the newest event folded in."""

    control: Control = field(default_factory=Control)
    queue: Queue = field(default_factory=Queue)
    fleet: Fleet = field(default_factory=Fleet)
    seq: int = 0


def apply(state: SwarmState, event: Event) -> SwarmState:
    """The state after `event`. Raises EventRefused for one that cannot be: a step that no table lists, an unknown
    subject, data that are not as event_data.py says."""
    return fold(state, (event,))


def fold(state: SwarmState, events: Iterable[Event]) -> SwarmState:
    """The state after all of `events`; raises at the first that is refused."""
    live = Live(state)
    for event in events:
        live.apply(event)
    return live.state


class Live:
    """A state that changes by events in place; `state` is a frozen snapshot that shares what did not change."""

    def __init__(self, state: SwarmState) -> None:
        self._snapshot = state
        self._control = control.ControlEdit(state.control)
        self._queue = queue.QueueEdit(state.queue)
        self._fleet = fleet.FleetEdit(state.fleet)
        self._changed: set[Slice] = set()
        self.seq = state.seq

    @property
    def state(self) -> SwarmState:
        known = self._snapshot
        if self._changed or known.seq != self.seq:
            self._snapshot = SwarmState(
                self._control.frozen() if "control" in self._changed else known.control,
                self._queue.frozen() if "queue" in self._changed else known.queue,
                self._fleet.frozen() if "fleet" in self._changed else known.fleet,
                self.seq,
            )
            self._changed.clear()
        return self._snapshot

    @property
    def jobs(self) -> Mapping[str, JobRecord]:
        """As of now, for a look between events: it may change under whoever keeps it, and costs no snapshot."""
        return self._queue.jobs.rows

    @property
    def lanes(self) -> Mapping[str, LaneRecord]:
        """As of now; not to be kept."""
        return self._fleet.lanes.rows

    @property
    def workers(self) -> Mapping[str, WorkerRecord]:
        """As of now; not to be kept."""
        return self._fleet.workers.rows

    @property
    def incidents(self) -> Mapping[str, IncidentRecord]:
        """Open ones as of now; not to be kept."""
        return self._control.incidents.rows

    @property
    def restarts(self) -> Mapping[str, Restarts]:
        """Restart budgets by job, as of now; not to be kept."""
        return self._control.restarts.rows

    @property
    def desired(self) -> Desired:
        """What people want, as of now."""
        return self._control.desired

    @property
    def spawn_bucket(self) -> Bucket | None:
        return self._control.spawn

    @property
    def verify(self) -> tuple[OpenItem, ...]:
        """Open items as of now."""
        return self._fleet.verify

    @property
    def run(self) -> str:
        return self._queue.run

    def apply(self, event: Event, slices: Iterable[Slice] = ("control", "queue", "fleet")) -> None:
        """Change the given slices. Raises EventRefused, nothing then being changed."""
        if event.kind not in KINDS:
            raise EventRefused(f"event {event.seq} is of the unknown kind {event.kind}")
        try:
            self._reduce(event, slices)
        except (EventRefused, BadData, KeyError, TypeError, ValueError, AttributeError) as error:
            for edit in (self._control, self._queue, self._fleet):
                edit.take_back()
            said = error.message if isinstance(error, EventRefused | BadData) else f"its data are wrong: {error!r}"
            raise EventRefused(f"event {event.seq} {event.kind} of {event.subject}: {said}") from error
        self._keep()
        self.seq = max(self.seq, event.seq)

    def _reduce(self, event: Event, slices: Iterable[Slice]) -> None:
        if "control" in slices and (on_control := control.CONTROL.get(event.kind)):
            on_control(self._control, event)
        if "queue" in slices and (on_queue := queue.QUEUE.get(event.kind)):
            on_queue(self._queue, event)
        if "fleet" in slices:
            if on_fleet := fleet.FLEET.get(event.kind):
                on_fleet(self._fleet, event)
            items(self._fleet, event)

    def _keep(self) -> None:
        if self._control.keep():
            self._changed.add("control")
        if self._queue.keep():
            self._changed.add("queue")
        if self._fleet.keep():
            self._changed.add("fleet")

    def note_first_step(self, worker: str) -> None:
        """A starting worker was seen to step: it runs. A restart that lost this sees its steps again."""
        known = self._fleet.workers.get(worker)
        self._fleet.workers.put(worker, replace(known, state=worker_to(worker, known.state, "running")))
        self._keep()

    def note_agents(self, records: Iterable[AgentRecord]) -> None:
        """Runs, cycle, time, health and failures in a row of agents; crashes and quarantine are the events'."""
        for one in records:
            known = self._control.agents.find(one.name) or AgentRecord(one.name)
            noted = replace(known, runs=one.runs, cycle=one.cycle, at=one.at, health=one.health, failures=one.failures)
            if noted != known:
                self._control.agents.put(one.name, noted)
        self._keep()

    def note_plan(self, next_steps: tuple[NextStep, ...], run_gates: tuple[RunGate, ...]) -> None:
        """What the cycle worked out for people to read."""
        if (next_steps, run_gates) != (self._queue.next_steps, self._queue.run_gates):
            self._queue.set("next_steps", next_steps)
            self._queue.set("run_gates", run_gates)
            self._keep()


class Recorder:
    """The one way the daemon changes its memory: an event is checked, applied and pushed to the log, or nothing is."""

    def __init__(self, live: Live, log: EventLog) -> None:
        self.live = live
        self.log = log

    @property
    def state(self) -> SwarmState:
        return self.live.state

    def record(self, draft: Draft, stamp: Stamp) -> Event:
        """Raises EventRefused or EventTooLong; then neither state nor log nor numbering changed.

        The line is in the file only after `log.flush`.
        """
        prepared = self.log.prepare(draft, stamp)
        self.live.apply(prepared.event)
        return self.log.push(prepared)

    def tell(self, draft: Draft, stamp: Stamp) -> Event | None:
        """Record something that may repeat every cycle; None if it went into a count. It must change no record."""
        event = self.log.tell(draft, stamp)
        if event is not None:
            self.live.seq = event.seq
        return event

    def unfold(self, stamp: Stamp) -> None:
        """Once a cycle: the counts that are due, and what the log's files have to say."""
        for event in self.log.unfold(stamp):
            self.live.seq = event.seq
        for note in self.log.notes():
            self.record(note, stamp)


@dataclass
class Replayed:
    """What a replay came to. `refused`: events that could not be applied, with the reason; they were passed over."""

    state: SwarmState
    applied: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def replay(slices: SwarmState, seqs: Mapping[Slice, int], events: Iterable[Event]) -> Replayed:
    """Bring slices of different ages up to date. `events`: all after the smallest of `seqs`, in order.

    An event that is refused is passed over and listed: living processes outrank the log, and they are looked at next.
    """
    live = Live(replace(slices, seq=max(seqs.values(), default=0)))
    done = Replayed(slices)
    for event in events:
        behind = [one for one, seq in seqs.items() if event.seq > seq]
        try:
            live.apply(event, behind)
            done.applied += 1
        except EventRefused as error:
            live.seq = max(live.seq, event.seq)
            done.refused.append((event.seq, error.message))
    done.state = live.state
    return done


def settled(state: SwarmState) -> SwarmState:
    """The part that events alone decide: what a replay must give again to the last field."""
    agents = {name: one for name, one in lasting(state.control).agents.items() if one != AgentRecord(name, health="")}
    workers = {
        name: replace(one, state="starting") if one.state == "running" else one
        for name, one in state.fleet.workers.items()
    }
    return SwarmState(
        replace(state.control, agents=agents),
        lasting(state.queue),
        replace(state.fleet, workers=workers),
        state.seq,
    )
