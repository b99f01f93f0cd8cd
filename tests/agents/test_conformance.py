"""What every agent keeps to, whoever wrote it. A new agent is picked up by being found."""

import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import orjson
import pytest

from btswarm.agents.api import Agent, AnyAgent, Arbiter, Dispatcher
from btswarm.state.errors import BadData
from btswarm.state.models.actions import (
    MAX_PROPOSALS,
    Decision,
    HoldSubject,
    Proposal,
    ReleaseHold,
    ReplaceJob,
    SetLanes,
    StopInstance,
    StopWorker,
    may_propose,
)
from btswarm.state.models.facts import Observation
from btswarm.state.models.names import hold_name
from btswarm.state.models.records import Hold

from .trouble import elapsed, full_disk, starving, trouble
from .world import NOW, ROSTER, blinded, desired, fleet, observation

EVERYONE: list[AnyAgent] = [*ROSTER.proposers, ROSTER.arbiter, ROSTER.dispatcher]
SCENES: dict[str, Callable[[], Observation]] = {
    "nothing": observation,
    "all well": lambda: fleet(10),
    "trouble": trouble,
    "full disk": full_disk,
    "starving": starving,
    "drained": lambda: replace(trouble(), swarm=replace(trouble().swarm, desired=desired(life="drain"))),
    "blind": lambda: blinded(trouble()),
}
CALLS_PER_MS = 5000
"""Calls of functions, C ones too, that fit a millisecond with room to spare; a count is the same on any machine."""


def all_proposals(seen: Observation) -> list[Proposal]:
    return [one for agent in ROSTER.proposers for one in agent.propose(seen, agent.fresh())[0]]


def call(agent: AnyAgent, seen: Observation, memory: Any) -> tuple[Any, Any]:
    """One turn of any kind of agent, on what the others would say."""
    if isinstance(agent, Agent):
        return agent.propose(seen, memory)
    if isinstance(agent, Arbiter):
        return agent.arbitrate(seen, all_proposals(seen), memory)
    decision, _ = ROSTER.arbiter.arbitrate(seen, all_proposals(seen), ROSTER.arbiter.fresh())
    return agent.dispatch(seen, decision, memory)


def lived(agent: AnyAgent, seen: Observation, turns: int = 3) -> Any:
    """Its memory after some cycles."""
    memory = agent.fresh()
    for turn in range(turns):
        memory = call(agent, elapsed(seen, 20.0 * turn), memory)[1]
    return memory


def shuffled(seen: Observation) -> Observation:
    """The same facts, every mapping in another order."""
    chance = random.Random(1)
    changes: dict[str, Any] = {}
    for one in fields(seen):
        value = getattr(seen, one.name)
        if isinstance(value, dict):
            names = list(value)
            chance.shuffle(names)
            changes[one.name] = {name: value[name] for name in names}
    return replace(seen, **changes)


def destructive(seen: Observation, one: Proposal) -> bool:
    """Ends something that works: a worker, an instance, a job, an open lane."""
    if isinstance(one.action, SetLanes):
        count = sum(
            lane.kind == one.action.kind and lane.state == "open" and lane.role != "command"
            for lane in seen.lanes.values()
        )
        return one.action.n < count
    return isinstance(one.action, StopWorker | StopInstance | ReplaceJob)


def test_the_agents_of_this_package_are_complete() -> None:
    assert sorted(ROSTER.sources) == [
        "auto_scheduler", "consensus", "hang_guard", "main_orchestrator", "session_state_manager", "util_controller",
        "watchdog", "worker_sentry",
    ]  # fmt: skip
    assert not ROSTER.failed


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("agent", EVERYONE, ids=lambda one: one.name)
class TestEveryAgent:
    def test_the_same_facts_and_memory_give_the_same_answer(self, agent: AnyAgent, scene: str) -> None:
        seen = SCENES[scene]()
        memory = lived(agent, seen)
        assert call(agent, seen, memory) == call(agent, seen, memory)

    def test_a_memory_survives_json(self, agent: AnyAgent, scene: str) -> None:
        seen = SCENES[scene]()
        memory = lived(agent, seen)
        restored = agent.load(orjson.loads(orjson.dumps(agent.dump(memory))))
        assert restored == memory
        later = elapsed(seen, 61.0)
        assert call(agent, later, restored) == call(agent, later, memory)

    def test_the_order_in_which_facts_are_listed_means_nothing(self, agent: AnyAgent, scene: str) -> None:
        seen = SCENES[scene]()
        answer, memory = call(agent, seen, agent.fresh())
        other, other_memory = call(agent, shuffled(seen), agent.fresh())
        assert memory == other_memory
        if isinstance(answer, Decision):
            answer, other = answer.accepted, other.accepted
        assert Counter(map(repr, answer)) == Counter(map(repr, other))

    def test_a_memory_of_another_boot_does_no_harm(self, agent: AnyAgent, scene: str) -> None:
        seen = SCENES[scene]()
        memory = lived(agent, seen)
        call(agent, replace(seen, mono=5.0), memory)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("agent", ROSTER.proposers, ids=lambda one: one.name)
class TestEveryProposer:
    def test_proposals_are_bounded_signed_allowed_and_say_why(self, agent: Agent[Any], scene: str) -> None:
        proposals, _ = agent.propose(SCENES[scene](), agent.fresh())
        assert len(proposals) <= MAX_PROPOSALS
        for one in proposals:
            assert one.agent == agent.name
            assert may_propose(agent.name, one.action), one.kind
            assert one.reason
            assert one.subject
            assert one.evidence

    def test_nothing_is_destroyed_on_a_missing_reading(self, agent: Agent[Any], scene: str) -> None:
        """What a record says (a death, a person's wish) is no reading, so the scene is taken without them."""
        seen = SCENES[scene]()
        jobs = {name: one for name, one in seen.jobs.items() if one.worker in seen.workers}
        seen = replace(seen, swarm=replace(seen.swarm, desired=desired()), jobs=jobs)
        for memory in (agent.fresh(), lived(agent, seen)):
            asked = agent.propose(blinded(seen), memory)[0]
            assert not [one for one in asked if destructive(seen, one)]

    def test_every_hold_ends_by_time_or_says_what_a_person_must_do(self, agent: Agent[Any], scene: str) -> None:
        for one in agent.propose(SCENES[scene](), agent.fresh())[0]:
            if isinstance(one.action, HoldSubject):
                held = one.action
                Hold(held.reason, held.class_, NOW, held.until, held.needs)
                assert held.until is None or held.until > NOW

    def test_only_what_is_held_is_released(self, agent: Agent[Any], scene: str) -> None:
        seen = SCENES[scene]()
        held = {hold_name(one.job, one.hold.class_) for one in seen.jobs.values() if one.hold}
        held |= {hold_name(one.lane, one.hold.class_) for one in seen.lanes.values() if one.hold} | set(seen.holds)
        released = [one.action for one in agent.propose(seen, agent.fresh())[0] if isinstance(one.action, ReleaseHold)]
        assert {hold_name(one.subject, one.class_) for one in released} <= held


@pytest.mark.parametrize("scene", ["all well", "trouble"])
@pytest.mark.parametrize("agent", EVERYONE, ids=lambda one: one.name)
def test_it_costs_less_than_a_millisecond_with_fifty_workers(agent: AnyAgent, scene: str) -> None:
    seen = fleet(25) if scene == "all well" else trouble()
    memory = lived(agent, seen)
    proposals = all_proposals(seen)
    decision, _ = ROSTER.arbiter.arbitrate(seen, proposals, ROSTER.arbiter.fresh())
    count = 0

    def counted(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        if isinstance(agent, Agent):
            agent.propose(seen, memory)
        elif isinstance(agent, Arbiter):
            agent.arbitrate(seen, proposals, memory)
        elif isinstance(agent, Dispatcher):
            agent.dispatch(seen, decision, memory)
    finally:
        sys.setprofile(None)
    assert count < CALLS_PER_MS


@pytest.mark.parametrize("agent", EVERYONE, ids=lambda one: one.name)
def test_a_memory_that_does_not_fit_is_refused_and_named(agent: AnyAgent) -> None:
    names = [one.name for one in fields(agent.memory)]
    if not names:
        pytest.skip("it remembers nothing")
    with pytest.raises(BadData, match=f"memory of {agent.name}: {names[0]}"):
        agent.load({names[0]: [[]]})
