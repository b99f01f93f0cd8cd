"""A daemon with a deadly agent and one that could not be loaded: `ill_daemon FILE`"""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from btswarm.agents import Unloadable
from btswarm.agents.api import Agent, Nothing
from btswarm.daemon.supervisor import Supervisor
from btswarm.state.config import load
from btswarm.state.models.actions import Proposal
from btswarm.state.models.facts import Observation

from .small_agents import roster

DEADLY, STRANGER = "deadly", "stranger"


def die(_observation: Observation, memory: Nothing) -> tuple[list[Proposal], Nothing]:
    os.kill(os.getpid(), signal.SIGKILL)
    return [], memory


def main(argv: list[str]) -> int:
    settings = load(Path(argv[0]))
    found = roster(Agent(DEADLY, Nothing, die))
    if not (settings.roots.state.parent / "mended").exists():
        found = replace(found, failed=(Unloadable(STRANGER, "a package", "cannot be imported"),))
    supervisor = Supervisor(settings, found)
    with supervisor:
        return asyncio.run(supervisor.run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
