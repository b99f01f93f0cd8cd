"""`btswarm bench permute`: what the permutation test costs here. Times and counts only, no statistic of the data."""

import argparse
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from .backend import parallel
from .bars import Bars
from .commands.shared import add_data, add_json, last_days, load_data, whole
from .costs import Costs
from .strategies import mtf_ema
from .strategies.mtf_ema import Space

MIN_TRADES = 30
FULL = 398
"""Null markets of a whole test: 199 of each kind."""


def main(argv: list[str]) -> int:
    """Time some null markets. 64 refused, 65, 66 as for any command that reads candles."""
    options = _parser().parse_args(argv)
    for name in ("markets", "pairs", "exits"):
        whole(f"--{name}", getattr(options, name))
    parallel("--threads", options.threads)
    space = mtf_ema.space_for(options.mode)
    bars = last_days(load_data(options), options)
    found = measure(bars, space, options.markets, options.pairs, options.exits, options.threads)
    found |= {"symbol": bars.symbol, "mode": options.mode, "synthetic": bars.synthetic}
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        sys.stdout.write("".join(f"{name:<28}{value}\n" for name, value in found.items()))
    return 0


def measure(bars: Bars, space: Space, markets: int, pairs: int, exits: int, threads: int) -> dict[str, Any]:
    """Seconds of `markets` null markets, both kinds in turn, without stopping early; compilation comes before."""
    from .kernels import cpu
    from .validation.permutation import KINDS, null_market, source_of
    from .validation.search_null import Rooms
    from .validation.selection import Effort, Selection

    selection = Selection.fixed(space, Costs(), MIN_TRADES, Effort(pairs=pairs, exits=exits))
    rooms, source = Rooms(cpu.prepare(bars, space, threads=threads), threads), source_of(bars)

    def one(number: int) -> None:
        rooms.statistic(selection, null_market(source, KINDS[number % 2], number))

    with ThreadPoolExecutor(rooms.count) as pool:
        list(pool.map(one, range(rooms.count)))  # compiles, and fills the rooms
        began, burnt = time.perf_counter(), time.process_time()
        list(pool.map(one, range(1, markets + 1)))
        seconds, burnt = time.perf_counter() - began, time.process_time() - burnt
    return {
        "bars": len(bars),
        "combos": selection.effort.combos,
        "null_markets": markets,
        "threads": rooms.count,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(burnt, 3),
        "cpu_seconds_per_market": round(burnt / markets, 4),
        "minutes_of_a_whole_test": round(seconds / markets * FULL / 60, 2),
        "cpu_minutes_of_a_whole_test": round(burnt / markets * FULL / 60, 2),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm bench permute", description=__doc__)
    add_data(parser)
    parser.add_argument("--mode", default="aggressive", help="conservative, balanced or aggressive (%(default)s)")
    parser.add_argument("--markets", type=int, default=20, metavar="N", help="null markets to make (%(default)s)")
    parser.add_argument("--pairs", type=int, default=2000, metavar="N", help="of averages (%(default)s)")
    parser.add_argument("--exits", type=int, default=10, metavar="N", help="sets of exits of each pair (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(%(default)s)")
    add_json(parser)
    return parser
