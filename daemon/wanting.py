"""Wishes that outlive their cycle: what an agent asked for with `expires_s` and could not be done at once.

A wish is asked again in its agent's name, in every cycle until it is carried out, expires, or the agent itself asks
for that kind on that subject again.
"""

from collections.abc import Iterable, Mapping, Sequence

from ..state.models.actions import Decision, Order, Proposal

Key = tuple[str, str, str]


class Wanting:
    """Kept in memory only: an agent that still wants it after a restart asks again."""

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[Proposal, float]] = {}
        """With the time until which it holds (monotonic)."""

    def still(self, heard: Iterable[Proposal], mono: float, agents: Iterable[str]) -> list[Proposal]:
        """Wishes that hold at `mono`, of `agents`, and that nobody has repeated in `heard`."""
        if not self._kept:
            return []
        asked, there = {_key(one) for one in heard}, set(agents)
        self._kept = {
            key: kept for key, kept in self._kept.items() if key not in asked and mono < kept[1] and key[0] in there
        }
        return [proposal for proposal, _ in self._kept.values()]

    def decided(self, decision: Decision, mono: float) -> None:
        """What was refused is kept if it may wait, what was accepted is not wanted any more."""
        for refusal in decision.refused:
            self._keep(refusal.proposal, mono)
        if self._kept:
            for proposal in decision.accepted:
                self._kept.pop(_key(proposal), None)

    def tried(self, orders: Sequence[Order], done: Mapping[int, str], mono: float) -> None:
        """Orders that could not be carried out as things stand. `done`: what became of each."""
        for order in orders:
            if order.args.get("expires_s") and done.get(order.n, "ok") != "ok":
                wish = Proposal(order.agent, order.action, order.subject, order.reason, order.evidence,
                                order.args["expires_s"])  # fmt: skip
                self._keep(wish, mono)

    def _keep(self, proposal: Proposal, mono: float) -> None:
        if proposal.expires_s > 0:
            self._kept.setdefault(_key(proposal), (proposal, mono + proposal.expires_s))


def _key(proposal: Proposal) -> Key:
    return proposal.agent, proposal.kind, proposal.subject
