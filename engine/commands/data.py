"""`btswarm data`: list candles, check them, convert them into a new file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ...state.errors import BadConfig, BadData, BtswarmError, InputGone
from .shared import add_json

if TYPE_CHECKING:
    from ...state.models.preflight import PreflightReport
    from ..bars import Bars
    from ..candles.locate import Found
    from ..candles.read import Raw


def main(argv: list[str]) -> int:
    """0 fine; 1 a check failed; 64 refused; 65 no candles in the file; 66 no file; 73, 77 not written."""
    if argv[:1] == ["fetch"]:
        _refuse_fetch()
    options = _parser().parse_args(argv)
    code: int = options.act(options)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm data", description=__doc__)
    acts = parser.add_subparsers(metavar="ACT", required=True)
    symbol: dict[str, Any] = {"metavar": "S", "help": "the market, where the file's name does not say it"}

    check = acts.add_parser("check", help="every fault of one file, counted")
    check.add_argument("path", metavar="PATH", help="a file, or a folder together with --symbol")
    check.add_argument("--symbol", **symbol)
    add_json(check)
    check.set_defaults(act=_check)

    listing = acts.add_parser("list", help="the candle files of a folder")
    listing.add_argument("folder", metavar="DIR", type=Path, nargs="?", default=Path(), help="(%(default)s)")
    add_json(listing)
    listing.set_defaults(act=_list)

    convert = acts.add_parser("convert", help="one or several files of one market into a new Parquet file")
    convert.add_argument("paths", metavar="PATH", nargs="+", help="files that follow one another may overlap")
    convert.add_argument("--symbol", **symbol)
    convert.add_argument("--output", metavar="FILE", type=Path, required=True, help="a new .parquet, or a folder")
    convert.add_argument(
        "--repair", action="store_true", help="sort, drop exact duplicates and a last bar that had not closed"
    )
    convert.set_defaults(act=_convert)

    acts.add_parser("fetch", help="not in this version: says what to use instead")
    return parser


def _check(options: argparse.Namespace) -> int:
    from ..candles.load import clock_ms
    from ..candles.read import read_raw
    from .check_table import text

    report = check_rows(read_raw(_real(options.path), options.symbol), clock_ms())
    print(_json(report.model_dump(mode="json")) if options.json else text(report))
    return 0 if report.passed else 1


def check_rows(raw: "Raw", now_ms: int) -> "PreflightReport":
    """The checks on the rows alone. Raises BadData when the rows have no timeframe."""
    from ...state.models.preflight import PreflightReport
    from ..candles.faults import base_of
    from ..checks.rows import data_of, fault_checks, flat_check, gaps_check

    base_ms = base_of(raw)
    checks = [*fault_checks(raw, base_ms, now_ms), gaps_check(raw, base_ms), flat_check(raw, base_ms)]
    passed = all(check.status != "fail" for check in checks)
    return PreflightReport(symbol=raw.symbol, mode="", data=data_of(raw, base_ms), checks=checks, passed=passed)


def _list(options: argparse.Namespace) -> int:
    from ..candles.locate import candle_files

    folder: Path = options.folder
    if not folder.exists():
        raise InputGone(f"there is no folder {folder}", fix="check the path")
    if not folder.is_dir():
        raise BadConfig(f"{folder} is no folder", fix="btswarm data check looks at one file")
    rows = [_row(found) for found in candle_files(folder)]
    if options.json:
        print(_json(rows))
        return 0
    width = max((len(row["file"]) for row in rows), default=0)
    lines = [f"{row['file']:<{width}}  {_said(row)}" for row in rows]
    print("\n".join(lines) or f"{folder} has no candle files")
    return 0


def _said(row: dict[str, Any]) -> str:
    span = f"{row['rows']:,} bars of {row['minutes']} min, {row['from']} to {row['to']}" if row["rows"] else ""
    return "  ".join(filter(None, (row["symbol"], span, row["state"])))


def _row(found: "Found") -> dict[str, Any]:
    """One file of the list; a file that cannot be read is a line too."""
    from ..bars import MINUTE_MS
    from ..candles.faults import base_of, faults, iso
    from ..candles.load import clock_ms
    from ..candles.locate import Located
    from ..candles.read import read_located

    name = found.name
    symbol, minutes = (name.symbol, name.minutes) if name else ("?", None)
    row: dict[str, Any] = {"file": found.path.name, "symbol": symbol, "minutes": minutes, "rows": 0}
    if name and not name.candles:
        return {**row, "state": "no candles by its name"}
    try:
        raw = read_located(Located(found.path, symbol, minutes))
        base_ms = base_of(raw)
    except BtswarmError as error:
        return {**row, "state": error.message.removeprefix(f"{found.path}: ")}
    some = faults(raw, base_ms, clock_ms())
    row |= {"minutes": base_ms // MINUTE_MS, "rows": len(raw)}
    row |= {"from": iso(int(raw.time.min())), "to": iso(int(raw.time.max()))}
    return {**row, "state": f"faults: {', '.join(fault.name for fault in some)}" if some else ""}


def _convert(options: argparse.Namespace) -> int:
    from ..candles.faults import iso
    from ..candles.read import read_raw
    from ..candles.repair import join
    from ..candles.write import new_file, write_new

    raw = join([read_raw(_real(path), options.symbol) for path in options.paths])
    bars, done = _candles(raw, mend=options.repair)
    path = new_file(options.output, bars.symbol, bars.base_minutes)
    write_new(path, bars)
    span = f"{iso(int(bars.time[0]))} to {iso(int(bars.time[-1]))}"
    wrote = f"wrote {len(bars):,} bars of {bars.base_minutes} min, {span} UTC, to {path}, sha256 {bars.sha256}"
    print("\n".join([*done, wrote]))
    return 0


def _candles(raw: "Raw", *, mend: bool) -> "tuple[Bars, tuple[str, ...]]":
    """The candles, and what was mended. Without mending, the first fault is refused."""
    from ..candles.faults import base_of, faults, refuse
    from ..candles.load import clock_ms
    from ..candles.repair import repair

    now_ms = clock_ms()
    if mend:
        repaired = repair(raw, now_ms)
        return repaired.raw.bars(repaired.base_ms), repaired.done or ("nothing had to be mended",)
    base_ms = base_of(raw)
    refuse(raw, faults(raw, base_ms, now_ms))
    return raw.bars(base_ms), ()


def _json(content: Any) -> str:
    import orjson

    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()


def _refuse_fetch() -> NoReturn:
    raise BadConfig(
        "this version does not download candles",
        fix="use freqtrade download-data, ccxt or the dumps of data.binance.vision, then btswarm data convert",
    )


def _real(path: str) -> str:
    from ..candles.locate import is_synthetic

    if is_synthetic(path):
        raise BadData(f"{path!r} names the invented market, not a file", fix="give a file")
    return path
