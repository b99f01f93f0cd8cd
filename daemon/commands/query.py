"""`btswarm query`: the continuity state and the next steps, with or without a daemon."""

import sys

from ..view import Look, add_options, say, view

EPILOG = """\
Exit codes: 0 fresh; 3 no daemon runs, its last state is printed; 4 the state of a living daemon, or of the file given,
is older than 15 s; 74 no copy of the state can be read, or a newer version wrote it."""


def main(argv: list[str]) -> int:
    options = Look(json=bool(argv)) if set(argv) <= {"--json"} else _parsed(argv)
    seen = view(options)
    say(seen)
    if options.json:
        sys.stdout.buffer.write(seen.body + b"\n")
    else:
        from ..telling import continuity

        print(continuity(seen.document()))
    return seen.code


def _parsed(argv: list[str]) -> Look:
    """Everything but the daily call, of whose time argparse would take a fifth."""
    import argparse

    parser = argparse.ArgumentParser(prog="btswarm query", description=__doc__, epilog=EPILOG)
    add_options(parser)
    return Look(**vars(parser.parse_args(argv)))
