"""What is said is what is so: an event is numbered, applied to the state and queued for the log in one step.

Nothing else changes the state, so a restart that replays the log arrives where the live daemon was.
"""

from ..state.eventlog import EventLog, Stamp
from ..state.models.events import CHANGES, Draft, Event
from ..state.models.events import KINDS as EVENT_KINDS
from ..state.replay import State, apply
from .moment import Moment


class Journal:
    """The state of the swarm, and the only way to change it."""

    def __init__(self, log: EventLog, state: State) -> None:
        self.log = log
        self.state = state
        self.changed: set[str] = set()
        """Subjects of events since the last time somebody cleared this: what has to be looked at again."""
        self._stamp = Stamp(0.0, 0.0, "")

    def turn(self, moment: Moment) -> None:
        """Events from now on happen at this moment."""
        self._stamp = Stamp(moment.now, moment.mono, moment.epoch, self.state.run, moment.cycle)

    def record(self, draft: Draft) -> Event:
        """Apply and queue. Raises IllegalTransition, with nothing changed, for what no table allows."""
        prepared = self.log.prepare(draft, self._stamp)
        if draft.kind in CHANGES or "opens" in draft.data or "closes" in draft.data:
            self.state = apply(self.state, prepared.event)
            self.changed.add(draft.subject)
        return self.log.push(prepared)

    def tell(self, draft: Draft) -> None:
        """Queue what changes nothing; repeats within a minute become one line."""
        if EVENT_KINDS[draft.kind].folds:
            self.log.tell(draft, self._stamp)
        else:
            self.record(draft)

    def flush(self) -> bool:
        """One write of everything recorded. False when the disk refuses: nothing may be spawned then."""
        return self.log.flush(self._stamp.mono)
