"""`btswarm agents`: the decision makers: last run, freshness, health, quarantine."""

import argparse
import sys

from ..view import add_options, say, view


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="btswarm agents", description=__doc__)
    add_options(parser)
    options = parser.parse_args(argv)
    seen = view(options)
    say(seen)
    document = seen.document()
    if options.json:
        import orjson

        sys.stdout.buffer.write(orjson.dumps(document.get("agents")) + b"\n")
    else:
        from ..telling import agents

        print(agents(document))
    return seen.code
