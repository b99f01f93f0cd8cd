"""A candle file as a table, before anything is converted, and how a person counts its rows."""

from dataclasses import dataclass

import polars as pl

from ...state.errors import BadData

POSITIONS = ("open_time", "open", "high", "low", "close", "volume")
KLINE_COLUMNS = 12  # Binance: close time, quote volume, count, two taker volumes and one to ignore follow


@dataclass(frozen=True)
class Place:
    """Names a row as a person counts it: data rows from 1, or the lines of a text file."""

    word: str = "row"
    first: int = 1
    numbers: tuple[int, ...] = ()

    def __call__(self, index: int) -> str:
        return f"{self.word} {self.number(index)}"

    def number(self, index: int) -> int:
        return self.numbers[index] if self.numbers else self.first + index


@dataclass(frozen=True)
class Table:
    frame: pl.DataFrame
    place: Place


def positional(count: int) -> list[str]:
    """Names for rows without names: time, open, high, low, close, volume, and what Binance adds to them."""
    if count not in (len(POSITIONS), KLINE_COLUMNS):
        raise BadData(
            f"it has {count} columns without names",
            fix="name the columns (timestamp, open, high, low, close, volume), or give exactly those 6",
        )
    return [*POSITIONS, *(f"extra_{index}" for index in range(count - len(POSITIONS)))]
