"""`btswarm daemon`: the supervisor in the foreground; what systemd, supervisord and `btswarm keep` start."""

import argparse
import signal
from pathlib import Path

EPILOG = """\
TERM or INT: workers are stopped at a checkpoint, then it exits 0. USR2: workers are left to the next daemon, exit 75.
HUP: the configuration is read again. Exit codes 64, 74 and 77 are final: it refused to run and would again."""


HEARD_LATER = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


def main(argv: list[str]) -> int:
    # Its imports take a second: a stop that comes meanwhile waits for whoever can carry it out.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD_LATER)
    try:
        return _main(argv)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="btswarm daemon", description=__doc__, epilog=EPILOG)
    parser.add_argument("--config", type=Path, metavar="F", help="btswarm.toml; else searched in the usual places")
    options = parser.parse_args(argv)
    from ...state.config import load
    from ..serving import serve

    return serve(load(options.config))
