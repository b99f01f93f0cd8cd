"""What is kept: state files at every tick and soon after a change, written by the scribe behind our back."""

import errno
from collections.abc import Callable, Mapping
from typing import Any

from ..state.models.events import Draft
from ..state.models.facts import Observation
from ..state.models.records import AgentRecord
from ..state.models.state_files import (
    CONTROL,
    FLEET,
    LATEST,
    QUEUE,
    AgentFile,
    AgentHeader,
    DoneAction,
    Payload,
    agent_file,
)
from .account import CONTINUITY_AGENT
from .council import Council
from .deeds import Plan
from .moment import Moment
from .swarm import Swarm

Facts = Callable[[Observation], Mapping[str, Any]]


class Saver:
    """`facts`: what `query --json` prints, made of an observation."""

    def __init__(self, swarm: Swarm, council: Council, facts: Facts | None = None) -> None:
        self._swarm, self._council = swarm, council
        self.facts = facts
        self._saved_at = float("-inf")
        self._seq = -1

    def save(self, observation: Observation, moment: Moment, *, force: bool = False) -> None:
        """At a tick everything; after a change what changed, at most once in `save_min_s`."""
        journal = self._swarm.journal
        changed = journal.state.seq != self._seq
        soon = moment.mono - self._saved_at < self._swarm.config.cycle.save_min_s
        if not force and (soon or not (moment.tick or changed)):
            return
        self._saved_at, self._seq = moment.mono, journal.state.seq
        self._swarm.scribe.save(self.payloads(observation, moment), journal.stamp(), journal.state.seq)

    def hear(self) -> None:
        """How the saves since the last cycle ended. What the disk refused is saved again."""
        journal = self._swarm.journal
        for outcome in self._swarm.scribe.outcomes():
            saved, error = outcome.saved, outcome.error
            for bad in saved.bad:
                data = {"fault": bad.fault, "why": bad.why, "moved": bad.moved}
                journal.tell(Draft("state.quarantined", bad.name, data))
            refused = [*saved.failed.values(), *([error] if error is not None else [])]
            if not refused:
                self._swarm.saved = True
                continue
            self._seq = -1
            for one in refused:
                if one.errno in (errno.ENOSPC, errno.EDQUOT):
                    journal.tell(Draft("disk.full", "state", {"why": one.strerror or str(one)}))

    def due(self, mono: float) -> float:
        """When what changed since the last save may be saved (monotonic); infinity if nothing did."""
        if self._swarm.journal.state.seq == self._seq:
            return float("inf")
        return max(mono, self._saved_at + self._swarm.config.cycle.save_min_s)

    def payloads(self, observation: Observation, moment: Moment) -> dict[str, Payload]:
        """Every state file's content."""
        state = self._swarm.journal.state
        facts = dict(self.facts(observation)) if self.facts else {}
        payloads: dict[str, Payload] = {CONTROL: state.control, QUEUE: state.queue, FLEET: state.fleet, LATEST: facts}
        ages = {name: view.age_s for name, view in observation.files.items()}
        for agent in self._council.present:
            payloads[agent_file(agent.name)] = AgentFile(
                self._header(agent.name, ages, observation, moment),
                agent.dump(self._council.memories[agent.name]),
                facts if agent.name == CONTINUITY_AGENT else {},
            )
        return payloads

    def note_agents(self, moment: Moment) -> None:
        """When each agent ran last and how it fares, beside the events."""
        known = self._swarm.journal.state.control.agents
        records = [
            AgentRecord(
                name,
                failures=self._council.failures.get(name, 0),
                runs=runs,
                cycle=moment.cycle,
                at=moment.now,
                health="ok" if not self._council.failures.get(name) else "failing",
            )
            for name, runs in self._council.runs.items()
            if name in known and known[name].quarantine is None
        ]
        self._swarm.journal.live.note_agents(records)

    def _header(
        self, agent: str, ages: Mapping[str, float | None], observation: Observation, moment: Moment
    ) -> AgentHeader:
        record = self._swarm.journal.state.control.agents.get(agent)
        health = "quarantined" if record and record.quarantine else (record.health if record else "new")
        actions = tuple(self._council.last_actions.get(agent, ()))
        return AgentHeader(moment.now, moment.cycle, observation.swarm.run, health, ages, actions)


def remember(council: Council, plan: Plan, proposals: Any, decision: Any, orders: Any) -> None:
    """What became of each agent's proposals of this cycle, for its header."""
    outcomes = {(order.agent, order.kind, order.subject): plan.done.get(order.n, "ordered") for order in orders}
    refused = {id(one.proposal): one.why for one in decision.refused}
    told: dict[str, list[DoneAction]] = {}
    for one in proposals:
        outcome = outcomes.get((one.agent, one.kind, one.subject)) or refused.get(id(one)) or "not ordered"
        told.setdefault(one.agent, []).append(DoneAction(one.kind, one.subject, one.reason, outcome))
    council.last_actions = told
