"""After a start: who of the recorded workers lives, who died meanwhile, and who must not be there at all.

Living processes outrank the records. An intent without outcome is a worker if its token is found; while only its lock
is held (its program may not run yet) it is looked at again for a second. A process is killed only if it carries a token
of this swarm that no record knows.
"""

from collections.abc import Iterable
from typing import Final

from ...state.models.events import Draft
from ...state.models.facts import WorkerView
from ...state.models.names import is_command
from ...state.models.records import WorkerRecord
from .. import incidents
from ..endings import Endings
from ..moment import Moment
from ..ports import Ended, Identity, Seen
from ..swarm import Swarm
from ..work import LOCK
from .identity import BURIED

LOOK_AGAIN_S: Final = 1.0


class Adoption:
    """`undecided`: intents whose lock is held by nobody we can see yet, until when (monotonic)."""

    def __init__(self, swarm: Swarm, endings: Endings) -> None:
        self._swarm, self._endings = swarm, endings
        self.undecided: dict[str, float] = {}
        self._begun = False

    def settle(self, moment: Moment) -> list[WorkerView]:
        """In the first cycle everybody, then whoever is undecided. Views of those who turned out to be gone."""
        if not self._begun:
            self._begun = True
            return self._first_look(moment)
        return self._look_again(moment) if self.undecided else []

    def _first_look(self, moment: Moment) -> list[WorkerView]:
        swarm = self._swarm
        records = dict(swarm.journal.workers)
        found = _by_token(swarm.world.processes.census())
        gone = []
        for record in records.values():
            processes = found.pop(record.token, [])
            if record.living and (view := self._decide(record, processes, moment)):
                gone.append(view)
            elif record.state == "exited" and not processes:
                self._forget(record)
        for seen in (one for group in found.values() for one in group):
            swarm.world.processes.kill(seen)
            swarm.journal.tell(
                Draft("orphan.killed", f"pid {seen.pid}", {"token": seen.token[-8:], "why": "no record"})
            )
        self._take_back()
        return gone

    def _take_back(self) -> None:
        """Jobs whose worker has no record, because file, copy and log of the fleet were lost: nobody else would ever
        end them. One whose worker's end is recorded waits for an agent to replace it."""
        journal = self._swarm.journal
        for job in list(journal.jobs.values()):
            ended = bool(job.attempts) and job.attempts[-1].worker == job.worker
            if job.state == "running" and job.worker not in journal.workers and not ended:
                why = f"no record of {job.worker} is left"
                journal.record(Draft("job.queued", job.job, {"not_before": 0.0, "why": why}, outcome=why))

    def _look_again(self, moment: Moment) -> list[WorkerView]:
        swarm = self._swarm
        found = _by_token(swarm.world.processes.census())
        gone = []
        for worker in list(self.undecided):
            record = swarm.journal.workers.get(worker)
            if record is None or record.state != "intended":
                del self.undecided[worker]
            elif view := self._decide(record, found.get(record.token, []), moment):
                gone.append(view)
        return gone

    def _decide(self, record: WorkerRecord, processes: list[Seen], moment: Moment) -> WorkerView | None:
        """Adopt, wait, or conclude. A view of the worker if it is gone."""
        main = self._main(record, processes)
        if main is not None and self._adopt(record, main):
            self.undecided.pop(record.worker, None)
            return None
        if record.state == "intended":
            return self._intent(record, moment)
        for seen in processes:
            self._swarm.world.processes.kill(seen)
        ended = Ended(Identity(record.worker, record.token, record.pid, record.start_ticks), None)
        return self._endings.conclude(record, ended, moment)

    def _intent(self, record: WorkerRecord, moment: Moment) -> WorkerView | None:
        """No process carries its token. If its lock is free there never was one; if it is held, there may be soon."""
        until = self.undecided.setdefault(record.worker, moment.mono + LOOK_AGAIN_S)
        if self._locked(record) and moment.mono < until:
            return None
        del self.undecided[record.worker]
        exited = self._swarm.folder(record.worker) / "exit.json"
        if self._there(exited):  # it began, and ended before anybody wrote down its pid
            ended = Ended(Identity(record.worker, record.token, 0, 0), None)
            self._begin(record, Seen(0, 0, record.token, 0, "X"))
            return self._endings.conclude(self._swarm.journal.workers[record.worker], ended, moment)
        self._endings.never_began(record, "the daemon died before it was started", moment, class_="stopped")
        return None

    def _main(self, record: WorkerRecord, processes: list[Seen]) -> Seen | None:
        """The worker itself among the processes of its token: as recorded, or for a mere intent the oldest."""
        if record.state == "intended":
            return min(processes, key=lambda one: (one.ticks, one.pid), default=None)
        if record.epoch != self._swarm.epoch:
            return None
        same = (record.pid, record.start_ticks)
        return next((one for one in processes if (one.pid, one.ticks) == same), None)

    def _adopt(self, record: WorkerRecord, main: Seen) -> bool:
        if not self._swarm.world.processes.adopt(Identity(record.worker, record.token, main.pid, main.ticks)):
            return False
        self._begin(record, main)
        return True

    def _begin(self, record: WorkerRecord, main: Seen) -> None:
        """Say that it is ours now, in its state; of an intent, that it was started."""
        state = record.state
        if state == "intended":
            state = "running" if is_command(record.job) else "starting"
        journal = self._swarm.journal
        items = [item for item in journal.state.fleet.verify
                 if item.subject == record.worker and item.done_when == "worker_started"]  # fmt: skip
        closes = {"closes": [item.id for item in items]} if items else {}
        data = {"pid": main.pid, "start_ticks": main.ticks, "state": state, **closes}
        journal.record(Draft("worker.adopted", record.worker, data))
        if main.state not in BURIED:
            for item in items:  # the daemon that began it did not live to look
                seen = {"worker": record.worker, "pid": main.pid, "state": main.state}
                incidents.settle(journal, item.incident, item.action, seen)

    def _locked(self, record: WorkerRecord) -> bool:
        try:
            return self._swarm.world.processes.locked(self._swarm.folder(record.worker) / LOCK)
        except OSError:
            return False

    def _there(self, path: object) -> bool:
        try:
            self._swarm.world.files.stat(path)  # type: ignore[arg-type]
        except OSError:
            return False
        return True

    def _forget(self, record: WorkerRecord) -> None:
        data = {"job": record.job, "state": "reaped", "class": "crash", "code": None}
        self._swarm.journal.record(Draft("worker.exited", record.worker, data))


def _by_token(processes: Iterable[Seen]) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = {}
    for seen in processes:
        found.setdefault(seen.token, []).append(seen)
    return found
