"""A real daemon as a process of its own, on the least agents or on all: `small_daemon FILE [all]`"""

import asyncio
import sys
from pathlib import Path

from btswarm.agents import discover
from btswarm.daemon.supervisor import Supervisor
from btswarm.state.config import load
from btswarm.tests.daemon.small_agents import roster


def main(argv: list[str]) -> int:
    supervisor = Supervisor(load(Path(argv[0])), discover() if argv[1:] == ["all"] else roster())
    with supervisor:
        return asyncio.run(supervisor.run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
