"""The best of a stream of combos, kept while it goes by."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .bars import Floats, Ints
from .kernels.cpu import Screened
from .strategies.api import Combos
from .strategies.mtf_ema import Space


@dataclass
class Ranking:
    """The best combos so far: their numbers int64, screened Sharpe float64 and `identities` of their parameters uint64,
    best first, ties by number. A combo that was drawn twice is kept once, under its first number."""

    keep: int
    numbers: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    sharpe: Floats = field(default_factory=lambda: np.empty(0, dtype=np.float64))
    identities: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    feasible: int = 0
    done: int = 0

    def add(self, first: int, combos: Combos, screened: Screened, feasible: NDArray[np.bool_]) -> None:
        """Fold in a batch of combos numbered from `first`."""
        chosen = np.flatnonzero(feasible)
        self.fold(first + chosen, combos[chosen], screened.sharpe[chosen], len(chosen), first + len(feasible))

    def fold(self, numbers: Ints, combos: Combos, sharpe: Floats, feasible: int, done: int) -> None:
        """Fold in combos with later numbers than before: all that may be among the best of the stretch that ends before
        number `done`, of which `feasible` may rank at all."""
        order = np.argsort(numbers)
        numbers = np.concatenate([self.numbers, numbers[order]])
        sharpe = np.concatenate([self.sharpe, sharpe[order]])
        identities = np.concatenate([self.identities, identity(combos[order])])
        once = np.unique(identities, return_index=True)[1]  # the index of the first, and earlier numbers stand first
        best = once[np.lexsort((numbers[once], -sharpe[once]))][: self.keep]
        self.numbers, self.sharpe, self.identities = numbers[best], sharpe[best], identities[best]
        self.feasible += feasible
        self.done = done


def identity(combos: Combos) -> NDArray[np.uint64]:
    """uint64 [K]: equal for equal rows of int32 [K, 8], and else different but for one chance in 2^64 a pair."""
    odd = np.random.default_rng(8).integers(1 << 63, size=(9, 1), dtype=np.uint64) * 2 + 1
    mixed = (combos.T.astype(np.uint64) + odd[8]) * odd[:8]
    mixed ^= mixed >> np.uint64(29)
    folded: NDArray[np.uint64] = np.bitwise_xor.reduce(mixed, axis=0)
    return folded


def distinct(combos: Combos) -> int:
    """How many different rows there are."""
    return len(np.unique(identity(combos)))


def feasible(screened: Screened, space: Space, min_trades: int) -> NDArray[np.bool_]:
    """bool [K]: enough trades, a defined Sharpe, a daily drawdown inside the mode's limit."""
    return (
        (screened.trades >= min_trades)
        & ~np.isnan(screened.sharpe)
        & (screened.max_drawdown_daily <= space.max_drawdown)
    )
