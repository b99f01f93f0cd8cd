"""`btswarm bench WHAT`: measure this machine. Times and counts only, never how a configuration performed."""

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, Any

from ..backend import parallel
from .shared import add_data, add_json, last_days, load_data, whole

if TYPE_CHECKING:
    from ..bars import Bars
    from ..strategies.mtf_ema import Space

WHAT = {
    "screen": "combos per second of the screen, against the plain loop over every bar",
    "optimize": "what a trial costs: sampler, storage, simulation",
    "truth": "how often noise is certified, and how often an edge of known size is",
    "permute": "what the permutation test of a search costs",
    "parity": "does the screen decide as the exact simulator does?",
}


OF_THE_SWARM = "supervise, utilisation: of the swarm; btswarm bench NAME --help"
"""The front door takes these elsewhere."""


def main(argv: list[str]) -> int:
    """Run one benchmark. 64 refused, 65, 66 as for any command that reads candles, 69 a GPU was asked for."""
    parser = argparse.ArgumentParser(prog="btswarm bench", description=__doc__, epilog=OF_THE_SWARM)
    parser.add_argument("what", choices=WHAT, help="; ".join(f"{name}: {text}" for name, text in WHAT.items()))
    what, rest = argv[:1], argv[1:]
    chosen = parser.parse_args(what).what
    if chosen == "screen":
        return screen(rest)
    module = {
        "optimize": "bench_optimize",
        "parity": "bench_parity",
        "permute": "bench_permute",
        "truth": "bench_truth",
    }[chosen]
    return int(importlib.import_module(f"...{module}", __name__).main(rest))


def screen(argv: list[str]) -> int:
    """`btswarm bench screen`."""
    parser = argparse.ArgumentParser(prog="btswarm bench screen", description=WHAT["screen"])
    add_data(parser)
    add_json(parser)
    parser.add_argument("--mode", default="aggressive", help="conservative, balanced or aggressive (%(default)s)")
    parser.add_argument("--combos", type=int, default=50_000, metavar="N", help="how many to screen (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(%(default)s)")
    parser.add_argument("--gpu", type=int, default=-1, metavar="N", help="-1: the CPU; else that device (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="stream of combos (%(default)s)")
    options = parser.parse_args(argv)
    whole("--combos", options.combos)
    whole("--seed", options.seed, 0)
    parallel("--threads", options.threads)
    from ..strategies.mtf_ema import space_for

    space = space_for(options.mode)
    if options.gpu >= 0:
        found, bars = _on_gpu(options, space)
    else:
        from ..bench import bench_screen

        bars = last_days(load_data(options), options)
        found = bench_screen(bars, space, options.combos, options.threads, seed=options.seed)
    _print(found | {"symbol": bars.symbol, "mode": options.mode, "synthetic": bars.synthetic}, options.json)
    return 0


def _on_gpu(options: argparse.Namespace, space: "Space") -> tuple[dict[str, Any], "Bars"]:
    """Raises GpuUnavailable before any candle is read."""
    from ..bench_gpu import bench_gpu
    from ..screens import open_device

    device = open_device(options.gpu)
    bars = last_days(load_data(options), options)
    return bench_gpu(bars, space, options.combos, device, seed=options.seed), bars


def _print(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        import orjson

        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        return
    for name, value in found.items():
        print(f"{name:<26}{value}")
