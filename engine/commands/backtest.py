"""`btswarm backtest`: simulate given configurations exactly."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...state.errors import BadConfig, BadData, InputGone
from ..bars import Bars
from .shared import add_config, add_costs, add_data, add_json, add_span, costs_of, days_of, last_days, load_data

if TYPE_CHECKING:
    from ...state.config import Settings

MAX_LEVERAGE = 125.0
COLUMNS = {
    "total_trades": "trades",
    "win_rate": "wins",
    "total_return": "return",
    "sharpe": "Sharpe",
    "max_drawdown": "drawdown",
    "profit_factor": "profit f.",
}


def main(argv: list[str]) -> int:
    """Print metrics (and trades) of each configuration. 64 refused, 65 bad candles, 66 a file is missing."""
    options = _parser().parse_args(argv)
    if not 0 < options.leverage <= MAX_LEVERAGE:
        raise BadConfig(f"--leverage must be above 0 and at most {MAX_LEVERAGE:g}, not {options.leverage:g}")
    from ...state.config import load as load_settings

    settings = load_settings(options.config)
    costs = costs_of(options, settings)
    from ..strategies.api import combos_of, refuse_impossible

    params = _read_params(options.params_file)
    everything = load_data(options)
    bars = days_of(last_days(everything, options), options)
    refuse_impossible(combos_of(params), costs, bars.base_minutes)
    _enter_exposure(everything, bars, settings, len(params))
    from ..backtest import trades_as_rows
    from ..kernels.exact import simulate
    from ..metrics import jsonable, metrics

    found: list[dict[str, Any]] = []
    for one in params:
        result = simulate(bars, one, costs, options.leverage)
        entry: dict[str, Any] = {"params": one.as_dict(), "metrics": jsonable(metrics(result))}
        if options.trades:
            entry["trades"] = trades_as_rows(result.trades, bars)
        found.append(entry)
    _print_json(found) if options.json else _print_table(found, bars)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm backtest", description=__doc__)
    parser.add_argument(
        "--params-file", type=Path, required=True, metavar="F", help="JSON: one configuration or a list"
    )
    parser.add_argument("--leverage", type=float, default=1.0, help="notional over equity at entry (%(default)g)")
    parser.add_argument("--trades", action="store_true", help="list every trade too")
    add_data(parser)
    add_span(parser)
    add_costs(parser)
    add_config(parser)
    add_json(parser)
    return parser


def _read_params(path: Path) -> list[Any]:
    import orjson

    from ..strategies.api import Params

    try:
        raw = orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputGone(f"{path} is missing", fix="give the parameter file's path") from error
    except (OSError, orjson.JSONDecodeError) as error:
        raise BadConfig(f"{path} cannot be read as JSON ({error})", fix="give a list of configurations") from error
    many = raw if isinstance(raw, list) else [raw]
    if not many:
        raise BadConfig(f"{path} holds no configuration", fix="give a list of configurations")
    params = []
    for number, one in enumerate(many):
        try:
            params.append(Params.parse(one))
        except BadConfig as error:
            raise BadConfig(f"{path}, configuration {number}: {error.message}", fix=error.fix) from error
    return params


def _enter_exposure(everything: Bars, shown: Bars, settings: "Settings", count: int) -> None:
    """Results on bars of the sealed hold-out are entered in the ledger before they are shown.

    Also where the days do not suffice for a verdict yet: with more of them these will be in the hold-out still.
    """
    from ...state.files import make_folder
    from ..ledger import Ledger
    from ..split import split

    if everything.synthetic:
        return
    try:
        cut = split(everything, settings.config.plan.holdout_days, settings.config.plan.train_days)
    except BadData:  # too short to ever have a hold-out
        return
    if len(cut.holdout) and shown.time[-1] >= cut.holdout.from_ms:
        path = settings.roots.ledger
        make_folder(path.parent)
        Ledger(path).enter_exposure(shown, cut, stage="backtest", volume=count)


def _print_json(found: list[dict[str, Any]]) -> None:
    import sys

    import orjson

    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")


def _print_table(found: list[dict[str, Any]], bars: Bars) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"{bars.symbol}, {len(bars):,} bars of {bars.base_minutes} minutes"
    table = Table(title=title + (" of a SYNTHETIC market" if bars.synthetic else ""))
    table.add_column("fast / slow EMA", no_wrap=True)
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for entry in found:
        p, values = entry["params"], entry["metrics"]
        name = f"{p['fast_period']}x{p['fast_tf']}m / {p['slow_period']}x{p['slow_tf']}m {p['direction']}"
        shown = ["-" if values[c] is None else f"{values[c]:,.{0 if c == 'total_trades' else 2}f}" for c in COLUMNS]
        table.add_row(name, *shown)
    Console().print(table)
    for entry in found:
        for trade in entry.get("trades", ()):
            print(*(f"{key}={value}" for key, value in trade.items()))
