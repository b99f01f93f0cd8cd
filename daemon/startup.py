"""What a start does before the first cycle: the state root is ours alone, its memory is loaded and brought up to date.

Newest valid state files first, then the events after them; living processes outrank both and are looked at in the first
cycle.
"""

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..agents import Roster
from ..state import start
from ..state.config import Settings
from ..state.disk import RealDisk
from ..state.errors import BadConfig, BadData, StorageBroken
from ..state.eventlog import EventLog
from ..state.files import make_folder
from ..state.models.commands import Launch
from ..state.models.config import Config
from ..state.models.events import Draft
from ..state.models.names import SWARM, hold_name
from ..state.models.records import Hold
from ..state.models.state_files import FILES, AgentFile, agent_file, agent_rule
from ..state.replay import SLICES, SwarmState
from ..state.scribe import ThreadedScribe
from ..state.store import Store
from . import lock
from .doorway import Asked
from .journal import Journal
from .ports import World
from .swarm import WORKERS, Swarm
from .wishing import PLAN_LOST, carry_out
from .workers.identity import own_epoch, stat_of


@dataclass
class Memory:
    """What a start found: the state, what there is to say about it, and agents' memories as JSON, by name."""

    log: EventLog
    store: Store
    state: SwarmState
    said: list[Draft]
    agents: dict[str, Mapping[str, Any]]


@contextlib.contextmanager
def owned_root(state_root: Path, version: str, now: float) -> Any:
    """Hold `daemon.lock` for the daemon's life. Raises NoPermission naming the daemon that has it."""
    stat = stat_of(os.getpid())
    descriptor = lock.take(state_root, lock.text(os.getpid(), stat.ticks if stat else 0, version, now))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def remember(state_root: Path, settings: Settings, roster: Roster, writer: str) -> Memory:
    """Load the newest usable state and replay the log over it. Raises StorageBroken for files of a newer version."""
    disk, events = RealDisk(), settings.config.events
    names = list(roster.sources)
    rules = {**FILES, **{agent_file(name): agent_rule(name) for name in names}}
    store = Store(state_root, disk, rules, uid=os.geteuid(), writer=writer)
    log = EventLog(state_root, disk, rotate_bytes=events.rotate_mb << 20, keep=events.keep)
    begun = start.begin(store, log)
    others = {name: store.load(name) for name in rules if name not in SLICES.values()}
    said = begun.said + [draft for file in others.values() for draft in start.told(file)]
    memories = {name: file.memory for name in names
                if isinstance(file := others[agent_file(name)].payload, AgentFile)}  # fmt: skip
    return Memory(log, store, begun.state, said, memories)


def assemble(settings: Settings, world: World, memory: Memory, swarm_id: str, build: str) -> Swarm:
    """The swarm in memory, with folders for its workers. Threads of the scribe are not started yet."""
    roots = settings.roots
    for folder in (roots.state / WORKERS, roots.logs, roots.results):
        make_folder(folder)
    return Swarm(
        world=world,
        journal=Journal(memory.log, memory.state),
        scribe=ThreadedScribe(memory.log, memory.store, world.clock.mono),
        roots=roots,
        file_config=settings.config,
        swarm_id=swarm_id,
        epoch=own_epoch(),
        build=build,
        inherited=dict(os.environ),
    )


def begin(swarm: Swarm, memory: Memory, roster: Roster) -> None:
    """The first events of this life: what was found, that it started, who its agents are."""
    journal, control = swarm.journal, swarm.journal.state.control
    how = "fresh"
    if control.started:
        how = "reboot" if control.boot != swarm.epoch else "crash"
        how = "restart" if how == "crash" and control.desired.life in ("drain", "restart") else how
    for draft in memory.said:
        journal.record(draft)
    data = {"swarm_id": swarm.swarm_id, "epoch": swarm.epoch, "build": swarm.build,
            "config": config_digest(swarm.file_config), "pid": os.getpid(), "start": how}  # fmt: skip
    journal.record(Draft("daemon.started", "daemon", data, outcome=how))
    for name, source in roster.sources.items():
        known = control.agents.get(name)
        if known is None or known.source != source:
            journal.record(Draft("agent.loaded", name, {"source": source}))
    _hold_without_plan(swarm)


def config_digest(config: Config) -> str:
    """What tells one configuration from another."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16]


def _hold_without_plan(swarm: Swarm) -> None:
    """Nothing runs by a plan that nobody can read: the next launch releases it."""
    try:
        swarm.overlaid(swarm.file_config)
    except (BadConfig, StorageBroken) as error:
        if hold_name(SWARM, PLAN_LOST) not in swarm.journal.state.control.holds:
            hold = Hold(error.message, PLAN_LOST, swarm.world.clock.now(), needs=error.fix or "launch the plan again")
            swarm.journal.record(Draft("hold.set", SWARM, {"hold": hold}))


def launch_own_plan(swarm: Swarm) -> None:
    """The first start of all carries out the plan of the configuration file, if it has one that is complete."""
    state = swarm.journal.state
    if state.control.desired.life != "idle" or state.control.desired.commands:
        return
    asked = Asked(f"start-{swarm.swarm_id[:8]}", "launch", {}, Launch())
    with contextlib.suppress(BadConfig):  # nothing to launch: somebody will say what
        carry_out(swarm, asked)


def memories_of(roster: Roster, memory: Memory) -> tuple[dict[str, Any], list[Draft]]:
    """Agents' memories from their files; one that does not fit begins anew and is told of."""
    memories: dict[str, Any] = {}
    said: list[Draft] = []
    for agent in (*roster.proposers, roster.arbiter, roster.dispatcher):
        if agent.name in memory.agents:
            try:
                memories[agent.name] = agent.load(memory.agents[agent.name])
            except BadData as error:
                said.append(Draft("state.refused", agent_file(agent.name), {"why": error.line()}))
    return memories, said
