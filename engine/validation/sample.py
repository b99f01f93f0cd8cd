"""The combos of the round, screened once more, with what each did in every slice of the training days.

Notation: K usable combos, D training days. One screen yields the sums over the common refinement of the 16 blocks and
the 9 walk-forward slices; both are merged from it.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..bars import Bars, Floats, Ints
from ..costs import Costs
from ..kernels import cpu, exact
from ..strategies import mtf_ema
from ..strategies.api import Combos, Params
from .block_statistics import BLOCKS, edges, merged, sharpe_from_sums
from .walk_forward import fold_edges

MOST = 20_000
FOR_COMPONENTS = 2_000


@dataclass(frozen=True, eq=False)
class Sample:
    """`combos` int32 [K, 8] with enough trades, of `drawn`; per segment sums float64 [K, S, 4], trades int32 [K, S].

    `day` int64 [D]: the training days since 1970.
    """

    seed: int
    drawn: int
    day: Ints
    combos: Combos
    segments: Ints
    sums: Floats
    trades: NDArray[np.int32]

    @property
    def days(self) -> int:
        return int(self.segments[-1])

    @cached_property
    def blocks(self) -> tuple[Floats, NDArray[np.int32], Ints]:
        """Sums and trades in the 16 blocks, and the days of each."""
        bounds = edges(self.days, BLOCKS)
        return *self._merged(bounds), np.diff(bounds)

    @cached_property
    def slices(self) -> tuple[Floats, NDArray[np.int32], Ints]:
        """Sums and trades in the 9 walk-forward slices, and their boundaries."""
        bounds = fold_edges(self.days)
        return *self._merged(bounds), bounds

    @cached_property
    def sharpes(self) -> Floats:
        """float64 [<= K]: the defined Sharpe ratios over all training days, per observation."""
        total = self.sums.sum(axis=1)
        found = sharpe_from_sums(total[:, 0], total[:, 1], self.days)
        return found[np.isfinite(found)]

    def _merged(self, bounds: Ints) -> tuple[Floats, NDArray[np.int32]]:
        return merged(self.sums, self.segments, bounds), merged(self.trades, self.segments, bounds)  # type: ignore[return-value]


def draw_sample(
    bars: Bars,
    space: mtf_ema.Space,
    costs: Costs,
    seed: int,
    count: int,
    min_trades: int,
    threads: int = 1,
    on_batch: Callable[[int], None] | None = None,
) -> Sample:
    """Screen the first `count` combos of the stream `seed` over the training bars; at least 16 days of them."""
    market = cpu.prepare(bars, space)
    segments = np.union1d(edges(market.days, BLOCKS), fold_edges(market.days))
    combos = mtf_ema.draw(space, seed, 0, count)
    screened = cpu.screen(market, combos, costs, space.leverage, threads=threads, segments=segments, on_batch=on_batch)
    assert screened.sums is not None
    assert screened.segment_trades is not None
    usable = screened.trades >= min_trades
    return Sample(
        seed,
        count,
        np.unique(bars.day),
        combos[usable],
        segments,
        screened.sums[usable],
        screened.segment_trades[usable],
    )


def daily_returns(
    bars: Bars,
    sample: Sample,
    costs: Costs,
    leverage: float,
    threads: int = 1,
    on_combo: Callable[[int], None] = lambda done: None,
) -> Floats:
    """float64 [D, <= 2000]: exact daily returns of the first usable combos."""

    def one(row: NDArray[np.int32]) -> Floats:
        return exact.simulate(bars, Params.from_row(row), costs, leverage).daily_returns()

    columns = []
    with ThreadPoolExecutor(max_workers=threads) as pool:
        try:
            for number, column in enumerate(pool.map(one, sample.combos[:FOR_COMPONENTS]), start=1):
                columns.append(column)
                on_combo(number)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return np.stack(columns, axis=1) if columns else np.empty((sample.days, 0))
