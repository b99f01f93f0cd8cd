"""The agents at the table: called one after another under the meter, heard only within the rules.

An agent that fails costs its own proposals of this cycle and nothing else; one that fails again and again is set aside
with an incident. When consensus or the orchestrator fail, the plain rules here keep the swarm repairing itself.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..state.models.actions import KINDS, MAX_PROPOSALS, NOTES, RULES, Decision, Order, Proposal, Refusal, may_propose
from ..state.models.events import Draft, Kind
from ..state.models.facts import Observation
from ..state.models.records import Hold
from ..state.models.state_files import DoneAction
from . import incidents
from .journal import Journal
from .ports import Meter, Metered
from .wanting import Wanting

CONSENSUS, ORCHESTRATOR = "consensus", "main_orchestrator"
SLOW_TOLD_S = 60.0


class Agent(Protocol):
    """What the loop needs of an agent. `fresh()` is the memory of one that has none yet."""

    @property
    def name(self) -> str: ...

    def fresh(self) -> Any: ...

    def dump(self, memory: Any) -> dict[str, Any]: ...


class Proposer(Agent, Protocol):
    """Every agent but two; the only kind that can be plugged in."""

    def propose(self, observation: Observation, memory: Any) -> tuple[Sequence[Proposal], Any]: ...


class Arbiter(Agent, Protocol):
    """consensus alone."""

    def arbitrate(
        self, observation: Observation, proposals: Sequence[Proposal], memory: Any
    ) -> tuple[Decision, Any]: ...


class Dispatcher(Agent, Protocol):
    """main_orchestrator alone."""

    def dispatch(self, observation: Observation, decision: Decision, memory: Any) -> tuple[Sequence[Order], Any]: ...


class Council:
    """All agents with their memories. `memories` survives the daemon in the agents' state files."""

    def __init__(
        self,
        journal: Journal,
        meter: Meter,
        proposers: Sequence[Proposer],
        arbiter: Arbiter | None = None,
        dispatcher: Dispatcher | None = None,
        memories: Mapping[str, Any] | None = None,
    ) -> None:
        self.proposers, self.arbiter, self.dispatcher = tuple(proposers), arbiter, dispatcher
        self.present: list[Agent] = [*self.proposers, *(one for one in (arbiter, dispatcher) if one)]
        self.memories: dict[str, Any] = {agent.name: agent.fresh() for agent in self.present}
        self.memories.update(memories or {})
        self.runs: dict[str, int] = {}
        self.failures: dict[str, int] = {}
        self.last_actions: dict[str, list[DoneAction]] = {}
        self._slowest: tuple[str, float] = ("", 0.0)
        self._overran: dict[str, tuple[int, float]] = {}
        self.wanting = Wanting()
        self._journal, self._meter = journal, meter

    def propose(self, observation: Observation) -> list[Proposal]:
        """What all agents ask for, in an order that does not depend on who was asked first."""
        heard = [one for agent in self.proposers for one in self._hear(agent, observation)]
        at_work = (agent.name for agent in self.proposers if not _aside(observation, agent.name))
        heard += self.wanting.still(heard, observation.mono, at_work)
        return sorted(heard, key=lambda one: (one.kind, one.subject, one.agent))

    def arbitrate(self, observation: Observation, proposals: Sequence[Proposal]) -> Decision:
        if self.arbiter:
            arbiter = self.arbiter
            decision = self._call(
                arbiter, observation, lambda memory: arbiter.arbitrate(observation, proposals, memory)
            )
            if decision is not None:
                return self._logged(decision, observation)
        return self._logged(plain_decision(proposals), observation)

    def dispatch(self, observation: Observation, decision: Decision) -> Sequence[Order]:
        if self.dispatcher:
            dispatcher = self.dispatcher
            orders = self._call(
                dispatcher, observation, lambda memory: dispatcher.dispatch(observation, decision, memory)
            )
            if orders is not None:
                return tuple(orders)
        return plain_orders(observation, decision)

    def slowest_agent(self) -> tuple[str, float]:
        """Which one took longest in one call since this was last asked, and how long (ms)."""
        slowest, self._slowest = self._slowest, ("", 0.0)
        return slowest

    def _hear(self, agent: Proposer, observation: Observation) -> list[Proposal]:
        asked = self._call(agent, observation, lambda memory: _proposals(agent.propose(observation, memory)))
        heard = asked or []
        if len(heard) > MAX_PROPOSALS:
            self._refuse(agent.name, "swarm", f"more than {MAX_PROPOSALS} proposals in one cycle")
        return [one for one in heard[:MAX_PROPOSALS] if self._allowed(agent, one)]

    def _allowed(self, agent: Proposer, proposal: Proposal) -> bool:
        if proposal.agent != agent.name:
            self._refuse(agent.name, proposal.subject, f"signed as {proposal.agent}")
        elif not may_propose(agent.name, proposal.action):
            self._refuse(agent.name, proposal.subject, f"{agent.name} may not ask for {proposal.kind}")
        else:
            return True
        return False

    def _call(self, agent: Agent, observation: Observation, run: Callable[[Any], tuple[Any, Any]]) -> Any:
        """The agent's answer with its memory kept, None when it failed or is set aside."""
        if _aside(observation, agent.name):
            return None
        limits = observation.swarm.config.cycle
        memory = self.memories[agent.name]
        metered = self._meter.call(agent.name, limits.agent_hard_s, lambda: _sound(agent, memory, run(memory)))
        if metered.elapsed_ms > self._slowest[1]:
            self._slowest = (agent.name, metered.elapsed_ms)
        self.runs[agent.name] = self.runs.get(agent.name, 0) + 1
        if metered.value is None:
            self._failed(agent.name, metered, observation)
            return None
        answer, self.memories[agent.name] = metered.value
        self.failures[agent.name] = 0
        if metered.elapsed_ms > limits.agent_soft_ms:
            self._slow(agent.name, metered.elapsed_ms, observation)
        return answer

    def _slow(self, agent: str, elapsed_ms: float, observation: Observation) -> None:
        """Told at once, and then at most once a minute with how often it was: it may be so in every cycle."""
        times, since = self._overran.get(agent, (0, float("-inf")))
        if observation.mono - since < SLOW_TOLD_S:
            self._overran[agent] = times + 1, since
            return
        self._overran[agent] = 0, observation.mono
        data = {"limit_ms": observation.swarm.config.cycle.agent_soft_ms, "times": times + 1}
        self._journal.tell(Draft("agent.overran", agent, data, dur_ms=round(elapsed_ms, 1)))

    def _failed(self, agent: str, metered: Metered[Any], observation: Observation) -> None:
        failures = self.failures[agent] = self.failures.get(agent, 0) + 1
        kind: Kind = "agent.overran" if metered.overran else "agent.raised"
        data = {"error": metered.error, "failures": failures}
        event = self._journal.record(Draft(kind, agent, data, dur_ms=round(metered.elapsed_ms, 1)))
        if failures >= observation.swarm.config.cycle.quarantine_after:
            hold = Hold(f"failed {failures} times in a row: {metered.error}", "agent", observation.now,
                        needs=f"mend or remove the agent {agent}, then release it")  # fmt: skip
            self.quarantine(agent, hold, event.seq)
            self.failures[agent] = 0

    def quarantine(self, agent: str, hold: Hold, cause: int | None = None) -> None:
        """Set an agent aside until a person releases it."""
        event = self._journal.record(Draft("agent.quarantined", agent, {"hold": hold}, cause))
        name = incidents.detect(self._journal, "agent", agent, hold.reason, cause=event.seq, policy="set aside")
        incidents.settle(self._journal, name, "Hold", {"quarantine": hold.needs})

    def _refuse(self, agent: str, subject: str, why: str) -> None:
        self._journal.tell(Draft("proposal.refused", subject, {"why": why}, agent=agent, outcome=why))

    def _logged(self, decision: Decision, observation: Observation) -> Decision:
        self.wanting.decided(decision, observation.mono)
        for refusal in decision.refused:
            self._refuse(refusal.proposal.agent, refusal.proposal.subject, refusal.why)
        return decision


def _aside(observation: Observation, agent: str) -> bool:
    record = observation.agents.get(agent)
    return bool(record and record.quarantine and not record.quarantine.over(observation.now))


def _sound(agent: Agent, old: Any, answer: Any) -> tuple[Any, Any]:
    """An answer and a memory that can be kept. Raises what is wrong, inside the agent's own call."""
    said, memory = answer
    if type(memory) is not type(old):
        raise TypeError(f"a memory of type {type(memory).__name__}, not {type(old).__name__}")
    if memory is not old:
        agent.dump(memory)
    return said, memory


def _proposals(answer: Any) -> tuple[list[Proposal], Any]:
    """What an agent asks for, as a list, and one more than is heard if there are more."""
    said, memory = answer
    heard = list(itertools.islice(said, MAX_PROPOSALS + 1))
    for one in heard:
        if not isinstance(one, Proposal) or type(one.action) not in KINDS:
            raise TypeError(f"{type(one).__name__} is no proposal of a known action")
    return heard, memory


def plain_decision(proposals: Sequence[Proposal]) -> Decision:
    """Notes first and all of them; then one action a subject, a stop before a start. For when consensus cannot be
    asked."""
    notes = [one for one in proposals if one.kind in NOTES]
    accepted: dict[str, Proposal] = {}
    refused = []
    for proposal in sorted((one for one in proposals if one.kind not in NOTES), key=_starts):
        if proposal.subject in accepted:
            refused.append(Refusal(proposal, f"{accepted[proposal.subject].kind} has the subject in this cycle"))
        else:
            accepted[proposal.subject] = proposal
    return Decision((*notes, *accepted.values()), tuple(refused))


def _starts(proposal: Proposal) -> bool:
    return not RULES[proposal.kind].stops


def plain_orders(observation: Observation, decision: Decision) -> tuple[Order, ...]:
    """The accepted proposals as orders in their own order; for when the orchestrator cannot be asked."""
    orders = []
    for n, proposal in enumerate(decision.accepted, 1):
        rule = RULES[proposal.kind]
        orders.append(Order(n, proposal.action, proposal.subject, rule.done_when,
                            observation.mono + (rule.within_s or 0.0), agent=proposal.agent,
                            reason=proposal.reason, evidence=proposal.evidence,
                            args={"expires_s": proposal.expires_s} if proposal.expires_s else {}))  # fmt: skip
    return tuple(orders)
