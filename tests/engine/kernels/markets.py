"""Markets and configurations small enough to be worked by hand, and the trades one writes down for them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from btswarm.engine.backtest import REASONS, Backtest
from btswarm.engine.bars import MINUTE_MS, Bars
from btswarm.engine.costs import Costs
from btswarm.engine.strategies.api import Direction, Params

from ..market import ms

Candle = float | tuple[float, float, float, float]
Simulate = Callable[..., Backtest]

FREE = Costs(fee=0.0, slippage=0.0)

# With a fast EMA of one bar and a slow one of two, the side is up exactly when the close is above the average before
# it. These closes turn it at bar 2, so that bar 3 opens a long, or a short; the averages after them are 100.44, 99.56.
TURN_UP: list[Candle] = [100, 99, 101]
TURN_DOWN: list[Candle] = [100, 101, 99]


class Trade(NamedTuple):
    """A trade as one writes it down; bars by index."""

    entry: int
    exit: int
    side: int
    entry_price: float
    exit_price: float
    net_return: float
    reason: str
    at_open: bool


def market(
    candles: Sequence[Candle], *, start: str = "2024-01-01", minutes: int = 5, slots: Iterable[int] | None = None
) -> Bars:
    """Candles as (open, high, low, close), or one price for a flat bar without volume.

    slots: which places of the grid from `start` on the bars stand in, all of the first ones by default.
    """
    rows = np.array([one if isinstance(one, tuple) else (one,) * 4 for one in candles], dtype=np.float64).reshape(-1, 4)
    places = np.arange(len(rows)) if slots is None else np.array(list(slots))
    time = ms(start) + places.astype(np.int64) * minutes * MINUTE_MS
    volume = np.array([0.0 if not isinstance(one, tuple) else 1.0 for one in candles])
    o, h, low, c = (np.ascontiguousarray(rows[:, column]) for column in range(4))
    return Bars("SOLUSDT", minutes * MINUTE_MS, time, o, h, low, c, volume)


def params(
    *, tf: int = 5, stop: float = 0.0, take: float = 0.0, trail: float = 0.0, direction: Direction = "both"
) -> Params:
    """The close against its own average of two bars of `tf` minutes, with these exits."""
    return Params(tf, 1, tf, 2, stop, take, trail, direction)


def trades_of(backtest: Backtest) -> list[Trade]:
    return [
        Trade(
            int(one["entry"]), int(one["exit"]), int(one["side"]), float(one["entry_price"]), float(one["exit_price"]),
            float(one["net_return"]), REASONS[one["reason"]], bool(one["at_open"]),
        )
        for one in backtest.trades
    ]  # fmt: skip


def about(expected: Any) -> Any:
    """Equal up to the last bits: what is written down in decimal has its own rounding."""
    return pytest.approx(expected, rel=1e-13, abs=1e-15)


def assert_trades(backtest: Backtest, *expected: Trade) -> None:
    found = trades_of(backtest)
    assert [(t.entry, t.exit, t.side, t.reason, t.at_open) for t in found] == [
        (t.entry, t.exit, t.side, t.reason, t.at_open) for t in expected
    ]
    for one, wanted in zip(found, expected, strict=True):
        assert one[3:6] == about(wanted[3:6])


def same_bits(one: Backtest, other: Backtest) -> bool:
    """Trades, daily equity and drawdown equal to the last bit."""
    return (
        one.trades.tobytes() == other.trades.tobytes()
        and one.day.tobytes() == other.day.tobytes()
        and one.equity.tobytes() == other.equity.tobytes()
        and np.float64(one.max_drawdown).tobytes() == np.float64(other.max_drawdown).tobytes()
        and one.bars == other.bars
    )
