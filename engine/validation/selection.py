"""The fixed selection that is run alike on the real market and on every market that holds nothing.

The same P pairs of averages, each with the same E sets of exits, drawn from the space by a fixed seed; of the best 20
each moves four times to the best of 64 points around it. Only the screen is used. What comes out is one number: the
largest net Sharpe ratio of training among combos with enough trades, -inf if there is none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bars import Bars, Floats
from ..costs import Costs
from ..kernels import cpu
from ..kernels.market import Market
from ..kernels.pairs import cross_product, screen_pairs
from ..neighbourhood import offsets
from ..strategies import mtf_ema
from ..strategies.api import Combos, refuse_impossible
from ..strategies.mtf_ema import Space

SEED_PAIRS, SEED_EXITS = 1729, 4104  # fixed for good: whoever could choose them could choose a p-value


@dataclass(frozen=True)
class Effort:
    """How much is tried on each market: pairs x exits combos, then `rounds` moves of the best `starts`."""

    pairs: int = 2000
    exits: int = 10
    starts: int = 20
    rounds: int = 4

    @property
    def combos(self) -> int:
        return self.pairs * self.exits


@dataclass(frozen=True, eq=False)
class Selection:
    """`combos` int32 [P * E, 8], the sets of exits of one pair together."""

    effort: Effort
    combos: Combos
    space: Space
    costs: Costs
    min_trades: int

    @classmethod
    def fixed(cls, space: Space, costs: Costs, min_trades: int, effort: Effort | None = None) -> "Selection":
        """The combos of this space. Raises BadConfig when none of them can be traded at these costs."""
        effort = effort or Effort()
        pairs = mtf_ema.draw(space, SEED_PAIRS, 0, effort.pairs)
        exits = mtf_ema.draw(space, SEED_EXITS, 0, effort.exits)
        return cls(effort, cross_product(pairs, exits), space, costs, min_trades)

    def refuse_misfits(self, bars: Bars) -> None:
        """Raise BadConfig where the combos do not fit these bars and costs."""
        refuse_impossible(self.combos, self.costs, bars.base_minutes)

    def best(self, market: Market) -> float:
        """The statistic."""
        plane = screen_pairs(market, self.combos, self.effort.exits, self.costs, self.space.leverage)
        values = self._usable(plane.sharpe.ravel(), plane.trades.ravel())
        first = np.argsort(-values, kind="stable")[: self.effort.starts]
        first = first[np.isfinite(values[first])]
        if len(first) == 0:
            return -np.inf
        points, own = self.combos[first], values[first]
        for _ in range(self.effort.rounds):
            points, own = self._moved(market, points, own)
        return float(own.max())

    def _moved(self, market: Market, points: Combos, own: Floats) -> tuple[Combos, Floats]:
        """Each point int32 [N, 8] at the best of its neighbourhood, itself included, and the values there."""
        around = np.stack([mtf_ema.neighbours(self.space, point, offsets()) for point in points])
        flat = around.reshape(-1, around.shape[2])
        found = cpu.screen(market, flat, self.costs, self.space.leverage)
        values = np.where(mtf_ema.faster(flat), self._usable(found.sharpe, found.trades), -np.inf)
        values = values.reshape(len(points), -1)
        place = values.argmax(axis=1)
        rows = np.arange(len(points))
        better = values[rows, place] > own
        moved: Combos = np.where(better[:, None], around[rows, place], points)
        return moved, np.where(better, values[rows, place], own)

    def _usable(self, sharpe: Floats, trades: NDArray[np.int32]) -> Floats:
        """The Sharpe ratios, -inf where undefined or with too few trades."""
        usable: Floats = np.where((trades >= self.min_trades) & ~np.isnan(sharpe), sharpe, -np.inf)
        return usable
