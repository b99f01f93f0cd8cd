"""Trades out of anybody's CSV: which column means what, how its times and returns are written.

Liberal in names and notations, strict in values: a cell that cannot be a time or a number refuses the file with its
line, and how the columns were read is handed on so that the page can say it.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...state.errors import BadData, InputGone, NoPermission
from .sheet import Trade
from .trade_columns import meanings, parse_number, parse_side, parse_time

MAX_BYTES = 256 * 1024 * 1024
REASON_CHARACTERS = 80

Kind = Literal["fraction", "percent", "money", "prices"]
NEEDED: dict[Kind, tuple[str, ...]] = {
    "fraction": ("entry_time", "exit_time"),
    "percent": ("entry_time", "exit_time"),
    "money": ("entry_time", "exit_time"),
    "prices": ("entry_time", "exit_time", "side", "entry_price", "exit_price"),
}
USUAL = "entry_time, exit_time, side, entry_price, exit_price, net_return, reason"


@dataclass(frozen=True)
class Reading:
    """The trades in order of exit, and how the columns were understood: pairs of what and how.

    `amounts`: profit of each trade in money, where the list has only that; then every net_return is NaN.
    """

    trades: tuple[Trade, ...]
    amounts: tuple[float, ...] | None
    rows: tuple[tuple[str, str], ...]


def read_trades(path: Path) -> Reading:
    """Read a CSV with a header. Raises InputGone, NoPermission, or BadData with the line and what is wrong with it."""
    header, rows = _cells(path)
    columns = _columns(path, header)
    parse = _Parser(path, header, columns, _kind(path, header, columns))
    closed = [(line, row) for line, row in rows if parse.cell(row, "exit_time")]
    if not closed:
        raise BadData(f"{path.name} has no closed trade", fix="give one line per trade under the header")
    found = [parse.trade(line, row) for line, row in closed]
    found.sort(key=lambda pair: (pair[0].exit_time, pair[0].entry_time))
    amounts = tuple(amount for _, amount in found) if parse.kind == "money" else None
    return Reading(tuple(trade for trade, _ in found), amounts, parse.explained(len(found), len(rows) - len(found)))


def _cells(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header and the rows that are not blank, with their line numbers."""
    text = _text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise BadData(f"{path.name} is empty", fix="give a CSV of trades with a header")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise BadData(f"{path.name} line {reader.line_num} is no CSV ({error})", fix="write it again as CSV") from error
    header = [cell.strip() for cell in rows[0][1]]
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise BadData(
                f"{path.name} line {line} has {len(row)} cells, the header {len(header)}",
                fix="the file may be cut off; write it again",
            )
    return header, rows[1:]


def _text(path: Path) -> str:
    try:
        if path.is_dir():
            raise BadData(f"{path} is a folder", fix="name the CSV file of trades")
        if path.stat().st_size > MAX_BYTES:
            raise BadData(f"{path.name} is over {MAX_BYTES // 2**20} MiB", fix="give a part of it")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InputGone(f"there is no {path}", fix="check --trades") from error
    except PermissionError as error:
        raise NoPermission(f"{path} may not be read", fix="change its permissions") from error
    except UnicodeDecodeError as error:
        raise BadData(f"{path.name} is no text in UTF-8 (byte {error.start})", fix="give a CSV of trades") from error
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror})") from error


def _columns(path: Path, header: Sequence[str]) -> dict[str, int]:
    try:
        return meanings(header)
    except ValueError as error:
        raise BadData(f"{path.name} has the column {_shown(str(error))} twice", fix="drop one of them") from error


def _kind(path: Path, header: Sequence[str], columns: dict[str, int]) -> Kind:
    """Where the returns come from. Raises BadData when a needed column is not there."""
    kinds: tuple[Kind, ...] = ("fraction", "percent", "money")
    kind: Kind = next((name for name in kinds if name in columns), "prices")
    lacking = [name for name in NEEDED[kind] if name not in columns]
    if kind == "prices" and lacking:
        lacking = [*(name for name in lacking if name.endswith("time")), "net_return"]
    if lacking:
        raise BadData(
            f"{path.name} lacks {', '.join(lacking)}; its columns are {_listed(header)}",
            fix=f"name them {USUAL}",
        )
    return kind


@dataclass(frozen=True)
class _Parser:
    path: Path
    header: Sequence[str]
    columns: dict[str, int]
    kind: Kind

    def cell(self, row: Sequence[str], meaning: str) -> str:
        return row[self.columns[meaning]].strip() if meaning in self.columns else ""

    def trade(self, line: int, row: Sequence[str]) -> tuple[Trade, float]:
        """The trade, and its profit in money (NaN where the list has returns)."""
        entry, exit_ = (self._time(line, row, name) for name in ("entry_time", "exit_time"))
        if exit_ < entry:
            raise self._refuse(line, row, "exit_time", "is before the entry")
        prices = [self._price(line, row, name) for name in ("entry_price", "exit_price")]
        side = self._side(line, row)
        value = self._value(line, row, side, prices)
        net, amount = (math.nan, value) if self.kind == "money" else (value, math.nan)
        return Trade(entry, exit_, side, prices[0], prices[1], net, _printable(self.cell(row, "reason"))), amount

    def _time(self, line: int, row: Sequence[str], meaning: str) -> int:
        ms = parse_time(self.cell(row, meaning))
        if ms is None:
            raise self._refuse(line, row, meaning, "is no time", "use ISO text or milliseconds since 1970")
        return ms

    def _number(self, line: int, row: Sequence[str], meaning: str) -> float:
        value = parse_number(self.cell(row, meaning))
        if value is None:
            raise self._refuse(line, row, meaning, "is no number")
        return value

    def _price(self, line: int, row: Sequence[str], meaning: str) -> float:
        if not self.cell(row, meaning) and self.kind != "prices":
            return math.nan
        value = self._number(line, row, meaning)
        if value <= 0:
            raise self._refuse(line, row, meaning, "is no price: it must be positive")
        return value

    def _side(self, line: int, row: Sequence[str]) -> int:
        text = self.cell(row, "side")
        if not text and self.kind != "prices":
            return 0
        side = parse_side(text, self.header[self.columns["side"]])
        if side is None:
            raise self._refuse(line, row, "side", "is neither long nor short")
        return side

    def _value(self, line: int, row: Sequence[str], side: int, prices: Sequence[float]) -> float:
        """The fraction of equity, or the amount."""
        if self.kind == "prices":
            return max(side * (prices[1] / prices[0] - 1.0), -1.0)
        value = self._number(line, row, self.kind)
        if self.kind == "money":
            return value
        percent = self.kind == "percent" or self.cell(row, self.kind).endswith("%")
        fraction = value / 100.0 if percent else value
        if fraction < -1.0:
            fix = "a loss of 2 % is -0.02; call the column return_pct if it is in percent"
            raise self._refuse(line, row, self.kind, "loses more than everything", fix)
        return fraction

    def _refuse(self, line: int, row: Sequence[str], meaning: str, what: str, fix: str = "mend that line") -> BadData:
        column, cell = self.header[self.columns[meaning]], self.cell(row, meaning)
        return BadData(f"{self.path.name} line {line}, {_shown(column)}: {_shown(cell)} {what}", fix=fix)

    def explained(self, closed: int, left_out: int) -> tuple[tuple[str, str], ...]:
        """How the list was read, for the page."""
        name = self.header[self.columns[self.kind]] if self.kind in self.columns else ""
        returns = {
            "fraction": f"column {name}: fraction of the equity at entry, or percent where a cell has the sign",
            "percent": f"column {name}: percent of the equity at entry",
            "money": f"column {name}: an amount, taken over the equity when the trade was closed",
            "prices": "from entry and exit price, one times the equity, without costs",
        }[self.kind]
        times = " and ".join(self.header[self.columns[one]] for one in ("entry_time", "exit_time"))
        rows = [
            ("Trades", f"{closed:,} closed" + (f", {left_out:,} without an exit left out" if left_out else "")),
            ("Returns", returns),
            ("Times", f"columns {times}; UTC where they name no zone"),
        ]
        return tuple(rows if "side" in self.columns else [*rows, ("Side", "not in the list")])


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text))[:REASON_CHARACTERS]


def _listed(header: Sequence[str]) -> str:
    more = f" and {len(header) - 12} more" if len(header) > 12 else ""
    return ", ".join(_shown(name) for name in header[:12]) + more


def _shown(text: str) -> str:
    """A cell as it can stand in one line of a terminal."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
