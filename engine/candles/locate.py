"""Which file holds a symbol's candles: `--data-path` is a file, or a folder searched by symbol, not recursively."""

import stat
from dataclasses import dataclass
from pathlib import Path

from ...state.errors import BadConfig, BadData, InputGone
from ...state.models.config import SYNTHETIC
from ...state.symbols import FileName, means, parse_file_name, readings, synthetic_name
from .suffixes import format_of, stem

SHOWN = 8  # names listed in a refusal


@dataclass(frozen=True)
class Located:
    """`path` None: the synthetic market. `symbol` in the one form. `minutes`: the timeframe the file's name says."""

    path: Path | None
    symbol: str
    minutes: int | None = None


@dataclass(frozen=True)
class Found:
    """A file of a folder that may hold candles."""

    path: Path
    format: str
    name: FileName | None


def is_synthetic(data_path: str | Path | None) -> bool:
    """No path, or the word that stands for the synthetic market."""
    return data_path is None or str(data_path) in ("", SYNTHETIC)


def locate(data_path: str | Path | None, symbol: str | None = None, *, base_minutes: int | None = None) -> Located:
    """The file meant by `data_path` and `symbol`, and the symbol in the one form; nothing is read.

    Raises InputGone for a missing path, BadData for a folder without the symbol or with several candidates, BadConfig
    for a file that is named for another market.
    """
    if data_path is None or is_synthetic(data_path):
        return Located(None, synthetic_name(symbol))
    path = Path(data_path).expanduser()
    mode = _mode(path)
    if stat.S_ISREG(mode):
        return _file(path, symbol)
    if not stat.S_ISDIR(mode):
        raise BadData(f"{path} is neither a file nor a folder", fix="give a file of candles or a folder of them")
    if not symbol:
        raise BadConfig(f"{path} is a folder", fix="say which market: --symbol SOLUSDT")
    return _search(path, symbol, base_minutes)


def candle_files(folder: Path) -> list[Found]:
    """The files of `folder` whose suffix is one that can be read, by name. Raises BadData if it cannot be listed."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file())
    except OSError as error:
        raise BadData(f"{folder} cannot be listed ({error.strerror})", fix="make the folder readable") from error
    known = [(path, format_of(path)) for path in entries]
    return [Found(path, kind, parse_file_name(stem(path))) for path, kind in known if kind]


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputGone(f"there is no file or folder {path}", fix="check --data-path") from error
    except (OSError, ValueError) as error:
        raise BadData(f"{str(path)!r} cannot be looked at ({error})", fix="check --data-path") from error


def _file(path: Path, symbol: str | None) -> Located:
    name = parse_file_name(stem(path))
    minutes = name.minutes if name else None
    if name and not name.candles:
        raise BadData(f"{path} holds no candles of trades by its name", fix="give the file of the market's candles")
    if not symbol:
        if name is None:
            raise BadConfig(f"the name of {path} does not say which market it is", fix="add --symbol SOLUSDT")
        return Located(path, name.symbol, minutes)
    wanted = readings(symbol)
    if name and means(name, wanted):
        return Located(path, name.symbol, minutes)
    if name and name.certain:
        raise BadConfig(
            f"{path} is named for {name.symbol}, not for {wanted[0]}",
            fix=f"use --symbol {name.symbol}, or rename the file if its name is wrong",
        )
    return Located(path, wanted[0], minutes)


def _search(folder: Path, symbol: str, base_minutes: int | None) -> Located:
    wanted = readings(symbol)
    named = [(one.path, one.name) for one in candle_files(folder) if one.name and one.name.candles]
    tiers = [[one for one in named if one[1].symbol == reading] for reading in wanted]
    tiers.append([one for one in named if means(one[1], wanted)])
    matches = next(filter(None, tiers), [])
    if base_minutes is not None:
        matches = [one for one in matches if one[1].minutes == base_minutes] or matches
    if not matches:
        have = _listed(sorted({name.symbol for _, name in named}))
        found = f"it has {have}" if have else f"it has no file of candles (such as {wanted[0]}-5m.parquet)"
        raise BadData(f"{folder} has no candles of {wanted[0]}: {found}", fix="check --data-path and --symbol")
    if len(matches) > 1:
        names = _listed([path.name for path, _ in matches])
        raise BadData(f"{folder} has several files for {wanted[0]}: {names}", fix="give one of them as --data-path")
    [(path, name)] = matches
    return Located(path, name.symbol, name.minutes)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
