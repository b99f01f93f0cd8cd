"""watchdog: the freshness of every state file and of the control plane, and the room to write them.

Watches state files as read back from disk, agents that no longer run, free space and the ballast.
Asks for: RewriteState and RestoreState (`ensure_swarm_watchdogs`), ReleaseBallast and RebuildBallast, incidents.
Silent: on files of a newer version (told of, never touched) and on a disk that does not answer; on age alone after a
gap of the daemon itself, when every file is old.
"""

from collections.abc import Iterator
from typing import Final, Literal

from ..state.models.actions import (
    OpenIncident,
    Proposal,
    RebuildBallast,
    ReleaseBallast,
    RestoreState,
    RewriteState,
)
from ..state.models.facts import AgentView, FileView, Known, Observation
from ..state.models.state_files import FILES, agent_file
from .api import Agent, Nothing, Proposals, Voice
from .detectors.incidents import told
from .detectors.overdue import MISSED_TICKS, gap

ASK: Final = Voice("watchdog")
REPAIR: Final = "ensure_swarm_watchdogs"
LAST_MB: Final = 64.0
"""With less the next write may fail: the ballast goes."""
SLOW_S: Final = 1.0
"""While the disk is as late as this, old files say nothing."""
SILENT_S: Final = 10.0
"""A disk that has not answered for so long is an incident; until then it is slow."""


def propose(observation: Observation, memory: Nothing) -> tuple[Proposals, Nothing]:
    found: list[Proposal] = []
    away = gap(observation.gap_s, observation.swarm.config.cycle.tick_s)
    for view in observation.files.values():
        if not view.valid or view.fault or (view.limit_s is not None and (view.age_s or 0.0) > view.limit_s):
            found += _file(observation, view, away)
    for agent in observation.agents.values():
        found += _agent(observation, agent, away)
    found += _silent(observation)
    found += _disks(observation)
    found += _ballast(observation)
    return found, memory


def _file(observation: Observation, view: FileView, away: bool) -> Iterator[Proposal]:
    fact = f"files.{view.name}"
    fault = view.fault or ("aged" if view.valid else "unreadable")
    why = f"{view.name} is {fault}{f': {view.why}' if view.why else ''}"
    if fault == "unanswered" or (fault == "aged" and (away or observation.host.disk_silent_s >= SLOW_S)):
        return
    if not told(observation, "state_file", view.name):
        severity: Literal["warning", "critical"] = "critical" if fault == "newer" else "warning"
        yield ASK.asks(OpenIncident("state_file", view.name, (fact,), why, severity), why, fact)
    if fault != "newer":
        restore = _only_a_copy_knows(observation, view.name)
        yield ASK.asks(RestoreState(view.name) if restore else RewriteState(view.name), f"{REPAIR}: {why}", fact)


def _only_a_copy_knows(observation: Observation, name: str) -> bool:
    """Whether the file holds the memory of an agent that has not run since the daemon began."""
    if name in FILES:
        return False
    return any(agent_file(agent.name) == name and not agent.runs for agent in observation.agents.values())


def _agent(observation: Observation, agent: AgentView, away: bool) -> Iterator[Proposal]:
    """One that is neither set aside nor run: the control plane itself is ill."""
    missed = observation.cycle - agent.cycle
    limit_s = MISSED_TICKS * observation.swarm.config.cycle.tick_s
    if away or not agent.runs or agent.quarantine or missed <= MISSED_TICKS or observation.now - agent.at <= limit_s:
        return
    if not told(observation, "agent", agent.name):
        why = f"it has not run for {missed} cycles"
        fact = f"agents.{agent.name}.cycle"
        yield ASK.asks(OpenIncident("agent", agent.name, (fact,), why), why, fact)


def _silent(observation: Observation) -> Iterator[Proposal]:
    silent_s = observation.host.disk_silent_s
    if silent_s >= SILENT_S and not told(observation, "disk_silent", "state"):
        why = f"the disk of the state has not answered for {silent_s:.0f} s"
        fact = "host.disk_silent_s"
        yield ASK.asks(OpenIncident("disk_silent", "state", (fact,), why, "critical"), why, fact)


def _disks(observation: Observation) -> Iterator[Proposal]:
    floor_mb = observation.swarm.config.disk.floor_mb
    for root, disk in observation.host.disk.items():
        why = ""
        if isinstance(disk.writable, Known) and not disk.writable.known:
            why = f"{root} cannot be written"
        elif isinstance(disk.free_mb, Known) and disk.free_mb.known < floor_mb:
            why = f"{disk.free_mb.known:.0f} MB free for {root}, {floor_mb} is the floor"
        if why and not told(observation, "disk_full", root):
            fact = f"host.disk.{root}"
            yield ASK.asks(OpenIncident("disk_full", root, (fact,), why), why, fact)


def _ballast(observation: Observation) -> Iterator[Proposal]:
    """Given up while the log or the state cannot be written, laid in again once there is room twice over."""
    host, config = observation.host, observation.swarm.config.disk
    disk = host.disk.get("state")
    if not isinstance(host.ballast_mb, Known) or not config.ballast_mb:
        return
    free = disk.free_mb.known if disk and isinstance(disk.free_mb, Known) else None
    unwritable = disk is not None and isinstance(disk.writable, Known) and not disk.writable.known
    full = host.log_backlog > 0 or unwritable or (free is not None and free < LAST_MB)
    if full and host.ballast_mb.known > 0:
        yield ASK.asks(ReleaseBallast(), "the state cannot be written: disk full", "host.disk.state", subject="ballast")
    quick = host.disk_silent_s < SLOW_S
    room = quick and free is not None and free > config.floor_mb + 2 * config.ballast_mb
    if room and not full and host.ballast_mb.known < config.ballast_mb:
        yield ASK.asks(RebuildBallast(), "there is room again", "host.ballast_mb", subject="ballast")


AGENT = Agent("watchdog", Nothing, propose)
