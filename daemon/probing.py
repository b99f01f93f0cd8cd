"""Probes that went silent: told, started again with growing waits, given up when their helpers pile up.

A cycle never waits for a probe. One that was asked and has not answered for SILENT_S is silent; what it hangs in cannot
be ended from here, so it is left behind and another helper asked, until HELPERS of them hang at once.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from ..state.models.actions import Order, RestartProbe
from ..state.models.events import Draft
from ..state.models.facts import Observation
from ..state.models.records import OpenItem
from . import incidents
from .deeds import Answers, Carry, Done, Hand, Look, Plan, Refused
from .moment import Moment
from .swarm import Swarm

SILENT_S: Final = 10.0


class Probe(Protocol):
    """Something that is asked and answers when it can."""

    def asked_at(self) -> float | None:
        """Since when it owes an answer (monotonic), None if it owes none."""
        ...

    def answered_at(self) -> float:
        """When it last answered (monotonic)."""
        ...

    def restart(self) -> bool:
        """Leave the helper that hangs and ask another; False when too many hang already."""
        ...


class Probing(Answers):
    """`probes`: by name."""

    def __init__(self, swarm: Swarm, probes: Mapping[str, Probe]) -> None:
        super().__init__(swarm)
        self._probes = dict(probes)
        self._restarted: dict[str, float] = {}

    def notice(self, moment: Moment) -> None:
        """Say who fell silent and who answers again. Once a cycle, before the agents are asked."""
        known = self._swarm.journal.state.control.probes
        restarting = {item.subject for item in self._swarm.journal.state.fleet.verify if item.action == "RestartProbe"}
        if moment.tick:
            self._swarm.world.provider.ask()
        for name, probe in self._probes.items():
            asked, record = probe.asked_at(), known.get(name)
            silent = asked is not None and moment.mono - asked >= SILENT_S
            if silent and (record is None or record.state == "ok"):
                assert asked is not None
                why = f"no answer for {moment.mono - asked:.0f} s"
                self._swarm.journal.record(Draft("probe.silent", name, {"why": why, "state": "silent", "restarts": 0}))
            elif name in restarting or record is None or record.state == "ok":
                continue  # well, or told by the look at what was ordered
            elif self._answers(name, probe, record.since, moment):
                self._swarm.journal.record(Draft("probe.restored", name, {"restarts": record.restarts}))

    def carried(self) -> dict[type, Carry]:
        return {RestartProbe: self._intend}

    def hands(self) -> dict[str, Hand]:
        return {"RestartProbe": self._restart}

    def looks(self) -> dict[str, Look]:
        return {"probe_answers": self._look}

    def _answers(self, name: str, probe: Probe, since: float, moment: Moment) -> bool:
        """Whether it has answered since it fell silent (UTC), and since it was started again."""
        after = max(moment.mono - (moment.now - since), self._restarted.get(name, float("-inf")))
        return probe.answered_at() > after

    def _intend(self, order: Order, action: RestartProbe, observation: Observation, plan: Plan) -> None:
        journal = self._swarm.journal
        record = journal.state.control.probes.get(action.name)
        if record is None or action.name not in self._probes:
            raise Refused(f"there is no probe {action.name}")
        if any(item.subject == action.name and item.action == order.kind for item in journal.state.fleet.verify):
            raise Refused("it is being started again")
        incident = self._incident_of(order, action.name)
        data: dict[str, Any] = {"state": "silent", "restarts": record.restarts + 1, "why": order.reason,
                                "opens": self._item(order, plan.moment, action.name, incident=incident)}  # fmt: skip
        cause = self._cause(order, action.name)
        event = journal.record(Draft("probe.silent", action.name, data, cause, order.agent, outcome="started again"))
        self._answer_incident(order, event.seq, action.name)
        plan.hands.append(order)

    def _restart(self, order: Order) -> None:
        assert isinstance(order.action, RestartProbe)
        name, swarm = order.action.name, self._swarm
        self._restarted[name] = swarm.world.clock.mono()
        if self._probes[name].restart():
            return
        why = "its helpers hang and cannot be ended: no more are started"
        items = [item.id for item in swarm.journal.state.fleet.verify
                 if item.subject == name and item.action == order.kind]  # fmt: skip
        swarm.journal.record(Draft("probe.silent", name, {"state": "given_up", "why": why, "closes": items}))
        for incident in list(incidents.about(swarm.journal, name)):
            incidents.escalate(swarm.journal, incident.incident, why, needs="find out what its disk or device hangs in")

    def _look(self, item: OpenItem) -> Done | None:
        probe = self._probes.get(item.subject)
        if probe is None or probe.answered_at() <= self._restarted.get(item.subject, float("-inf")):
            return None
        return Done({"answered": True}, "probe.restored", {})
