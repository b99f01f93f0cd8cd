"""`btswarm validate`: is this data, and this host, fit for a search? Every check with its figure."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ...state.engines import ENGINES
from .shared import add_config, add_json

if TYPE_CHECKING:
    from ...state.models.preflight import PreflightReport
    from ..candles.read import Raw

ALLOWABLE = "days, gaps, flat, disk, memory"


def main(argv: list[str]) -> int:
    """0 fit; 1 a check failed; 64 refused; 65 no candles in the file; 66 no file."""
    options = _parser().parse_args(argv)
    from ...state import config
    from ...state.files import make_folder
    from ..artifacts import PREFLIGHT, write_model
    from ..preflight import Request, check_all, refuse_unknown
    from ..progress import Silent

    settings = config.load(options.config)
    allow = tuple(dict.fromkeys([*settings.config.plan.allow, *options.allow]))
    refuse_unknown(allow)
    request = Request(
        mode=options.mode or "",
        out_dir=options.output or settings.roots.results,
        min_trades=settings.config.plan.min_trades,
        engine=options.engine,
        gpu=options.gpu,
        space={str(mode): dict(overrides) for mode, overrides in settings.config.space.items()},
        allow=allow,
        floor_mb=settings.config.disk.floor_mb,
    )
    report = check_all(_rows(options.data_path, options.symbol), request, Silent())
    if options.output:
        write_model(make_folder(options.output) / PREFLIGHT, report)
    _show(report, as_json=options.json)
    return 0 if report.passed else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm validate", description=__doc__)
    parser.add_argument("--check-all", action="store_true", help="every check; there is no other choice yet")
    parser.add_argument("--data-path", metavar="P", help="a file of candles, or a folder that has the symbol's")
    parser.add_argument("--symbol", metavar="S", help="SOL, SOLUSDT, SOL/USDT: spot; SOLUSDT-PERP: the perpetual")
    parser.add_argument("--mode", metavar="M", help="conservative, balanced or aggressive; default: what all need")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="what will screen (%(default)s)")
    parser.add_argument("--gpu", type=int, metavar="N", help="the device that will screen, -1 for the CPU")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="NAME", help=f"accept this failure: {ALLOWABLE}"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="also write preflight.json there")
    add_json(parser)
    add_config(parser)
    return parser


def _rows(data_path: str | None, symbol: str | None) -> "Raw":
    from ..candles.locate import locate
    from ..candles.read import of_bars, read_located
    from ..candles.synthetic import synthetic

    located = locate(data_path, symbol)
    return of_bars(synthetic(located.symbol)) if located.path is None else read_located(located)


def _show(report: "PreflightReport", *, as_json: bool) -> None:
    import orjson

    from . import check_table

    if as_json:
        print(orjson.dumps(report.model_dump(mode="json"), option=orjson.OPT_INDENT_2).decode())
    else:
        print(check_table.text(report))
