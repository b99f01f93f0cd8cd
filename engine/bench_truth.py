"""`btswarm bench truth`: how often noise is certified, and how often an edge of known size is."""

import argparse
import sys
from pathlib import Path
from typing import Any

import orjson

from .backend import parallel
from .commands.shared import add_json, whole
from .split import EMBARGO_DAYS, HOLDOUT_DAYS, NEEDED_DAYS, TRAIN_DAYS

EPILOG = """\
The whole pipeline on each market, with an empty ledger of its own, a reduced budget and the thresholds of certify.
null: markets that hold nothing; at most 8 certificates in 300 put the rate below 4.8 % at 95 % confidence. power: edges
of known size. Rows are kept in --out as they come, and markets that have one there are not judged again. Without
--data-path the two families made of real candles are left out. Exit code 0 whatever the counts, 1 with --at-most when
there are more certificates."""


def main(argv: list[str]) -> int:
    """Run a suite. 64 refused, 65, 66 as for any command that reads candles, 74 damaged rows, 75 stopped."""
    options = _parser().parse_args(argv)
    for name, value, least in (
        ("--markets", options.markets, 1),
        ("--seed", options.seed, 0),
        ("--days", options.days, NEEDED_DAYS),
        ("--trials", options.trials, 1),
    ):
        whole(name, value, least)
    parallel("--threads", options.threads)
    rows = _run(options)
    from .truth.summary import lines, summary

    told = summary(rows)
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(_head(options) | told, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines(told)))
    return int(options.at_most is not None and told["certified"] > options.at_most)


def _parser() -> argparse.ArgumentParser:
    from .truth.families import REGISTERED

    parser = argparse.ArgumentParser(
        prog="btswarm bench truth",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--suite", choices=("null", "power"), default="null", help="(%(default)s)")
    parser.add_argument("--markets", type=int, default=60, metavar="N", help="in all families (%(default)s)")
    parser.add_argument("--seed", type=int, default=REGISTERED, metavar="N", help="registered seed (%(default)s)")
    parser.add_argument("--mode", default="", help="conservative, balanced or aggressive (null: in turn)")
    usual = TRAIN_DAYS + EMBARGO_DAYS + HOLDOUT_DAYS
    parser.add_argument("--days", type=int, default=usual, metavar="N", help="whole days of a market (%(default)s)")
    parser.add_argument("--trials", type=int, default=40, metavar="N", help="Optuna trials (%(default)s)")
    parser.add_argument("--data-path", default="", metavar="P", help="a folder with candles of SOL and BTC")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="markets at once (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="F", help="rows, one JSON object per market; goes on from there")
    parser.add_argument("--at-most", type=int, metavar="N", help="exit with 1 when more than N are certified")
    add_json(parser)
    return parser


def _run(options: argparse.Namespace) -> list[dict[str, Any]]:
    from .reporters import Plain, Relay
    from .stopping import Stop, leave_now, listening
    from .strategies.mtf_ema import space_for
    from .truth.suite import Budget, run_suite, tasks_of

    if options.mode:
        space_for(options.mode)
    budget = Budget(trials=options.trials)
    tasks = tasks_of(
        options.suite, options.markets, options.seed, options.days, options.mode, options.data_path, budget
    )
    stop = Stop()
    rows: list[dict[str, Any]] = []
    display = Plain(sys.stderr)
    report = Relay(stop, display.begin(f"{options.suite} suite"))
    report.phase("batch", len(tasks), "markets")

    def told(row: dict[str, Any]) -> None:
        rows.append(row)
        report.line(f"{row['family']} {row['number']} {row['mode']}: {row['verdict']}, p_search {row.get('p_search')}")
        report.step(len(rows))

    with listening(stop, leave_now):
        run_suite(tasks, options.out, options.threads, told)
    return rows


def _head(options: argparse.Namespace) -> dict[str, Any]:
    return {"suite": options.suite, "seed": options.seed, "days": options.days, "trials": options.trials}
