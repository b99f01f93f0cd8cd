"""Agents that others installed: what they ask for is checked before anybody acts on it, and costs only themselves."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from btswarm.agents import discover
from btswarm.agents.api import GROUP, Agent, Nothing
from btswarm.daemon.council import Council
from btswarm.daemon.meter import AlarmMeter
from btswarm.state.errors import BadConfig
from btswarm.state.models.actions import EnqueueJobs, HoldSubject, NewJob, OpenIncident, Proposal
from btswarm.state.models.events import Draft
from btswarm.state.models.records import JobSpec

from ..daemon.workshop import journal
from .world import observation

ASKED: list[Any] = []
STRANGER = Agent("stranger", Nothing, lambda _, memory: (list(ASKED), memory))
FINE = OpenIncident("agent", "x", (7, "jobs.x"), "hot")


def proposal(action: Any = FINE, subject: Any = "x", reason: Any = "so", evidence: Any = (), expires_s: Any = 0.0,
             agent: Any = "stranger") -> Proposal:  # fmt: skip
    return Proposal(agent, action, subject, reason, evidence, expires_s)


WRONG: list[Any] = [
    5,
    proposal("OpenIncident"),
    proposal(subject=None),
    proposal(reason=object()),
    proposal(reason="half a pair: \ud800"),
    proposal(evidence=None),
    proposal(evidence=(object(),)),
    proposal(expires_s="soon"),
    proposal(OpenIncident("agent", "x", (), object())),  # type: ignore[arg-type]
    proposal(OpenIncident(["agent"], "x")),  # type: ignore[arg-type]
    proposal(OpenIncident("agent", ["x"])),  # type: ignore[arg-type]
    proposal(OpenIncident("agent", "x", (), "hot", "loud")),  # type: ignore[arg-type]
    proposal(EnqueueJobs((NewJob("r1/S/m/prescreen", JobSpec(stage=7)),))),  # type: ignore[arg-type]
]


@pytest.fixture
def agent() -> Agent[Any]:
    point = EntryPoint("stranger", f"{__name__}:STRANGER", GROUP)
    return next(one for one in discover([point]).proposers if one.name == "stranger")


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_a_proposal_of_wrong_types_is_the_failure_of_whoever_made_it(agent: Agent[Any], wrong: Any) -> None:
    ASKED[:] = [proposal(), wrong]
    with pytest.raises((TypeError, BadConfig)):
        agent.propose(observation(), agent.fresh())


def test_one_of_the_right_types_is_heard(agent: Agent[Any]) -> None:
    ASKED[:] = [proposal(), proposal(HoldSubject("swarm", "budget", "dear", needs="pay"), subject="swarm")]
    assert list(agent.propose(observation(), agent.fresh())[0]) == ASKED


def test_whoever_goes_on_asking_for_nonsense_is_set_aside_and_the_others_are_heard(
    agent: Agent[Any], tmp_path: Path
) -> None:
    ASKED[:] = [proposal(subject=None)]
    other = Agent("other", Nothing, lambda _, memory: ([proposal(agent="other")], memory))
    heard = journal(tmp_path)
    with AlarmMeter() as meter:
        council = Council(heard.journal, meter, [agent, other])
        for name in ("stranger", "other"):
            heard.journal.record(Draft("agent.loaded", name, {"source": "tests"}))
        asked = [council.propose(observation(agents=heard.journal.state.control.agents)) for _ in range(4)]
    assert [[one.agent for one in each] for each in asked] == [["other"]] * 4
    assert heard.kinds("agent.raised", "agent.quarantined") == [*["agent.raised"] * 3, "agent.quarantined"]
