"""Parts of the daemon on a bench: a journal in a folder, and readings that a test sets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from btswarm.daemon.journal import Journal
from btswarm.daemon.moment import Moment
from btswarm.daemon.ports import Metered
from btswarm.state.disk import RealDisk
from btswarm.state.eventlog import EventLog
from btswarm.state.models.events import Draft, Event
from btswarm.state.replay import SwarmState

from ..agents.world import MONO, NOW

EPOCH = "e" * 16


def moment(after_s: float = 0.0, *, tick: bool = True) -> Moment:
    return Moment(1, NOW + after_s, MONO + after_s, 1.0, 7, ("test",), tick, EPOCH)


@dataclass
class Heard:
    """A journal that remembers what it was told."""

    journal: Journal
    events: list[Event] = field(default_factory=list)

    def kinds(self, *prefixes: str) -> list[str]:
        return [one.kind for one in self.events if not prefixes or one.kind.startswith(prefixes)]


def journal(folder: Path) -> Heard:
    """An empty one, at the time of `world.observation`."""
    log = EventLog(folder, RealDisk())
    log.open()
    made = Journal(log, SwarmState())
    made.turn(moment())
    heard = Heard(made)
    push = log.push

    def listening(prepared: Any) -> Event:
        heard.events.append(prepared.event)
        return push(prepared)

    log.push = listening  # type: ignore[method-assign]
    return heard


def said(heard: Heard, kind: str, subject: str, **data: Any) -> Event:
    """Something that happened before the test."""
    return heard.journal.record(Draft(kind, subject, data))  # type: ignore[arg-type]


class PlainMeter:
    """Calls, unwatched."""

    def call(self, agent: str, limit_s: float, run: Any) -> Metered[Any]:
        return Metered(run(), 0.1)
