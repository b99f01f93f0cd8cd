"""Hands for what is not a worker: state files written again or restored, the ballast released and laid in.

Each is looked at again by reading back, in the same cycle.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..state.errors import StorageBroken
from ..state.models.actions import Order, RestoreState, RewriteState
from ..state.models.events import Draft
from . import incidents
from .deeds import Answers, Hand

BALLAST: Final = "ballast"
ROOM_WITHIN_S: Final = 5.0
"""After the ballast went, the next look at the disk must find room, or a person has to make some."""


class Repairs(Answers):
    """What each hand did is told to the incident that it answers."""

    def hands(self) -> dict[str, Hand]:
        return {
            "RewriteState": self._rewrite,
            "RestoreState": self._restore,
            "ReleaseBallast": self._release_ballast,
            "RebuildBallast": self._rebuild_ballast,
        }

    def _rewrite(self, order: Order) -> None:
        assert isinstance(order.action, RewriteState)
        name = order.action.file
        self._mend(order, name, lambda store: store.rewrite(name, self._stamp(), self._seq()))

    def _restore(self, order: Order) -> None:
        assert isinstance(order.action, RestoreState)
        name = order.action.file
        self._mend(order, name, lambda store: store.restore(name, self._stamp()))

    def _mend(self, order: Order, name: str, work: Callable[[Any], Any]) -> None:
        swarm, mono = self._swarm, self._stamp().mono
        try:
            done = swarm.scribe.do(work)
            view = swarm.scribe.do(lambda store: store.judge(name, self._stamp().ts, mono))
        except (StorageBroken, OSError) as error:
            swarm.journal.tell(Draft("state.refused", name, {"why": str(error), "action": order.kind}))
            return
        swarm.file_views[name] = view
        for bad in done.bad:
            swarm.journal.tell(
                Draft("state.quarantined", name, {"fault": bad.fault, "why": bad.why, "moved": bad.moved})
            )
        if view.valid:
            swarm.journal.tell(Draft("state.restored", name, {"action": order.kind}, outcome="read back"))
            self._over(order, {"valid": True, "age_s": view.age_s}, name)

    def _release_ballast(self, order: Order) -> None:
        swarm, size_mb = self._swarm, self._size_mb()
        swarm.world.files.remove_tree(self._ballast())
        swarm.world.host.refresh()
        data = {"why": order.reason, "action": order.kind, "released_mb": size_mb}
        swarm.journal.tell(Draft("disk.full", "state", data, agent=order.agent))
        due = swarm.journal.stamp().ts + ROOM_WITHIN_S
        for incident in list(incidents.about(swarm.journal, "state")):
            if incident.class_ == "disk_full":  # over once there is seen to be room
                incidents.executed(swarm.journal, incident.incident, order.kind, due=due)

    def _rebuild_ballast(self, order: Order) -> None:
        """Blocks of its own: a hole would free nothing."""
        swarm, path = self._swarm, self._ballast()
        files = swarm.world.files
        files.remove_tree(path)
        try:
            files.allocate(path, swarm.config.disk.ballast_mb << 20)
        except OSError as error:
            files.remove_tree(path)
            swarm.journal.tell(Draft("disk.full", "state", {"why": f"no room for the ballast: {error.strerror}"}))
        swarm.world.host.refresh()
        self._over(order, {"ballast": self._size_mb()}, BALLAST)

    def _over(self, order: Order, seen: dict[str, Any], *subjects: str) -> None:
        for incident in list(incidents.about(self._swarm.journal, order.subject, *subjects)):
            incidents.settle(self._swarm.journal, incident.incident, order.kind, seen)

    def _ballast(self) -> Path:
        return self._swarm.roots.state / BALLAST

    def _size_mb(self) -> float | None:
        try:
            return self._swarm.world.files.stat(self._ballast()).size / 2**20
        except OSError:
            return None

    def _stamp(self) -> Any:
        return self._swarm.journal.stamp()

    def _seq(self) -> int:
        return self._swarm.journal.state.seq
