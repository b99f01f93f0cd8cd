"""Decisions. Pure reducers: no clock, file, process or randomness of their own. docs/AGENTS.md is the table for people.

`discover()` finds this package's own agents and those that others installed. One that cannot be loaded is told of, and
costs nobody else anything.
"""

import importlib
import itertools
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from ..state.models.actions import MAX_PROPOSALS, refuse_unsound
from ..state.models.facts import Observation
from .api import GROUP, Agent, AnyAgent, Arbiter, Dispatcher, Proposals

NOT_AGENTS: Final = frozenset(("api", "detectors"))


@dataclass(frozen=True, slots=True)
class Loaded:
    """`source`: the module of our own, or `distribution: entry point` of somebody else's."""

    agent: AnyAgent
    source: str


@dataclass(frozen=True, slots=True)
class Unloadable:
    """Why there is no agent where one was announced: an incident of class `agent`."""

    name: str
    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Roster:
    """Who was found, by name. Ours come first, and a name belongs to whoever had it first."""

    proposers: tuple[Agent[Any], ...]
    arbiter: Arbiter[Any]
    dispatcher: Dispatcher[Any]
    sources: dict[str, str]
    failed: tuple[Unloadable, ...]


def discover(plugins: Iterable[EntryPoint] | None = None) -> Roster:
    """All agents. `plugins`: entry points instead of the installed ones. Never raises for a plug-in's fault."""
    found: list[Loaded] = list(_own())
    names = {one.agent.name for one in found}
    failed: list[Unloadable] = []
    wanted = entry_points(group=GROUP) if plugins is None else plugins
    for point in sorted(wanted, key=lambda one: (one.name, one.value)):
        loaded = _plugged(point, names)
        if isinstance(loaded, Unloadable):
            failed.append(loaded)
        else:
            found.append(loaded)
            names.add(loaded.agent.name)
    return _roster(found, failed)


def _own() -> Iterator[Loaded]:
    for module in pkgutil.iter_modules(__path__):
        if module.name not in NOT_AGENTS:
            agent: AnyAgent = importlib.import_module(f"{__name__}.{module.name}").AGENT
            yield Loaded(agent, f"{__name__}.{module.name}")


def _plugged(point: EntryPoint, taken: set[str]) -> Loaded | Unloadable:
    source = f"{point.dist.name if point.dist else '?'}: {point.value}"
    try:
        agent = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a stranger's module does on import is its own fault
        return Unloadable(point.name, source, f"cannot be imported: {type(error).__name__}: {error}")
    if not isinstance(agent, Agent):
        return Unloadable(point.name, source, f"{type(agent).__name__} is no Agent of btswarm.agents.api")
    if agent.name in taken:
        return Unloadable(point.name, source, f"there is an agent {agent.name} already")
    return Loaded(_vetted(agent), source)


def _vetted(agent: Agent[Any]) -> Agent[Any]:
    """A stranger's agent, whose proposals of the wrong types are failures of its own: nobody later looks."""

    def run(observation: Observation, memory: Any) -> tuple[Proposals, Any]:
        said, memory = agent.run(observation, memory)
        heard = list(itertools.islice(said, MAX_PROPOSALS + 1))
        for one in heard:
            refuse_unsound(one)
        return heard, memory

    return replace(agent, run=run)


def _roster(found: list[Loaded], failed: list[Unloadable]) -> Roster:
    proposers = tuple(one.agent for one in found if isinstance(one.agent, Agent))
    (arbiter,) = (one.agent for one in found if isinstance(one.agent, Arbiter))
    (dispatcher,) = (one.agent for one in found if isinstance(one.agent, Dispatcher))
    sources = {one.agent.name: one.source for one in found}
    return Roster(proposers, arbiter, dispatcher, sources, tuple(failed))
