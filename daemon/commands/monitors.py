"""`btswarm monitors`: a view in tmux: progress and events, CPU, GPU, logs. Closing it changes nothing for the swarm."""

import argparse
import os
import sys
import time
from pathlib import Path

from ...state.errors import ExitCode
from ...state.paths import locate
from ..view import add_config

EPILOG = "Exit codes: 0; 69 tmux or libtmux is not installed."


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="btswarm monitors", description=__doc__, epilog=EPILOG)
    parser.add_argument("--session", default="btswarm", metavar="NAME", help="(%(default)s)")
    parser.add_argument("--socket", metavar="NAME", help="of the tmux server, as tmux -L takes it")
    parser.add_argument("--detached", action="store_true", help="build it and do not show it")
    parser.add_argument("--close", action="store_true", help="close the view")
    parser.add_argument("--logs", action="store_true", help="no tmux: the index of logs, live")
    parser.add_argument("--every", type=float, default=2.0, metavar="S", help="between looks at the logs (%(default)s)")
    add_config(parser)
    options = parser.parse_args(argv)
    if options.logs:
        return _logs(options)
    from ..monitors import build, server

    tmux = server(options.socket)
    if options.close:
        found = tmux.has_session(options.session)
        if found:
            tmux.kill_session(options.session)
        print("closed; the swarm goes on" if found else f"there is no view named {options.session}")
        return ExitCode.OK
    config = str(Path(options.config).absolute()) if options.config else None
    built = build(tmux, options.session, config)
    shown = ["tmux", *(["-L", options.socket] if options.socket else []), "attach", "-t", options.session]
    if options.detached or not sys.stdout.isatty() or "TMUX" in os.environ:
        print(f"the view {'is built' if built else 'stands already'}; {' '.join(shown)} shows it")
        return ExitCode.OK
    sys.stdout.flush()
    os.execvp(shown[0], shown)


def _logs(options: argparse.Namespace) -> int:
    from ..monitors import index

    named = Path(options.config) if options.config else None
    folder = locate(named, os.environ, Path.cwd()).logs
    live = sys.stdout.isatty()
    while True:
        text = "\n".join(index(folder))
        print(f"\x1b[H\x1b[2J{text}" if live else text, flush=True)
        if not live:
            return ExitCode.OK
        time.sleep(max(0.2, options.every))
