"""Which column is what: the usual spellings of candle columns, and a refusal wherever two readings are possible."""

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from ...state.errors import BadData
from ...state.symbols import pair
from ..bars import Ints
from .table import Place
from .times import to_ms

TIME, WEAK_TIME = "time", "index"
PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")

_SPELLINGS = {
    TIME: "timestamp date datetime time open_time opentime open_timestamp opentimestamp unix unix_timestamp "
    "unix_time unixtime epoch ts t start start_time starttime begin date_time time_open timeopen time_period_start "
    "candle_begin_time kline_open_time",
    WEAK_TIME: "index level_0 unnamed_0 index_level_0",
    "open": "open o open_price openprice price_open",
    "high": "high h high_price highprice price_high max",
    "low": "low l low_price lowprice price_low min",
    "close": "close c close_price closeprice price_close",
    "volume": "volume v vol base_volume basevolume volume_base base_asset_volume volume_traded",
    "symbol": "symbol pair ticker tic market",
    "timeframe": "interval timeframe tf",
}
_ROLES = {spelling: role for role, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_DUPLICATED = re.compile(r"_duplicated_\d+$")  # what the CSV reader makes of a name that stands there twice
_ASSET_VOLUME = re.compile(r"(?:volume|vol)_([a-z0-9]+)|([a-z0-9]+)_(?:volume|vol)")
_HEADER = "timestamp, open, high, low, close, volume"


def role_of(name: str) -> str | None:
    """The role a column's name has, None for a column that candles do not need."""
    plain = _plain(name)
    return WEAK_TIME if plain == "" else _ROLES.get(plain)


def is_candle_name(name: str) -> bool:
    """Whether a name is a price or volume column."""
    return role_of(name) in NUMBERS


def open_times(frame: pl.DataFrame, place: Place) -> Ints:
    """The open time of each row, int64 [N] ms UTC. Several time columns must say the same."""
    names = [name for name in frame.columns if role_of(name) == TIME]
    names = names or [name for name in frame.columns if role_of(name) == WEAK_TIME]
    if not names:
        raise _lacking("open time", frame)
    times = [to_ms(frame[name], place) for name in names]
    for name, other in zip(names[1:], times[1:], strict=True):
        if (differ := times[0] != other).any():
            row = int(np.argmax(differ))
            raise BadData(
                f"{place(row)}: columns {names[0]!r} and {name!r} give different times",
                fix="keep only the column of open times",
            )
    return times[0]


def number_columns(frame: pl.DataFrame, symbol: str) -> dict[str, str]:
    """Role -> column name for open, high, low, close and base volume. Raises BadData for none or two unequal ones."""
    chosen = {}
    for role in NUMBERS:
        names = [name for name in frame.columns if role_of(name) == role]
        if role == "volume":
            names = names or _asset_volumes(frame.columns, symbol)
        if not names:
            raise _lacking(role, frame)
        for other in names[1:]:
            if not frame[names[0]].rename(other).equals(frame[other]):
                raise BadData(f"columns {names[0]!r} and {other!r} both look like {role}", fix="remove one of them")
        chosen[role] = names[0]
    return chosen


def refuse_several_markets(frame: pl.DataFrame) -> None:
    """A file of many symbols or timeframes is not one market's candles."""
    for role, word in (("symbol", "symbols"), ("timeframe", "timeframes")):
        for name in (name for name in frame.columns if role_of(name) == role):
            values = frame[name].drop_nulls().unique(maintain_order=True)
            if len(values) > 1:
                some = ", ".join(str(value) for value in values[:4])
                raise BadData(f"column {name!r} holds {len(values)} {word} ({some})", fix="write one file for each")


def _plain(name: str) -> str:
    name = _DUPLICATED.sub("", name.strip().lstrip("\ufeff"))
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _asset_volumes(names: Sequence[str], symbol: str) -> list[str]:
    """`Volume SOL` of SOLUSDT: the volume in the asset itself, never the one in money."""
    known = pair(symbol)
    base = known[0] if known else None
    found = []
    for name in names:
        match = _ASSET_VOLUME.fullmatch(_plain(name))
        asset = (match[1] or match[2]).upper() if match else ""
        if asset and asset == base:
            found.append(name)
    return found


def _lacking(what: str, frame: pl.DataFrame) -> BadData:
    shown = ", ".join(repr(name) for name in frame.columns[:14])
    hint = "" if what != "volume" else " (volume in the base asset)"
    return BadData(f"it has no column of {what}{hint}; its columns are {shown}", fix=f"name them {_HEADER}")
