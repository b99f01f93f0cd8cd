"""Changes of the number of lanes: carried out, and counted so that no hour sees more of them than it may."""

from pathlib import Path

import pytest

from btswarm.agents import consensus
from btswarm.agents.api import Voice
from btswarm.daemon.endings import Endings
from btswarm.daemon.executor import Executor
from btswarm.state.models.actions import SetLanes

from ..agents.world import gpu
from .workshop import Bench, order

ASK = Voice("util_controller")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def scale(bench: Bench, action: SetLanes) -> bool:
    """One cycle's worth of it: whether it was decided and carried out."""
    seen = bench.seen(buckets=bench.heard.journal.state.control.buckets, gpus=[gpu()])
    decision, _ = consensus.AGENT.arbitrate(seen, [ASK.asks(action, "so")], consensus.AGENT.fresh())
    if not decision.accepted:
        return False
    executor = Executor(bench.swarm, Endings.__new__(Endings))
    plan = executor.intend(seen, [order(action, "util_controller", bench.hands.at)], bench.later(0.0))
    return plan.done[1] == "ok"


def test_however_often_an_hour_is_asked_its_lanes_change_no_more_than_the_configuration_lets_them(bench: Bench) -> None:
    most = bench.swarm.config.scale.flaps_per_hour
    made: list[float] = []
    for n in range(3 * 360):
        if scale(bench, SetLanes("cpu", 1 + n % 2)):
            made.append(bench.hands.at)
        bench.later(10.0)
    assert len(made) > most
    assert max(sum(begin <= one < begin + 3600.0 for one in made) for begin in made) <= most


def test_lanes_of_a_device_that_are_opened_together_are_one_change(bench: Bench) -> None:
    bench.swarm.file_config = bench.swarm.file_config.model_copy(
        update={"lanes": bench.swarm.file_config.lanes.model_copy(update={"gpu_per_device": 3})}
    )
    assert scale(bench, SetLanes("gpu", 3))
    spent = [one.data.get("flap") for one in bench.heard.events if one.kind == "lane.opened"]
    assert len(spent) == 3
    assert spent[1:] == [None, None]
    bucket = bench.heard.journal.state.control.buckets.flap
    assert bucket is not None
    assert bucket.level == spent[0]
