"""`btswarm bench parity`: the screen against the exact simulator, on the last days and on days with a gap inside."""

import argparse
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ..state.errors import GateFailed
from .backend import parallel
from .bars import Bars
from .commands.shared import add_data, add_json, load_data, whole
from .kernels import cpu
from .kernels.parity import Parity, around_widest_gap, parity
from .strategies.mtf_ema import MODES, space_for

DAYS = 730


def main(argv: list[str]) -> int:
    """Print the figures. Raises GateFailed (1) when a demand is not met; 64, 65, 66 as for any reader of candles."""
    options = _parser().parse_args(argv)
    whole("--combos", options.combos)
    whole("--seed", options.seed, 0)
    parallel("--threads", options.threads)
    modes = options.mode or MODES
    spaces = [space_for(mode) for mode in modes]
    everything = load_data(options)
    found = []
    for bars in slices(everything, options.last_days or DAYS):
        for space in spaces:
            market = cpu.prepare(bars, space, threads=options.threads)
            found.append(parity(market, options.combos, options.seed, threads=options.threads))
    _print(found, options.json)
    failures = [line for one in found for line in one.failures()]
    if failures:
        raise GateFailed("; ".join(failures))
    return 0


def slices(bars: Bars, days: float) -> list[Bars]:
    """The last `days` days, and as many around the widest gap where the last ones do not hold it."""
    last, gap = bars.last_days(days), around_widest_gap(bars, days)
    return [last] if gap is None or gap.time[0] >= last.time[0] else [last, gap]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm bench parity", description=__doc__)
    add_data(parser)
    add_json(parser)
    parser.add_argument("--mode", action="append", metavar="M", help="may be given again; all modes by default")
    parser.add_argument("--combos", type=int, default=5000, metavar="N", help="of each mode (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the screen (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="stream of combos (%(default)s)")
    return parser


def _print(found: list[Parity], as_json: bool) -> None:
    if as_json:
        import orjson

        rows = [asdict(one) | {"failures": one.failures()} for one in found]
        sys.stdout.buffer.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2) + b"\n")
        return
    for one in found:
        sys.stdout.write("\n".join(f"{name:<22}{value}" for name, value in _lines(one)) + "\n\n")


def _lines(one: Parity) -> list[tuple[str, Any]]:
    first, last = (
        datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M") for ms in (one.first_ms, one.last_ms)
    )
    return [
        ("market", f"{one.symbol} {one.mode}, {first} to {last}, {one.bars:,} bars, {one.missing_bars} missing"),
        ("combos", f"{one.combos:,} of seed {one.seed}, {one.trades:,} trades"),
        ("trade counts equal", f"{one.trade_counts_equal:.4%}"),
        ("every trade equal", f"{one.trades_equal:.4%}"),
        ("Sharpe within 1e-3", f"{one.sharpe_within_1e_3:.4%}"),
        ("Sharpe difference", ", ".join(f"{q}: {value:.2g}" for q, value in one.sharpe_difference.items())),
        ("top kept", f"{one.top_kept} of {one.top} in the screened {one.top + one.margin}"),
        ("verdict", "; ".join(one.failures()) or "all demands met"),
    ]
