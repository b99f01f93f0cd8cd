"""What `pause`, `resume` and `drain` share: one subject, told to the daemon, answered once it is logged."""

import argparse

from ...state.control_client import CHANGE_S, ask
from ..view import add_config, state_root


def tell(name: str, about: str | None, argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=f"btswarm {name}", description=about)
    parser.add_argument("subject", nargs="?", default="swarm", help="a lane or a job; without it the whole swarm")
    add_config(parser)
    options = parser.parse_args(argv)
    ask(state_root(options), name, {"subject": options.subject}, wait_s=CHANGE_S)
    print(f"{name} {options.subject}: accepted")
    return 0
