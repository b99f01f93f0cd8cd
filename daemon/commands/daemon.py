"""`btswarm daemon`: the supervisor in the foreground; what systemd, supervisord and `btswarm keep` start."""

import argparse
from pathlib import Path

EPILOG = """\
TERM or INT: workers are stopped at a checkpoint, then it exits 0. USR2: workers are left to the next daemon, exit 75.
HUP: the configuration is read again. Exit codes 64, 74 and 77 are final: it refused to run and would again."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="btswarm daemon", description=__doc__, epilog=EPILOG)
    parser.add_argument("--config", type=Path, metavar="F", help="btswarm.toml; else searched in the usual places")
    options = parser.parse_args(argv)
    from ...state.config import load
    from ..serving import serve

    return serve(load(options.config))
