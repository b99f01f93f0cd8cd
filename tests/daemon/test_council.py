"""Who is heard, what is kept for later, and the plain rules for when consensus cannot be asked."""

from pathlib import Path
from typing import Any

from btswarm.agents import discover
from btswarm.agents.api import Agent, Nothing, Voice
from btswarm.daemon.council import Council, plain_decision, plain_orders
from btswarm.daemon.ports import Metered
from btswarm.state.models.actions import (
    OpenIncident,
    Order,
    Proposal,
    ReleaseBallast,
    RestartProbe,
    RewriteState,
    StopWorker,
)
from btswarm.state.models.events import Draft

from ..agents.world import MONO, fleet, observation
from .workshop import PlainMeter, journal

ASK = Voice("watchdog")
GUARD = Voice("hang_guard")


def council(folder: Path, *proposers: Agent[Any], **more: Any) -> Council:
    return Council(journal(folder).journal, PlainMeter(), proposers, **more)


def later(proposal: Proposal, expires_s: float) -> Proposal:
    return Proposal(proposal.agent, proposal.action, proposal.subject, proposal.reason, proposal.evidence, expires_s)


def test_consensus_is_asked_in_a_cycle_without_proposals_so_that_its_scores_are_of_this_tick(tmp_path: Path) -> None:
    roster = discover(())
    made = council(tmp_path, arbiter=roster.arbiter, dispatcher=roster.dispatcher)
    seen = fleet(4)
    assert made.arbitrate(seen, made.propose(seen)).scores.efficiency is not None
    assert made.runs["consensus"] == 1


def test_the_plain_decision_keeps_the_incident_beside_the_remedy_of_the_same_subject() -> None:
    incident = ASK.asks(OpenIncident("state_file", "workers.json"), "torn")
    remedy = ASK.asks(RewriteState("workers.json"), "torn")
    decision = plain_decision([remedy, incident])
    assert decision.accepted == (incident, remedy)
    assert not decision.refused


def test_the_plain_decision_takes_one_remedy_a_subject() -> None:
    one = GUARD.asks(StopWorker("cpu000@1", 2, "stuck"), "silent")
    other = GUARD.asks(StopWorker("cpu000@1", 3, "stopped"), "state T")
    decision = plain_decision([one, other])
    assert (len(decision.accepted), len(decision.refused)) == (1, 1)


def test_a_wish_that_may_wait_is_asked_again_until_it_expires(tmp_path: Path) -> None:
    wish = later(GUARD.asks(RestartProbe("host"), "silent"), 12.0)
    rival = ASK.asks(ReleaseBallast(), "full", subject="host")
    asked = [[wish], [], [], []]
    one = Agent("hang_guard", Nothing, lambda _, memory: (asked.pop(0), memory))
    made = council(tmp_path, one)
    seen = observation()
    made.wanting.decided(plain_decision([rival, *made.propose(seen)]), seen.mono)
    heard = []
    for after_s in (5.0, 11.0, 13.0):
        at = observation(mono=seen.mono + after_s)
        heard.append(made.propose(at))
        made.wanting.decided(plain_decision([rival, *heard[-1]]), at.mono)
    assert heard == [[wish], [wish], []]


def test_a_wish_ends_once_it_is_carried_out_and_waits_on_when_it_could_not_be(tmp_path: Path) -> None:
    wish = later(GUARD.asks(RestartProbe("host"), "silent"), 60.0)
    made = council(tmp_path, Agent("hang_guard", Nothing, lambda _, memory: ([], memory)))
    seen = observation()
    orders: tuple[Order, ...] = plain_orders(seen, plain_decision([wish]))
    made.wanting.tried(orders, {1: "not now"}, seen.mono)
    assert made.propose(seen) == [wish]
    made.arbitrate(seen, [wish])
    assert made.propose(seen) == []


def test_an_agent_that_is_slow_in_every_cycle_is_told_of_once_a_minute(tmp_path: Path) -> None:
    class Slow(PlainMeter):
        def call(self, agent: str, limit_s: float, run: Any) -> Metered[Any]:
            return Metered(run(), 30.0)

    heard = journal(tmp_path)
    heard.journal.record(Draft("agent.loaded", "slow", {"source": "tests"}))
    made = Council(heard.journal, Slow(), [Agent("slow", Nothing, lambda _, memory: ([], memory))])
    for n in range(91):
        made.propose(observation(mono=MONO + n))
    assert [one.data["times"] for one in heard.events if one.kind == "agent.overran"] == [1, 60]
    assert heard.journal.state.control.agents["slow"].crashes == 0


def test_nobody_asks_on_in_the_name_of_an_agent_that_is_set_aside(tmp_path: Path) -> None:
    wish = later(GUARD.asks(RestartProbe("host"), "silent"), 60.0)
    made = council(tmp_path)
    made.wanting.tried(plain_orders(observation(), plain_decision([wish])), {1: "not now"}, 0.0)
    assert made.propose(observation()) == []
