"""`btswarm sweep`: when no daemon comes back within 5 s, kill what is left of this swarm's workers."""

import argparse

from ..sweep import WAIT_S, nobody_is_coming, sweep, unit_is_coming
from ..view import add_config, state_root


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="btswarm sweep", description=__doc__)
    parser.add_argument(
        "--wait", type=float, default=WAIT_S, metavar="S", help="for a daemon to come back (%(default)s)"
    )
    parser.add_argument("--unit", metavar="U", help="of the daemon: as long as systemd has it started, nobody is swept")
    add_config(parser)
    options = parser.parse_args(argv)
    coming = unit_is_coming(options.unit) if options.unit else nobody_is_coming
    killed = sweep(state_root(options), wait_s=options.wait, coming=coming)
    if killed is None:
        print("a daemon runs; nothing was touched")
    else:
        print(f"{len(killed)} processes killed" if killed else "nothing was left running")
    return 0
