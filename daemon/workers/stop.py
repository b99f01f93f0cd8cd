"""The stop ladder: ask, ask with a stack dump, kill everything of the token, give up. A rung a deadline.

It begins where the reason says and never goes back. The deadlines are the daemon's own (monotonic): a clock that jumps
shortens nobody's grace.
"""

import signal
from collections.abc import Mapping
from typing import Final

from ...state.models.events import Draft
from ...state.models.names import lane_kind
from ...state.models.records import Hold, Rung, WorkerRecord
from .. import incidents
from ..moment import Moment
from ..ports import Identity
from ..swarm import Swarm

INT_S: Final = 3.0
KILL_S: Final = 10.0
GPU_KILL_S: Final = 60.0


class Ladder:
    """Moves every stopping worker on when its rung is over."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._due: dict[str, float] = {}
        self._done: dict[str, int] = {}
        """Rung whose signal was sent, by worker: after a restart of the daemon it is sent again."""

    def grace_s(self, worker: str, rung: int) -> float:
        """How long a rung lasts."""
        if rung == 1:
            return self._swarm.config.workers.stop_grace_s
        if rung == 2:
            return INT_S
        return GPU_KILL_S if lane_kind(worker) == "gpu" else KILL_S

    def begin(
        self, worker: str, rung: Rung, reason: str, moment: Moment, cause: int | None = None, **data: object
    ) -> int:
        """Say that a rung begins; the signal follows in `act`. The seq of the event."""
        due = moment.now + self.grace_s(worker, rung)
        said = {"rung": rung, "reason": reason, "due": due, **data}
        self._due[worker] = moment.mono + self.grace_s(worker, rung)
        return self._swarm.journal.record(Draft("worker.stopping", worker, said, cause, outcome=f"rung {rung}")).seq

    def climb(self, moment: Moment) -> None:
        """Who has not gone in time is taken one rung higher; who does not die of KILL is given up."""
        for record in list(self._stopping().values()):
            assert record.stop is not None
            left = record.stop.due - moment.now
            due = self._due.setdefault(
                record.worker, moment.mono + min(max(0.0, left), self.grace_s(record.worker, record.stop.rung))
            )
            if moment.mono < due or record.state == "lost":
                continue
            if record.stop.rung >= 3:
                self._give_up(record, moment)
            else:
                rung: Rung = 2 if record.stop.rung == 1 else 3
                self.begin(record.worker, rung, record.stop.reason, moment)

    def act(self) -> None:
        """Send the signals of rungs that have begun."""
        stopping = self._stopping()
        for record in stopping.values():
            assert record.stop is not None
            if record.state in ("stopping", "lost") and self._done.get(record.worker) != record.stop.rung:
                self._done[record.worker] = record.stop.rung
                self._signal(record, record.stop.rung)
        self._due = {worker: due for worker, due in self._due.items() if worker in stopping}
        self._done = {worker: rung for worker, rung in self._done.items() if worker in stopping}

    def _signal(self, record: WorkerRecord, rung: int) -> None:
        processes = self._swarm.world.processes
        identity = Identity(record.worker, record.token, record.pid, record.start_ticks)
        if rung == 1:
            processes.signal(identity, signal.SIGTERM)
            processes.signal(identity, signal.SIGCONT)
        elif rung == 2:
            processes.signal(identity, signal.SIGINT)
        else:
            processes.kill_token(identity)

    def _give_up(self, record: WorkerRecord, moment: Moment) -> None:
        """Not even KILL helped: the lane is lost, the work goes on elsewhere."""
        journal = self._swarm.journal
        pids = list(self._swarm.world.processes.left(record.token))
        event = journal.record(Draft("worker.unkillable", record.worker, {"pids": pids}))
        needs = f"processes {pids} survive SIGKILL: find out what they wait for, or restart the host"
        lane = journal.lanes.get(record.lane)
        if lane is not None and lane.state in ("open", "draining"):
            hold = Hold("a worker cannot be killed", "unkillable", moment.now, needs=needs)
            journal.record(Draft("lane.quarantined", record.lane, {"hold": hold}, event.seq))
        self._go_on(record, event.seq)
        name = incidents.detect(journal, "unkillable", record.worker, needs, cause=event.seq, severity="critical")
        incidents.escalate(journal, name, needs, needs=needs)

    def _go_on(self, record: WorkerRecord, cause: int) -> None:
        """Its job runs elsewhere, unless a person wanted its end."""
        journal = self._swarm.journal
        job = journal.jobs.get(record.job)
        if job is None or job.state != "running" or job.worker != record.worker:
            return
        if job.job in self._swarm.desired.cancel:
            journal.record(Draft("job.finished", job.job, {"state": "cancelled"}, cause))
        else:
            why = f"{record.worker} cannot be killed"
            journal.record(Draft("job.queued", job.job, {"not_before": 0.0, "why": why}, cause))

    def _stopping(self) -> Mapping[str, WorkerRecord]:
        return {name: one for name, one in self._swarm.journal.workers.items() if one.stop is not None}
