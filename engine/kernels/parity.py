"""Does a screen decide as the exact simulator does? The figures that say so, and what is demanded of them.

Notation: K combos. A screen keeps no trades, so they are listed here by the same compiled parts that it is made of.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..backtest import END, SIGNAL, STOP, TAKE, Backtest
from ..bars import Bars, Floats
from ..costs import Costs
from ..metrics import max_drawdown, sharpe
from ..strategies.api import Combos, Params
from ..strategies.mtf_ema import draw
from . import cpu, exact
from .cpu import Screened
from .events import find_crosses
from .market import Market, lay_out
from .orders import ORDER, _fill, _find_exits, _place

DECISION = np.dtype([("entry", np.int64), ("exit", np.int64), ("side", np.int8), ("reason", np.int8)])
"""What a screen decides about a trade: bars by index, side 1 or -1, reason an index into backtest.REASONS."""

Decisions = NDArray[np.void]
Screen = Callable[..., Screened]
Listing = Callable[[Market, Combos, Costs, Screened], list[Decisions]]

TOP = 500
MARGIN_SHARE = 50  # one combo more than the top K is re-evaluated for every 50 of K: 10 for 500
MISSING_SHARE = 500  # one of 500 may fall outside
QUANTILES = (0.5, 0.9, 0.99, 0.995, 0.997, 1.0)


@dataclass(frozen=True)
class Demand:
    """A bound on one figure of `Parity`."""

    figure: str
    at_least: float = -math.inf
    at_most: float = math.inf


DEMANDS = (
    Demand("trade_counts_equal", at_least=0.999),
    Demand("trades_equal", at_least=0.99),
    Demand("sharpe_within_1e_3", at_least=0.997),
    Demand("sharpe_difference_995", at_most=2e-4),
    Demand("top_missed_too_many", at_most=0),
)


@dataclass(frozen=True)
class Parity:
    """How a screen of K combos compares with the exact simulator.

    Shares of combos: trade_counts_equal; trades_equal, where every entry bar, exit bar, side and reason is equal;
    sharpe_within_1e_3. sharpe_difference: quantiles of |screened - exact|, infinite where only one is defined. top: how
    many of the exact ranking were looked for in the screened one, which may be `margin` longer; top_kept: how many
    were there. missing_bars: places of the grid without a bar between the first and the last.
    """

    symbol: str
    mode: str
    first_ms: int
    last_ms: int
    bars: int
    missing_bars: int
    combos: int
    seed: int
    trades: int
    trade_counts_equal: float
    trades_equal: float
    sharpe_within_1e_3: float
    sharpe_difference: dict[str, float]
    largest_return_difference: float
    largest_drawdown_difference: float
    top: int
    margin: int
    top_kept: int

    @property
    def sharpe_difference_995(self) -> float:
        return self.sharpe_difference["0.995"]

    @property
    def top_missed_too_many(self) -> int:
        """Combos of the exact top that the screened top lacks, beyond the one in 500 that is allowed."""
        return max(0, self.top - self.top_kept - self.top // MISSING_SHARE)

    def failures(self) -> list[str]:
        """The demands that are not met, each as a line with its figure."""
        lines = []
        for demand in DEMANDS:
            value = float(getattr(self, demand.figure))
            if not demand.at_least <= value <= demand.at_most:
                bound = f"at least {demand.at_least}" if demand.at_least > -math.inf else f"at most {demand.at_most}"
                lines.append(f"{self.symbol} {self.mode}: {demand.figure} is {value:.6g}, demanded {bound}")
        return lines


def decisions(market: Market, combos: Combos, costs: Costs, screened: Screened) -> list[Decisions]:
    """What the CPU screen decided about each combo: DECISION arrays, as long as its counts of trades.

    A combo that is ruined at a daily mark ends with the trade it was ruined in, told with the exit it would have had.
    """
    rows = cpu._rows(market, combos)
    grids, fast_banks, slow_banks, pyramid, _ = cpu._arrays(market)
    out = np.empty(max(len(grid.at) for grid in market.grids) + 1, dtype=DECISION)
    found = []
    for combo, row, count in zip(combos, rows, screened.trades, strict=True):
        grid, fast, slow = grids[row[0]], fast_banks[row[0]][row[3]], slow_banks[row[1]][row[2]]
        listed = _list(grid, fast, slow, row, pyramid, combo, costs.slippage, out)
        assert count <= listed
        found.append(out[:count].copy())
    return found


@njit(cache=True, nogil=True)
def _list(
    grid: Any, fast64: Any, slow64: Any, row: Any, pyramid: Any, combo: Any, slippage: float, out: Any
) -> int:  # fmt: skip
    """Write the decisions of one combo into `out`; returns how many."""
    at, fast, low, high, fast_window, slow_window = grid
    slow = np.empty(fast.shape[1], dtype=np.float32)
    slow_low, slow_high = np.empty_like(low[0]), np.empty_like(low[0])
    lay_out(slow64, slow_window[row[1]], slow, slow_low, slow_high)
    bar, side = np.empty(len(at) + 1, dtype=np.int32), np.empty(len(at) + 1, dtype=np.int8)
    count = find_crosses(
        fast[row[3]], low[row[3]], high[row[3]], slow, slow_low, slow_high, at,
        fast64, fast_window, slow64, slow_window[row[1]], bar, side,
    )  # fmt: skip
    orders = np.empty(len(at) + 1, dtype=ORDER)
    bars = pyramid[3]
    placed = _place(bar[:count], side[:count], combo[7], bars, orders)
    _find_exits(pyramid, combo, slippage, orders[:placed])
    for k in range(placed):
        order = orders[k]
        out[k].entry, out[k].exit, out[k].side = order.entry, min(order.exit, bars - 1), order.side
        if order.exit == order.end:
            out[k].reason = SIGNAL if order.end < bars else END
        else:  # a stop in force lies below the take, and so does every fill of it
            taken = order.side * _fill(pyramid[0], order, bars, 0.0, slippage)[0] >= order.take
            out[k].reason = TAKE if taken else STOP
    return placed


def parity(
    market: Market,
    combos: int,
    seed: int,
    *,
    costs: Costs | None = None,
    threads: int = 1,
    top: int = TOP,
    min_trades: int = 30,
    screen: Screen = cpu.screen,
    listing: Listing = decisions,
) -> Parity:
    """Compare `screen`, whose trades `listing` tells, with the exact simulator on random combos of the market's space.

    The figures of the top are taken among combos that are feasible (trades, daily drawdown) for each of the two.
    """
    costs = costs or Costs()
    space, bars = market.space, market.bars
    drawn = draw(space, seed, 0, combos)
    screened = screen(market, drawn, costs, space.leverage, threads=threads)
    listed = listing(market, drawn, costs, screened)
    exactly = [exact.simulate(bars, Params.from_row(row), costs, space.leverage) for row in drawn]
    truth = _as_screened(exactly)
    difference = _differences(screened.sharpe, truth.sharpe)
    equal = [same_decisions(one, two) for one, two in zip(listed, exactly, strict=True)]
    wanted = _ranking(truth, space.max_drawdown, min_trades)[: min(top, max(1, combos // 10))]
    margin = -(-len(wanted) // MARGIN_SHARE)
    found = _ranking(screened, space.max_drawdown, min_trades)[: len(wanted) + margin]
    return Parity(
        symbol=bars.symbol,
        mode=space.mode,
        first_ms=int(bars.time[0]),
        last_ms=int(bars.time[-1]),
        bars=len(bars),
        missing_bars=int((bars.time[-1] - bars.time[0]) // bars.base_ms) + 1 - len(bars),
        combos=combos,
        seed=seed,
        trades=int(truth.trades.sum()),
        trade_counts_equal=float(np.mean(screened.trades == truth.trades)),
        trades_equal=float(np.mean(equal)),
        sharpe_within_1e_3=float(np.mean(difference <= 1e-3)),
        sharpe_difference={str(q): float(np.quantile(difference, q, method="higher")) for q in QUANTILES},
        largest_return_difference=float(np.max(np.abs(screened.total_return - truth.total_return))),
        largest_drawdown_difference=float(np.max(np.abs(screened.max_drawdown_daily - truth.max_drawdown_daily))),
        top=len(wanted),
        margin=margin,
        top_kept=len(np.intersect1d(wanted, found)),
    )


def around_widest_gap(bars: Bars, days: float) -> Bars | None:
    """Bars of about `days` days with the widest gap in the middle; None when no bar is missing."""
    steps = np.diff(bars.time)
    widest = int(np.argmax(steps)) if len(steps) else 0
    if not len(steps) or steps[widest] == bars.base_ms:
        return None
    half = round(days * 86_400_000 / 2)
    first, last = np.searchsorted(bars.time, [bars.time[widest] - half, bars.time[widest + 1] + half])
    return bars.slice(int(first), int(last))


def same_decisions(listed: Decisions, backtest: Backtest) -> bool:
    """Every entry bar, exit bar, side and reason is equal."""
    trades = backtest.trades
    return len(listed) == len(trades) and all(np.array_equal(listed[n], trades[n]) for n in DECISION.names or ())


def _as_screened(backtests: list[Backtest]) -> Screened:
    return Screened(
        sharpe=np.array([sharpe(one.daily_returns()) for one in backtests]),
        total_return=np.array([one.equity[-1] - 1.0 for one in backtests]),
        max_drawdown_daily=np.array([max_drawdown(one.equity) for one in backtests]),
        trades=np.array([len(one.trades) for one in backtests], dtype=np.int32),
    )


def _differences(one: Floats, other: Floats) -> Floats:
    """|one - other|; 0 where both are undefined, infinite where only one is."""
    undefined = np.isnan(one), np.isnan(other)
    difference: Floats = np.where(undefined[0] & undefined[1], 0.0, np.abs(one - other))
    difference[undefined[0] != undefined[1]] = np.inf
    return difference


def _ranking(screened: Screened, limit: float, min_trades: int) -> NDArray[np.int64]:
    """Numbers of the feasible combos, best Sharpe first, ties by number."""
    feasible = (screened.trades >= min_trades) & ~np.isnan(screened.sharpe) & (screened.max_drawdown_daily <= limit)
    numbers = np.flatnonzero(feasible)
    return numbers[np.lexsort((numbers, -screened.sharpe[numbers]))]
