"""The contract of an agent: a reducer from what was seen and what it remembers to what it asks for.

An agent is one module with a header (what it watches, when it is silent), a frozen dataclass `Memory` whose fields all
have defaults, a function `propose`, and

    AGENT = Agent("name", Memory, propose)

Nothing else is its business: time and chance are fields of the observation, the order of agents means nothing, who wins
a conflict is consensus's table, and what it may ask for is the table of state/models/actions.py. A memory is replaced,
never changed; it is only a convenience, because what must not be lost is in the records.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from ..state.errors import BadData
from ..state.models.actions import Action, Decision, Order, Proposal, subject_of
from ..state.models.facts import Observation

GROUP: Final = "btswarm.agents"
"""Entry points of this group are third parties' agents: each names a module's `AGENT`."""

M = TypeVar("M")
Proposals: TypeAlias = Sequence[Proposal]
Evidence: TypeAlias = tuple[int | str, ...]

_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}\Z")


@dataclass(frozen=True, slots=True)
class _Member(Generic[M]):
    """`memory`: the frozen dataclass of what it remembers; calling it makes the memory of an agent that has none."""

    name: str
    memory: type[M]

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"{self.name!r} is no agent's name: a small letter, then small letters, digits and _")

    def fresh(self) -> M:
        return self.memory()

    def load(self, data: Mapping[str, Any]) -> M:
        """A memory from its JSON. Raises BadData for one that does not fit; begin with a fresh one then."""
        try:
            memory: M = TypeAdapter(self.memory).validate_json(orjson.dumps(data))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise BadData(f"memory of {self.name}: {where}: {first['msg']}") from error
        return memory

    def dump(self, memory: M) -> dict[str, Any]:
        """The JSON of a memory, as plain values."""
        plain: dict[str, Any] = orjson.loads(orjson.dumps(memory))
        return plain


@dataclass(frozen=True, slots=True)
class Agent(_Member[M]):
    """One that proposes; the only kind that can be plugged in."""

    run: Callable[[Observation, M], tuple[Proposals, M]]

    def propose(self, observation: Observation, memory: M) -> tuple[Proposals, M]:
        return self.run(observation, memory)


@dataclass(frozen=True, slots=True)
class Arbiter(_Member[M]):
    """consensus alone."""

    run: Callable[[Observation, Proposals, M], tuple[Decision, M]]

    def arbitrate(self, observation: Observation, proposals: Proposals, memory: M) -> tuple[Decision, M]:
        return self.run(observation, proposals, memory)


@dataclass(frozen=True, slots=True)
class Dispatcher(_Member[M]):
    """main_orchestrator alone."""

    run: Callable[[Observation, Decision, M], tuple[tuple[Order, ...], M]]

    def dispatch(self, observation: Observation, decision: Decision, memory: M) -> tuple[tuple[Order, ...], M]:
        return self.run(observation, decision, memory)


AnyAgent: TypeAlias = Agent[Any] | Arbiter[Any] | Dispatcher[Any]


@dataclass(frozen=True, slots=True)
class Nothing:
    """The memory of an agent that remembers nothing."""


@dataclass(frozen=True, slots=True)
class Voice:
    """An agent's signature: makes its proposals."""

    agent: str

    def asks(self, action: Action, reason: str, *evidence: int | str, subject: str = "") -> Proposal:
        """`subject` only where the action has none of its own. `evidence`: seqs of events, or paths of facts."""
        return Proposal(self.agent, action, subject or subject_of(action), reason, evidence)
