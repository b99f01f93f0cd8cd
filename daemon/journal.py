"""What is said is what is so: an event is numbered, applied to the state and queued for the log in one step.

Nothing else changes the state, so a restart that replays the log arrives where the live daemon was.
"""

from collections.abc import Mapping

from ..state.eventlog import EventLog, Stamp
from ..state.models.events import KINDS, Draft, Event
from ..state.models.records import IncidentRecord, JobRecord, LaneRecord, OpenItem, WorkerRecord
from ..state.replay import Live, Recorder, SwarmState
from .moment import Moment


class Journal:
    """The state of the swarm and the only way to change it, at the moment of the cycle that is under way."""

    def __init__(self, log: EventLog, state: SwarmState) -> None:
        self.log = log
        self.live = Live(state)
        self._recorder = Recorder(self.live, log)
        self._stamp = Stamp(0.0, 0.0, "")
        self._written = True

    @property
    def state(self) -> SwarmState:
        return self.live.state

    @property
    def jobs(self) -> Mapping[str, JobRecord]:
        """As of now and without a snapshot: it may change under whoever keeps it."""
        return self.live.jobs

    @property
    def workers(self) -> Mapping[str, WorkerRecord]:
        return self.live.workers

    @property
    def incidents(self) -> Mapping[str, IncidentRecord]:
        """Open ones."""
        return self.live.incidents

    @property
    def verify(self) -> tuple[OpenItem, ...]:
        return self.live.verify

    @property
    def lanes(self) -> Mapping[str, LaneRecord]:
        return self.live.lanes

    def turn(self, moment: Moment) -> None:
        """Events from now on happen at this moment; counts that are due are written."""
        self._stamp = Stamp(moment.now, moment.mono, moment.epoch, self.live.run, moment.cycle)
        self._recorder.unfold(self._stamp)

    def record(self, draft: Draft) -> Event:
        """Apply and queue. Raises EventRefused, with nothing changed, for what no table allows."""
        return self._recorder.record(draft, self._stamp)

    def tell(self, draft: Draft) -> None:
        """Queue what changes nothing; repeats of a kind that folds become one line a minute."""
        if KINDS[draft.kind].folds:
            self._recorder.tell(draft, self._stamp)
        else:
            self.record(draft)

    @property
    def blocked(self) -> int:
        """Events that could not be written, refused or unanswered: while there are any, nothing is spawned."""
        return self.log.backlog if self.log.fault is not None or not self._written else 0

    def heard(self, written: bool) -> bool:
        """Whether everything said is in the file, as the last flush had it."""
        self._written = written
        return written

    def stamp(self) -> Stamp:
        """The moment under way, as the log and the state files write it."""
        return self._stamp
