"""Options that several commands share, so that they are spelled and explained once."""

import argparse
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ...state.errors import BadConfig
from ..bars import Bars
from ..costs import Costs

if TYPE_CHECKING:
    from ...state.config import Settings

EPOCH = date(1970, 1, 1)
MOST = 2**63 - 1  # what every file can hold


def whole(name: str, value: int, least: int = 1) -> int:
    """A number given on the command line. Raises BadConfig when it is out of range."""
    if value < least:
        raise BadConfig(f"{name} must be at least {least}, not {value}")
    if value > MOST:
        raise BadConfig(f"{name} must be at most {MOST}, not {value}")
    return value


def add_data(parser: argparse.ArgumentParser) -> None:
    """--data-path, --symbol, --last-days."""
    parser.add_argument(
        "--data-path", metavar="P", help="candle file, or a folder searched by symbol; without it the synthetic market"
    )
    parser.add_argument(
        "--symbol", metavar="S", help="SOL, SOLUSDT, SOL/USDT: spot; SOLUSDT-PERP, SOL/USDT:USDT: perpetual"
    )
    parser.add_argument("--last-days", type=float, metavar="N", help="use only the last N days of the data")


def load_data(options: argparse.Namespace) -> Bars:
    """All candles of the market that the options of `add_data` name."""
    from ..candles.load import load

    return load(options.data_path, options.symbol)


def last_days(bars: Bars, options: argparse.Namespace) -> Bars:
    """The part of them that --last-days asks for."""
    return bars if options.last_days is None else bars.last_days(options.last_days)


def add_span(parser: argparse.ArgumentParser) -> None:
    """--from, --to: what a command that reproduces a result on some days needs."""
    parser.add_argument("--from", dest="first_day", type=_day, metavar="DAY", help="first UTC day used, as 2024-01-31")
    parser.add_argument("--to", dest="last_day", type=_day, metavar="DAY", help="last UTC day used, itself included")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write it as 2024-01-31") from error


def days_of(bars: Bars, options: argparse.Namespace) -> Bars:
    """The bars of the days that the options of `add_span` name, as a copy. Raises BadConfig when there are none."""
    first, last = options.first_day, options.last_day
    if first is None and last is None:
        return bars
    start = 0 if first is None else int(bars.day.searchsorted((first - EPOCH).days))
    stop = len(bars) if last is None else int(bars.day.searchsorted((last - EPOCH).days, side="right"))
    if start >= stop:
        raise BadConfig(
            f"there are no candles from {first or 'the first'} to {last or 'the last'}",
            fix="check --from and --to against the days of the data",
        )
    return bars.slice(start, stop)


def add_costs(parser: argparse.ArgumentParser) -> None:
    """--fee, --slippage, --funding, as fractions."""
    costs = parser.add_argument_group("costs, as fractions; those left out are the configured ones")
    costs.add_argument("--fee", type=float, metavar="F", help="of traded notional, per side (costs.fee)")
    costs.add_argument("--slippage", type=float, metavar="F", help="of the price, per market fill (costs.slippage)")
    costs.add_argument("--funding", type=float, metavar="F", help="per 8 hours, paid by longs (costs.funding)")


def costs_of(options: argparse.Namespace, settings: "Settings") -> Costs:
    """The costs that the options of `add_costs` name, else those of btswarm.toml. Raises BadConfig."""
    given = {name: getattr(options, name) for name in ("fee", "slippage", "funding")}
    return Costs(**settings.config.costs.model_dump() | {k: v for k, v in given.items() if v is not None})


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="F", help="btswarm.toml; else searched in the usual places")
