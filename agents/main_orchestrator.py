"""main_orchestrator: the decision as an ordered dispatch, and what had to wait as a queue.

Watches the decision of a cycle. It proposes nothing.
Silent: never: every accepted proposal becomes exactly one order.

Order: an incident before what answers it, so that the log reads detect -> classify -> execute -> verify; then by
precedence; and each order `after` those whose success it needs, as the table NEEDS says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..state.models.actions import (
    RULES,
    Decision,
    EnqueueJobs,
    OpenIncident,
    Order,
    Proposal,
    ReleaseHold,
    ReplaceJob,
    SpawnWorker,
    StopWorker,
)
from ..state.models.facts import Observation
from ..state.models.names import lane_kind, lane_of
from .api import Dispatcher

INT_S: Final = 3.0
KILL_S: Final = 10.0
GPU_KILL_S: Final = 60.0
"""Rungs 2 and 3 of the stop ladder; the first is the configuration's `workers.stop_grace_s`."""
WAITING_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class Waiting:
    """An accepted wish that no cycle had room for yet."""

    action: str
    subject: str
    agent: str
    why: str
    blocked_by: str


@dataclass(frozen=True, slots=True)
class Memory:
    """`orders`: given so far. `waiting`: refused in the last cycle, first in precedence first."""

    orders: int = 0
    waiting: tuple[Waiting, ...] = ()


def _frees(observation: Observation, first: Proposal, then: Proposal) -> bool:
    """A release before the start of what was held."""
    spawn, release = then.action, first.action
    if not isinstance(spawn, SpawnWorker) or not isinstance(release, ReleaseHold):
        return False
    lane = observation.lanes.get(spawn.lane)
    return release.subject in (spawn.lane, spawn.job, lane.gpu_uuid if lane else "")


def _rounds(_observation: Observation, first: Proposal, then: Proposal) -> bool:
    """The round before its jobs."""
    return first.kind == "StartRound" and isinstance(then.action, EnqueueJobs)


def _room(_observation: Observation, first: Proposal, then: Proposal) -> bool:
    """Room on the disk before whatever writes."""
    return first.kind == "ReleaseBallast" and then.kind in ("RewriteState", "RestoreState", "RepairStorage")


def _stops(observation: Observation, first: Proposal, then: Proposal) -> bool:
    """The stop of a worker before its job is replaced."""
    if not isinstance(first.action, StopWorker) or not isinstance(then.action, ReplaceJob):
        return False
    view = observation.workers.get(first.action.worker)
    return view is not None and view.job == then.action.job


NEEDS: Final[tuple[Callable[[Observation, Proposal, Proposal], bool], ...]] = (_frees, _rounds, _room, _stops)
"""Each says whether `then` may only follow the success of `first`."""
FIRSTS: Final = frozenset(("Release", "StartRound", "ReleaseBallast", "StopWorker"))
"""Kinds that anything of NEEDS may wait for."""
THENS: Final = frozenset(("SpawnWorker", "EnqueueJobs", "RewriteState", "RestoreState", "RepairStorage", "ReplaceJob"))


def dispatch(observation: Observation, decision: Decision, memory: Memory) -> tuple[tuple[Order, ...], Memory]:
    notes = [one for one in decision.accepted if isinstance(one.action, OpenIncident)]
    rest = [one for one in decision.accepted if not isinstance(one.action, OpenIncident)]
    firsts = [one for one in rest if one.kind in FIRSTS]
    ordered = _sorted(observation, rest, firsts)
    told = {one.subject: n for n, one in enumerate(notes, 1)}
    numbers = {id(one): n for n, one in enumerate(ordered, len(notes) + 1)}
    orders = [_order(observation, n, one, ()) for n, one in enumerate(notes, 1)]
    for n, one in enumerate(ordered, len(notes) + 1):
        after = [told[one.subject]] if one.subject in told else []
        after += [numbers[id(first)] for first in _needed(observation, one, firsts)]
        orders.append(_order(observation, n, one, tuple(sorted(after))))
    return tuple(orders), Memory(memory.orders + len(orders), _waiting(decision))


def _sorted(observation: Observation, rest: list[Proposal], firsts: list[Proposal]) -> list[Proposal]:
    """By precedence, as decided, but nothing before what it needs."""
    placed: dict[int, Proposal] = {}
    for one in rest:
        for first in _needed(observation, one, firsts):
            placed.setdefault(id(first), first)
        placed.setdefault(id(one), one)
    return list(placed.values())


def _needed(observation: Observation, one: Proposal, firsts: list[Proposal]) -> list[Proposal]:
    if not firsts or one.kind not in THENS:
        return []
    return [first for first in firsts if any(need(observation, first, one) for need in NEEDS)]


def _order(observation: Observation, n: int, one: Proposal, after: tuple[int, ...]) -> Order:
    rule = RULES[one.kind]
    within_s = rule.within_s if rule.within_s is not None else ladder_s(observation, one)
    return Order(
        n, one.action, one.subject, rule.done_when, observation.mono + within_s, after,
        one.agent, one.reason, one.evidence, _args(one),
    )  # fmt: skip


def _args(one: Proposal) -> Mapping[str, Any]:
    return {"expires_s": one.expires_s} if one.expires_s else {}


def ladder_s(observation: Observation, one: Proposal) -> float:
    """How long the stop ladder may take from its first rung to the verdict."""
    if not isinstance(one.action, StopWorker):
        return 0.0
    kill_s = GPU_KILL_S if lane_kind(lane_of(one.action.worker)) == "gpu" else KILL_S
    rungs = (observation.swarm.config.workers.stop_grace_s, INT_S, kill_s)
    return sum(rungs[one.action.rung - 1 :])


def _waiting(decision: Decision) -> tuple[Waiting, ...]:
    return tuple(
        Waiting(one.proposal.kind, one.proposal.subject, one.proposal.agent, one.proposal.reason, one.why)
        for one in decision.refused[:WAITING_MOST]
    )


AGENT = Dispatcher("main_orchestrator", Memory, dispatch)
