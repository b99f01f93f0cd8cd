"""What one simulated configuration did: its trades and its daily equity.

Notation: N trades in order of exit, D UTC days that have bars. Equity starts at 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bars import Bars, Floats, Ints

REASONS = ("signal", "stop", "take", "end", "ruin")
SIGNAL, STOP, TAKE, END, RUIN = range(len(REASONS))

TRADE = np.dtype(
    [
        ("entry", np.int64),
        ("exit", np.int64),
        ("side", np.int8),
        ("entry_price", np.float64),
        ("exit_price", np.float64),
        ("net_return", np.float64),
        ("fees", np.float64),
        ("reason", np.int8),
        ("at_open", np.bool_),
    ]
)
"""entry, exit: bar indexes. side: 1 or -1. net_return: change of equity over the equity at entry. fees: in units of the
initial equity. reason: index into REASONS. at_open: the exit was at the bar's open, so that bar was not held."""


@dataclass(frozen=True, eq=False)
class Backtest:
    """`day` int64 [D] days since 1970, `equity` float64 [D] marks at each day's last close, `bars` how many count.

    `max_drawdown`: the largest fall of equity at bar closes from its running peak, as a positive fraction.
    """

    trades: NDArray[np.void]
    day: Ints
    equity: Floats
    max_drawdown: float
    bars: int

    def daily_returns(self) -> Floats:
        """float64 [D]: the first from equity 1; 0 on days after ruin."""
        before = np.concatenate([[1.0], self.equity])[:-1]
        returns = np.zeros(len(self.equity))
        np.divide(self.equity, before, out=returns, where=before > 0)
        returns[before > 0] -= 1.0
        return returns

    def held_bars(self) -> Ints:
        """int64 [N]: bars each trade was held."""
        held: Ints = self.trades["exit"] - self.trades["entry"] + ~self.trades["at_open"]
        return held


def trades_as_rows(trades: NDArray[np.void], bars: Bars) -> list[dict[str, object]]:
    """Trades for JSON and CSV; times are the opens of the bars, ms UTC."""
    return [
        {
            "entry_time": int(bars.time[one["entry"]]),
            "exit_time": int(bars.time[one["exit"]]),
            "side": int(one["side"]),
            "entry_price": float(one["entry_price"]),
            "exit_price": float(one["exit_price"]),
            "net_return": float(one["net_return"]),
            "reason": REASONS[one["reason"]],
        }
        for one in trades
    ]
