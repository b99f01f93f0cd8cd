"""`btswarm keep`: a tiny restarter of the daemon, for containers; with --detach it goes on in the background."""

import argparse
import sys

from ..keeper import keep
from ..view import add_config, state_root


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="btswarm keep", description=__doc__)
    parser.add_argument("--detach", action="store_true", help="go on in the background, output to the logs root")
    add_config(parser)
    options = parser.parse_args(argv)
    if options.detach:
        from ..service import detach

        print(detach(options.config))
        return 0
    daemon = [
        sys.executable,
        "-P",
        "-m",
        "btswarm",
        "daemon",
        *(["--config", options.config] if options.config else []),
    ]
    root = state_root(options)
    code = keep(daemon, root)
    from ..sweep import sweep

    sweep(root, wait_s=0.0)  # a daemon that was told to stop while it began left its predecessor's workers
    return code
