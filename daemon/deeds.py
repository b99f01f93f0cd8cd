"""What a cycle is going to do, and how each deed is tied to the incident that it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..state.models.actions import Order
from ..state.models.events import Kind
from ..state.models.facts import Observation
from ..state.models.records import OpenItem
from . import incidents
from .moment import Moment
from .swarm import Swarm


@dataclass
class Plan:
    """What a cycle is going to do. `done`: what became of each order, by its number."""

    moment: Moment
    spawns: list[str]
    hands: list[Order]
    done: dict[int, str]
    unsettled: bool = False
    """Whether something was changed that lets more be decided: the next cycle follows at once."""


class Refused(Exception):
    """An order that cannot be carried out as things stand; the agents see that and ask again."""


Hand = Callable[[Order], None]
"""Carries out an order after its intent is in the log."""
Carry = Callable[[Order, Any, Observation, Plan], None]
"""Turns an order into the events of its intent; the second argument is the order's action."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It will not be done: why, and what a person must do."""

    why: str
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What was seen; `kind` and `data`: the event that tells it."""

    seen: Any
    kind: Kind
    data: Mapping[str, Any] = field(default_factory=dict)


Look = Callable[[OpenItem], Done | Failed | None]
"""None: nothing to be seen yet."""


class Answers:
    """Ties an order to the incident that it answers. Hands that carry out orders derive from it."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    def carried(self) -> Mapping[type, Carry]:
        """What begins with an event of its own, by type of action."""
        return {}

    def hands(self) -> Mapping[str, Hand]:
        """What is done once the log is written, by kind of action."""
        return {}

    def looks(self) -> Mapping[str, Look]:
        """What is looked at again, by `done_when`."""
        return {}

    def _item(
        self, order: Order, moment: Moment, subject: str, *, incident: str = "", due: float | None = None
    ) -> dict[str, Any]:
        """An open item: `due` in UTC, like everything that is remembered."""
        at = due if due is not None else moment.now + max(0.0, order.due - moment.mono)
        item: dict[str, Any] = {"action": order.kind, "subject": subject, "done_when": order.done_when, "due": at,
                                "agent": order.agent}  # fmt: skip
        return {**item, "incident": incident} if incident else item

    def _incident_of(self, order: Order, *subjects: str) -> str:
        """The open incident that an order answers: one it names as evidence, or the oldest about its subject."""
        open_ = self._swarm.journal.incidents
        named = [f"i{one}" for one in order.evidence if f"i{one}" in open_]
        about = sorted(incidents.about(self._swarm.journal, order.subject, *subjects), key=lambda one: one.since)
        return next(iter(named), about[0].incident if about else "")

    def _cause(self, order: Order, *subjects: str) -> int | None:
        """What the deed follows from: the newest event of the incident that it answers, else the newest it names."""
        known = self._swarm.journal.incidents.get(self._incident_of(order, *subjects))
        return known.seq if known else cause_of(order)

    def _answer_incident(self, order: Order, cause: int | None, *subjects: str) -> None:
        if name := self._incident_of(order, *subjects):
            incidents.executed(self._swarm.journal, name, order.kind, cause)

    def _settle(self, order: Order, cause: int, seen: dict[str, Any], *subjects: str) -> None:
        if name := self._incident_of(order, *subjects):
            incidents.settle(self._swarm.journal, name, order.kind, seen, cause)


def cause_of(order: Order) -> int | None:
    """The event that an order follows from: the newest it names."""
    return max((one for one in order.evidence if isinstance(one, int)), default=None)
