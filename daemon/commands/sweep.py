"""`btswarm sweep`: when no daemon comes back within 5 s, kill what is left of this swarm's workers."""

import argparse

from ..sweep import WAIT_S, sweep
from ..view import add_config, state_root


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="btswarm sweep", description=__doc__)
    parser.add_argument(
        "--wait", type=float, default=WAIT_S, metavar="S", help="for a daemon to come back (%(default)s)"
    )
    add_config(parser)
    options = parser.parse_args(argv)
    killed = sweep(state_root(options), wait_s=options.wait)
    if killed is None:
        print("a daemon runs; nothing was touched")
    else:
        print(f"{len(killed)} processes killed" if killed else "nothing was left running")
    return 0
