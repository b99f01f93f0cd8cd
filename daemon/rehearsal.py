"""One agent, one cycle, by hand: what it would ask for, seeing what state files and machine say now.

Nothing is changed: the memory is loaded from a copy of the state files, processes are looked at and nobody is
signalled, and what is asked for is carried out by no one. A daemon may run meanwhile, or none. What needs two looks, as
use of the CPU does, is a missing reading here.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from .. import __version__
from ..agents import Roster, discover
from ..agents.api import Agent, Arbiter
from ..state.config import Settings
from ..state.errors import BadConfig
from ..state.logread import LOG_NAME
from ..state.models.actions import Decision, Order, Proposal
from ..state.models.facts import Observation
from ..state.models.readings import Known, Missing, Reading
from ..state.scribe import ThreadedScribe
from .clock import SystemClock, SystemRandom
from .endings import Endings
from .files import RealFiles
from .home import ID_NAME, swarm_identity
from .journal import Journal
from .meter import AlarmMeter, BlackBox
from .moment import Moment
from .observe import Observer
from .ports import Identity, Sample, World
from .probes.host import HostProbe
from .probes.provider import NoProvider
from .startup import Memory, memories_of, remember
from .supervisor import DRAW_BITS, NoGpu
from .swarm import Swarm
from .tools import RealTools
from .view import NoState
from .wishing import Wishing
from .workers.adopt import Adoption
from .workers.identity import own_epoch, stat_of
from .workers.table import RealProcesses

LOGS: Final = 2
"""The newest parts of the log: state files are never older than that."""


class Onlookers(RealProcesses):
    """Sees every worker, owns none."""

    def sample(self, identity: Identity) -> Reading[Sample]:
        mono = SystemClock().mono()
        stat = stat_of(identity.pid)
        if stat is None or stat.ticks != identity.ticks:
            return Missing("its process is gone", mono)
        return Known(Sample(stat.state, stat.cpu_s, stat.rss_mb, stat.ticks), mono)


def rehearse(settings: Settings, name: str) -> tuple[Observation, Sequence[Proposal] | Decision | Sequence[Order]]:
    """What the agent `name` sees and asks for: proposals; of consensus the decision, of main_orchestrator the orders.

    Raises BadConfig for an agent there is not, NoState where no swarm ever ran, StorageBroken for unreadable state.
    """
    roster = discover()
    if name not in roster.sources:
        raise BadConfig(f"there is no agent {name!r}", fix=f"the agents are {', '.join(sorted(roster.sources))}")
    root = settings.roots.state
    if not (root / ID_NAME).exists():
        raise NoState(f"no swarm ever left a state in {root}", fix="btswarm start starts one")
    with _copy(root) as copy:
        memory = remember(copy, settings, roster, "rehearsal")
        memories, _ = memories_of(roster, memory)
        observation = _observed(settings, memory, swarm_identity(copy))
    return observation, _asked(roster, memories, observation, name)


@contextmanager
def _copy(root: Path) -> Iterator[Path]:
    """State files, their previous copies and the end of the log, in a folder that goes away again."""
    with tempfile.TemporaryDirectory(prefix="btswarm-rehearsal-") as folder:
        parts = sorted(root.glob("workflow_events.*.log"), key=lambda path: path.stat().st_mtime)[1 - LOGS :]
        for path in (*root.glob("*.json"), *root.glob("*.json.prev"), *parts, root / LOG_NAME, root / ID_NAME):
            if path.is_file():
                shutil.copy2(path, folder)
        yield Path(folder)


def _observed(settings: Settings, memory: Memory, swarm_id: str) -> Observation:
    clock, random = SystemClock(), SystemRandom()
    roots = settings.roots
    host = HostProbe(clock, {"state": roots.state, "results": roots.results, "logs": roots.logs})
    host.look()
    processes = Onlookers(swarm_id, clock)
    tools = RealTools(processes, clock, os.environ)
    provider = NoProvider(settings.config.budget, clock)
    with tempfile.TemporaryDirectory(prefix="btswarm-box-") as box:
        meter = AlarmMeter(BlackBox(Path(box) / "agent.box"))
        world = World(clock, random, meter, RealFiles(), processes, host, NoGpu(), provider, tools)
    journal = Journal(memory.log, memory.state)
    scribe = ThreadedScribe(memory.log, memory.store, clock.mono)
    swarm = Swarm(world, journal, scribe, roots, settings.config, swarm_id, own_epoch(), __version__)
    mono = clock.mono()
    moment = Moment(0, clock.now(), mono, 0.0, random.bits(DRAW_BITS), ("rehearsal",), True, swarm.epoch)
    swarm.file_views = memory.store.audit(moment.now, mono)
    endings = Endings(swarm)
    observer = Observer(swarm, endings, Adoption(swarm, endings), Wishing(swarm, None))
    try:
        return observer.glance(moment)
    finally:
        tools.close()
        processes.close()


def _asked(
    roster: Roster, memories: Mapping[str, Any], observation: Observation, name: str
) -> Sequence[Proposal] | Decision | Sequence[Order]:
    """By the agent itself; those that decide about proposals hear all agents first."""

    def kept(agent: Agent[Any] | Arbiter[Any] | Any) -> Any:
        return memories[agent.name] if agent.name in memories else agent.fresh()

    chosen = [agent for agent in roster.proposers if agent.name == name]
    heard = [one for agent in chosen or roster.proposers for one in agent.propose(observation, kept(agent))[0]]
    if chosen:
        return heard
    arbiter, dispatcher = roster.arbiter, roster.dispatcher
    assert arbiter is not None
    decision, _ = arbiter.arbitrate(observation, heard, kept(arbiter))
    if name == arbiter.name:
        return decision
    assert dispatcher is not None
    return dispatcher.dispatch(observation, decision, kept(dispatcher))[0]
