"""Agents that raise, hang or take the process with them: set aside with an incident, and the others go on."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from btswarm.state.control_client import ask

from .healing import SLEEPER, Healing
from .waiting import until

Make = Callable[..., Healing]
ILL = """
import os
from btswarm.agents.api import Agent, Nothing

def propose(observation, memory):
    {body}
    return [], memory

AGENT = Agent("ill", Nothing, propose)
"""


def infected(swarm: Make, folder: Path, body: str) -> Healing:
    """A swarm with somebody else's agent installed."""
    (folder / "ill-1.dist-info").mkdir()
    (folder / "ill-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: ill\nVersion: 1\n")
    (folder / "ill-1.dist-info" / "entry_points.txt").write_text("[btswarm.agents]\nill = ill_agent:AGENT\n")
    (folder / "ill_agent.py").write_text(ILL.format(body=body))
    one = swarm(None, (SLEEPER,))
    path = os.environ.get("PYTHONPATH")
    one.variables = {"PYTHONPATH": f"{folder}:{path}" if path else str(folder)}
    return one


def set_aside(one: Healing) -> None:
    """It is quarantined with an incident of its own, and repairs go on without it."""
    life = one.healed("agent", "ill")
    assert life[2]["data"]["action"] == "Hold"
    assert one.event("agent.quarantined")["subject"] == "ill"
    one.up()
    gone = one.pids()[0]
    os.kill(gone, signal.SIGKILL)
    one.healed("crash", "cmd/fill.0")
    until(lambda: one.full() and gone not in one.pids(), what="the replacement")
    agents = ask(one.state, "agents")
    assert agents["ill"]["quarantine"]
    assert all(agent["quarantine"] is None and agent["fresh"] for name, agent in agents.items() if name != "ill")


def test_an_agent_that_raises_again_and_again_is_set_aside(swarm: Make, tmp_path: Path) -> None:
    one = infected(swarm, tmp_path, "raise ValueError('no')").start()
    set_aside(one)
    raised = one.events("agent.raised")
    assert [line["data"]["failures"] for line in raised] == [1, 2, 3]
    assert "ValueError: no" in raised[0]["data"]["error"]


def test_an_agent_that_does_not_come_back_is_interrupted_and_set_aside(swarm: Make, tmp_path: Path) -> None:
    one = infected(swarm, tmp_path, "while True: pass").start()
    set_aside(one)
    assert len([line for line in one.events("agent.overran") if line["subject"] == "ill"]) == 3


def test_an_agent_inside_which_the_process_dies_twice_is_set_aside_at_the_next_start(
    swarm: Make, tmp_path: Path
) -> None:
    one = infected(swarm, tmp_path, "os.abort()").start()
    assert one.process is not None
    assert one.process.wait(30) == -signal.SIGABRT
    one.start()
    assert one.process.wait(30) == -signal.SIGABRT
    one.start()
    set_aside(one)


def test_a_released_agent_that_is_mended_runs_again(swarm: Make, tmp_path: Path) -> None:
    one = infected(
        swarm, tmp_path, f"if not os.path.exists({str(tmp_path / 'cure')!r}): raise ValueError('no')"
    ).start()
    set_aside(one)
    (tmp_path / "cure").touch()
    ask(one.state, "release", {"subject": "ill"}, wait_s=20)
    one.wait(lambda: ask(one.state, "agents")["ill"]["quarantine"] is None, "its release")
    runs = ask(one.state, "agents")["ill"]["runs"]
    one.wait(lambda: ask(one.state, "agents")["ill"]["runs"] > runs, "its next run")
    one.well()


@pytest.mark.parametrize(
    "body",
    [
        "return None",
        "return 1, 2, 3",
        "return [observation], memory",
        "return iter(int, 1), memory",
        "return [], {object()}",
        "raise SystemExit(3)",
    ],
    ids=["nothing", "too much", "no proposals", "without end", "no memory", "exit"],
)
def test_whatever_an_agent_answers_stops_nobody(swarm: Make, tmp_path: Path, body: str) -> None:
    set_aside(infected(swarm, tmp_path, body).start())
