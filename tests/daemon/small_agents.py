"""A roster of the least that keeps commands running: for tests of the loop itself."""

from btswarm.agents import Roster
from btswarm.agents.api import Agent, Arbiter, Dispatcher, Nothing, Voice
from btswarm.agents.detectors.placement import placements
from btswarm.daemon.council import plain_decision, plain_orders
from btswarm.state.models.actions import FIRST_RUNG, Proposal, SpawnWorker, StopWorker
from btswarm.state.models.facts import Observation

ASK = Voice("worker_sentry")


def keep_running(observation: Observation, memory: Nothing) -> tuple[list[Proposal], Nothing]:
    """Every job that may run is started; when people want the end, everybody is asked to stop."""
    if observation.swarm.desired.life == "drain":
        living = [view for view in observation.workers.values() if view.state in ("starting", "running")]
        return [ASK.asks(StopWorker(view.worker, FIRST_RUNG["drain"], "drain"), "drain") for view in living], memory
    return [
        ASK.asks(SpawnWorker(one.lane, one.job), one.turn, subject=one.lane) for one in placements(observation)
    ], memory


def roster(*more: Agent) -> Roster:  # type: ignore[type-arg]
    proposers = (Agent("worker_sentry", Nothing, keep_running), *more)
    arbiter = Arbiter("consensus", Nothing, lambda _, proposals, memory: (plain_decision(proposals), memory))
    dispatcher = Dispatcher(
        "main_orchestrator",
        Nothing,
        lambda observation, decision, memory: (plain_orders(observation, decision), memory),
    )
    names = [one.name for one in (*proposers, arbiter, dispatcher)]
    return Roster(proposers, arbiter, dispatcher, dict.fromkeys(names, "tests"), ())
