"""`btswarm reproduce DIR`: compute a certificate again, from its folder alone, and compare every figure."""

import argparse
import sys
from pathlib import Path

from ..backend import parallel
from .shared import add_json

SHOWN = 20
EPILOG = """\
DIR is a folder of certified/. It holds candles, configuration, ledger and validation; nothing else is read, and
nothing is entered in any ledger. The same last digits need the same versions of the packages; others are named."""


def main(argv: list[str]) -> int:
    """0 all the same; 1 something differs; 65 a file was changed; 66 no such folder; 75 stopped."""
    options = _parser().parse_args(argv)
    parallel("--threads", options.threads)
    from ..certified import reproduce
    from ..reporters import Plain, Relay
    from ..stopping import Stop, leave_now, listening

    stop = Stop()
    report = Relay(stop, Plain(sys.stderr).begin(options.folder.name))
    with listening(stop, leave_now):
        again = reproduce(options.folder, report, options.threads)
    if options.json:
        import orjson

        body = {"verdict": again.found.verdict, "same": not again.differences, "differences": again.differences}
        sys.stdout.buffer.write(orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n")
    elif again.differences:
        print(f"{options.folder.name}: {len(again.differences)} figures differ")
        for place in again.differences[:SHOWN]:
            print(f"  {place}")
    else:
        print(f"{options.folder.name}: {again.found.verdict}, every figure the same")
    return int(bool(again.differences))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="btswarm reproduce",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="such as certified/SOLUSDT-balanced-0123456789abcdef")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(%(default)s)")
    add_json(parser)
    return parser
