"""`btswarm agents`: the decision makers: last run, freshness, health, quarantine.

`btswarm agents once NAME` asks one of them what it would do now.
"""

import argparse
import sys

from ..view import add_options, say, view


def main(argv: list[str]) -> int:
    if argv[:1] == ["once"]:
        from .agents_once import main as once

        return once(argv[1:])
    about = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="btswarm agents", description=__doc__, formatter_class=about)
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
