"""The hand that gives a rented instance back: its provider is told, and asked until it says so."""

from ..state.models.actions import Order, StopInstance
from ..state.models.events import Draft
from ..state.models.facts import Observation
from ..state.models.names import SWARM
from ..state.models.readings import Known
from ..state.models.records import OpenItem
from .deeds import Answers, Carry, Done, Hand, Look, Plan, Refused
from .probes.provider import is_stopped


class Renting(Answers):
    """Where nobody can be told, the order is refused with what is missing."""

    def carried(self) -> dict[type, Carry]:
        return {StopInstance: self._intend}

    def hands(self) -> dict[str, Hand]:
        return {"StopInstance": self._stop}

    def looks(self) -> dict[str, Look]:
        return {"instance_stopped": self._look}

    def _intend(self, order: Order, action: StopInstance, observation: Observation, plan: Plan) -> None:
        journal = self._swarm.journal
        if why := self._swarm.world.provider.cannot_stop():
            raise Refused(why)
        if any(item.action == order.kind for item in journal.state.fleet.verify):
            raise Refused("its provider was told already")
        incident = self._incident_of(order, SWARM)
        data = {"why": order.reason, "opens": self._item(order, plan.moment, SWARM, incident=incident)}
        event = journal.record(Draft("budget.stopped", SWARM, data, self._cause(order, SWARM), order.agent))
        self._answer_incident(order, event.seq, SWARM)
        plan.hands.append(order)

    def _stop(self, order: Order) -> None:
        self._swarm.world.provider.stop_instance()

    def _look(self, _item: OpenItem) -> Done | None:
        reading = self._swarm.world.provider.reading()
        if isinstance(reading, Known) and is_stopped(reading.known):
            return Done({"status": reading.known.status}, "budget.stopped", {"status": reading.known.status})
        return None
