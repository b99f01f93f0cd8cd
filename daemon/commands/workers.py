"""`btswarm workers`: who runs what, in which lane, and how far it is."""

import argparse
import sys

from ..view import add_options, say, view


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="btswarm workers", description=__doc__)
    add_options(parser)
    options = parser.parse_args(argv)
    seen = view(options)
    say(seen)
    document = seen.document()
    if options.json:
        import orjson

        sys.stdout.buffer.write(orjson.dumps({name: document.get(name) for name in ("workers", "lanes")}) + b"\n")
    else:
        from ..telling import workers

        print(workers(document))
    return seen.code
