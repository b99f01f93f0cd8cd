"""`btswarm tearsheet`: one self-contained HTML page from any list of trades."""

import argparse
import math
from pathlib import Path

from ...state.errors import BadConfig
from ...state.files import make_folder, write_atomic

NAME_BYTES = 200  # a file name may have 255, of which the ending and a temporary prefix take some


def main(argv: list[str]) -> int:
    """Write DIR/NAME.html and print its path. 64 refused, 65 no usable trades, 66 no such file, 73, 77 not written."""
    options = _parser().parse_args(argv)
    name = _checked_name(options.name)
    capital = _checked_capital(options.capital)
    from ..tearsheet.render import page
    from ..tearsheet.trade_list import sheet_of
    from ..tearsheet.trade_table import read_trades

    content = page(sheet_of(name, read_trades(options.trades), capital, options.trades.name))
    path = make_folder(options.output) / f"{name}.html"
    write_atomic(path, content)
    print(path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm tearsheet", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="title of the page; it is written to DIR/NAME.html")
    parser.add_argument(
        "--trades", metavar="CSV", type=Path, required=True, help="one line per closed trade (docs/TEARSHEET.md)"
    )
    parser.add_argument("--capital", type=float, default=10_000.0, help="equity before the first trade (%(default)g)")
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path(), help="folder of the page (%(default)s)")
    return parser


def _checked_name(name: str) -> str:
    inside = not any(mark in name for mark in "/\\\0") and not name.startswith(".")
    if not name.strip() or not inside or not name.isprintable() or len(name.encode(errors="replace")) > NAME_BYTES:
        raise BadConfig(f"NAME must be a plain file name, not {name[:60]!r}", fix="put the folder into --output")
    return name


def _checked_capital(capital: float) -> float:
    if not math.isfinite(capital) or not 0 < capital <= 1e15:
        raise BadConfig(f"--capital must be a positive amount, not {capital:g}")
    return capital
