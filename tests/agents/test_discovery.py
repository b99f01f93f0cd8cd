"""How agents are found, our own and those that others installed."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import orjson
import pytest

from btswarm.agents import discover
from btswarm.agents.api import GROUP, Agent, Nothing
from btswarm.state.errors import BadData

from ..checkout import CHECKOUT

SAMPLE = '''"""gpu_warmth: tells when a device runs hot. Silent on a temperature nobody could read."""

from dataclasses import dataclass, replace

from btswarm.agents.api import Agent, Voice
from btswarm.state.models.actions import OpenIncident
from btswarm.state.models.readings import Known

ASK = Voice("gpu_warmth")
HOT_C = 90.0


@dataclass(frozen=True, slots=True)
class Memory:
    told: int = 0


def propose(observation, memory):
    hot = [gpu for gpu in observation.gpus.values() if isinstance(gpu.temp_c, Known) and gpu.temp_c.known > HOT_C]
    asked = [
        ASK.asks(OpenIncident("gpu_lost", gpu.uuid, why="hot", severity="warning"), "hot", f"gpus.{gpu.uuid}.temp_c")
        for gpu in hot
    ]
    return asked, replace(memory, told=memory.told + len(asked))


AGENT = Agent("gpu_warmth", Memory, propose)
'''
RUN = """
import sys, orjson
from dataclasses import replace
from btswarm.agents import discover
from btswarm.tests.agents.world import gpu, known, missing, observation
roster = discover()
(agent,) = [one for one in roster.proposers if one.name == "gpu_warmth"]
hot, memory = agent.propose(observation(gpus=[gpu(temp_c=known(95.0))]), agent.fresh())
blind, _ = agent.propose(observation(gpus=[gpu(temp_c=missing())]), memory)
decision, _ = roster.arbiter.arbitrate(observation(), hot, roster.arbiter.fresh())
orders, _ = roster.dispatcher.dispatch(observation(), decision, roster.dispatcher.fresh())
print(orjson.dumps({
    "hot": [one.kind for one in hot], "blind": len(blind), "orders": [one.agent for one in orders],
    "memory": agent.load(agent.dump(memory)).told, "source": roster.sources["gpu_warmth"],
    "failed": [[one.name, one.why] for one in roster.failed], "count": len(roster.proposers),
}).decode())
"""


def install(folder: Path, name: str, text: str) -> None:
    """A distribution as pip leaves it: a module and its metadata with the entry point."""
    (folder / f"{name}.py").write_bytes(text.encode())
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_bytes(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode())
    (info / "entry_points.txt").write_bytes(f"[{GROUP}]\n{name} = {name}:AGENT\n".encode())


def test_a_package_of_others_brings_an_agent_and_a_broken_one_costs_nobody_else_anything(tmp_path: Path) -> None:
    install(tmp_path, "gpu_warmth", SAMPLE)
    install(tmp_path, "broken_agent", "raise RuntimeError('no such device')\n")
    install(tmp_path, "quitting_agent", "raise SystemExit(3)\n")
    install(tmp_path, "no_agent", "AGENT = 7\n")
    paths = [str(tmp_path), str(CHECKOUT / ".links")]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{RUN}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = orjson.loads(done.stdout)
    assert told["hot"] == ["OpenIncident"]
    assert told["blind"] == 0
    assert told["orders"] == ["gpu_warmth"]
    assert told["memory"] == 1
    assert told["source"] == "gpu_warmth: gpu_warmth:AGENT"
    assert told["count"] == 7
    assert [name for name, _ in told["failed"]] == ["broken_agent", "no_agent", "quitting_agent"]
    assert "no such device" in told["failed"][0][1]


def test_a_name_that_is_taken_stays_with_whoever_had_it() -> None:
    thief = EntryPoint("again", "btswarm.agents.watchdog:AGENT", GROUP)
    (failed,) = discover([thief]).failed
    assert "there is an agent watchdog already" in failed.why


def test_only_what_proposes_can_be_plugged_in() -> None:
    (failed,) = discover([EntryPoint("king", "btswarm.agents.consensus:AGENT", GROUP)]).failed
    assert "Arbiter is no Agent" in failed.why


@pytest.mark.parametrize("name", ["", "Watchdog", "a-b", "x" * 50])
def test_an_agents_name_is_a_word(name: str) -> None:
    with pytest.raises(ValueError, match="no agent's name"):
        Agent(name, Nothing, lambda _seen, memory: ([], memory))


def test_a_memory_of_another_version_keeps_what_still_fits() -> None:
    guard = next(one for one in discover(()).proposers if one.name == "hang_guard")
    assert guard.load({"xids": {"GPU-1": 79}, "forgotten": 3}).xids == {"GPU-1": 79}
    with pytest.raises(BadData, match="hang_guard"):
        guard.load({"xids": 3})
