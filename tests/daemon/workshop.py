"""Parts of the daemon on a bench: a swarm in a folder without processes, and readings that a test sets."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from btswarm.daemon.clock import SystemRandom
from btswarm.daemon.files import RealFiles
from btswarm.daemon.journal import Journal
from btswarm.daemon.moment import Moment
from btswarm.daemon.ports import Metered, ToolEnd, World
from btswarm.daemon.swarm import Swarm
from btswarm.state.disk import RealDisk
from btswarm.state.eventlog import EventLog
from btswarm.state.models.actions import RULES, Action, Order, kind_of, subject_of
from btswarm.state.models.events import Draft, Event
from btswarm.state.models.facts import Observation
from btswarm.state.models.state_files import FILES
from btswarm.state.paths import Roots
from btswarm.state.replay import SwarmState
from btswarm.state.scribe import Scribe
from btswarm.state.store import Store

from ..agents.world import MONO, NOW, config, observation

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

    def last(self, kind: str) -> Event:
        return [one for one in self.events if one.kind == kind][-1]


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


@dataclass
class Hands:
    """A clock that stands, tools that end as the test says, and nobody else."""

    at: float = MONO
    started: list[tuple[str, ...]] = field(default_factory=list)
    ends: list[ToolEnd] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def now(self) -> float:
        return NOW + self.at - MONO

    def mono(self) -> float:
        return self.at

    def start(self, name: str, argv: Any, environment: Any, limit_s: float) -> None:
        self.started.append(tuple(argv))
        self.names.add(name)

    def running(self, name: str) -> bool:
        return name in self.names

    def ended(self, name: str) -> ToolEnd | None:
        if name not in self.names or not self.ends:
            return None
        self.names.remove(name)
        return self.ends.pop(0)


@dataclass
class Bench:
    """`swarm` with a real journal and real files; `hands` are its clock and its tools."""

    folder: Path
    hands: Hands = field(default_factory=Hands)

    def __post_init__(self) -> None:
        root = self.folder
        roots = Roots(root, root / "results", root / "state", root / "logs", root / "knowledge", None)
        for one in (roots.state, roots.results, roots.logs, roots.knowledge):
            one.mkdir()
        self.heard = journal(roots.state)
        nobody: Any = None
        world = World(self.hands, SystemRandom(), PlainMeter(), RealFiles(), nobody, nobody, nobody, nobody, self.hands)
        store = Store(roots.state, RealDisk(), FILES, uid=0, writer="test")
        scribe = Scribe(self.heard.journal.log, store, self.hands.mono)
        self.swarm = Swarm(world, self.heard.journal, scribe, roots, config(), "a" * 32, EPOCH, "1")

    def with_ports(self, **ports: Any) -> "Bench":
        self.swarm.world = replace(self.swarm.world, **ports)
        return self

    def later(self, seconds: float) -> Moment:
        """So much time has passed."""
        self.hands.at += seconds
        now = moment(self.hands.at - MONO)
        self.heard.journal.turn(now)
        return now

    def seen(self, **changes: Any) -> Observation:
        """What a cycle at this time sees: the records, and a host that is well."""
        state = self.heard.journal.state
        records = {"incidents": state.control.incidents, "probes": state.control.probes, "verify": state.fleet.verify}
        return observation(now=self.hands.now(), mono=self.hands.at, **{**records, **changes})


def order(action: Action, agent: str, mono: float = MONO, n: int = 1) -> Order:
    rule = RULES[kind_of(action)]
    return Order(n, action, subject_of(action), rule.done_when, mono + (rule.within_s or 0.0), agent=agent, reason="so")
