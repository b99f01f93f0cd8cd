"""One trial is a batch: a point, its neighbourhood, and the folds of its own run.

Notation: x the point; N(x) = x and its M = 64 neighbours. Score = median Sharpe over N(x), 65 values, so a middle one.
The neighbours come from the screen, x and everything reported of it from the exact simulator.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from .backtest import Backtest
from .bars import Bars, Floats
from .costs import Costs
from .kernels import cpu, exact
from .kernels.market import Market
from .metrics import metrics, sharpe
from .strategies import mtf_ema
from .strategies.api import Params
from .strategies.mtf_ema import Space

NEIGHBOURS = 64
FOLDS = 5


@dataclass(frozen=True)
class Evaluation:
    """`score` is NaN when most of the neighbourhood is worthless; so is a fold without a Sharpe."""

    score: float
    metrics: dict[str, float]
    folds: list[float]


@dataclass(frozen=True, eq=False)
class Evaluator:
    """Everything a trial needs but its point. The arrays are the training bars and nothing else."""

    bars: Bars
    space: Space
    costs: Costs
    min_trades: int
    market: Market
    threads: int = 1

    @classmethod
    def prepare(cls, bars: Bars, space: Space, costs: Costs, min_trades: int, threads: int = 1) -> "Evaluator":
        """Build the series once. Raises BadConfig when the space does not fit the bars."""
        return cls(bars, space, costs, min_trades, cpu.prepare(bars, space), threads)

    def evaluate(self, row: NDArray[np.int32]) -> Evaluation:
        """Evaluate the point `row`, int32 [8]."""
        backtest = self.simulate(row)
        found = metrics(backtest)
        around = mtf_ema.neighbours(self.space, row, offsets())
        screened = cpu.screen(self.market, around, self.costs, self.space.leverage, threads=self.threads)
        usable = mtf_ema.faster(around) & (screened.trades >= self.min_trades)
        sharpes = np.append(np.where(usable, screened.sharpe, np.nan), self._own(found))
        return Evaluation(median(sharpes), found, fold_sharpes(backtest.daily_returns()))

    def simulate(self, row: NDArray[np.int32]) -> Backtest:
        """The point's own run, exactly."""
        return exact.simulate(self.bars, Params.from_row(row), self.costs, self.space.leverage)

    def violations(self, found: dict[str, float]) -> dict[str, float]:
        """How far a point is outside each constraint, relative to its limit; feasible when none is above 0."""
        limit = self.space.max_drawdown
        return {
            "trades": (self.min_trades - found["total_trades"]) / self.min_trades,
            "drawdown": (found["max_drawdown_daily"] - limit) / limit,
        }

    def _own(self, found: dict[str, float]) -> float:
        return found["sharpe"] if found["total_trades"] >= self.min_trades else math.nan


@cache
def offsets() -> Floats:
    """float64 [64, 5] in (-1, 1): the first points of the Sobol sequence, each in the middle of its cell.

    Not scrambled: so they are the same with every version of scipy, and as many lie above x as below.
    """
    cell = 1.0 / NEIGHBOURS
    points: Floats = qmc.Sobol(len(mtf_ema.NEIGHBOUR_COLUMNS), scramble=False).random(NEIGHBOURS)
    return 2.0 * (points + cell / 2) - 1.0


def median(sharpes: Floats) -> float:
    """The median with NaN as the worst value; NaN when that is the middle one. `sharpes` has an odd length."""
    ranked = np.sort(np.where(np.isnan(sharpes), -np.inf, sharpes))
    middle = float(ranked[len(ranked) // 2])
    return middle if math.isfinite(middle) else math.nan


def fold_sharpes(r: Floats) -> list[float]:
    """Sharpe of FOLDS contiguous slices of daily returns, the first ones a day longer if need be; not scored."""
    return [sharpe(part) for part in np.array_split(r, FOLDS)]
