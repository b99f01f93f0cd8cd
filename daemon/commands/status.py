"""`btswarm status`: how the swarm is, on one screen."""

import argparse
import sys

from ...state.errors import ExitCode
from ..view import add_options, say, view

EPILOG = "Exit codes: 0 fine; 1 something critical is open; 3 no daemon; 4 stale; 74 unreadable."


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="btswarm status", description=__doc__, epilog=EPILOG)
    add_options(parser)
    options = parser.parse_args(argv)
    seen = view(options)
    say(seen)
    document = seen.document()
    if options.json:
        import orjson

        from ..telling import headline

        sys.stdout.buffer.write(orjson.dumps(headline(document)) + b"\n")
    else:
        from ..telling import status

        print(status(document))
    return seen.code or (ExitCode.CHECK_FAILED if document.get("health") == "critical" else ExitCode.OK)
