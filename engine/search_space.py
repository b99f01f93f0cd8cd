"""The strategy's parameter space as Optuna sees it, and the sampler that proposes only points that exist.

Periods and exits are continuous to the sampler and rounded to whole numbers before anybody sees them: TPE's discrete
kernels cost three times as much per trial and are the same to a rounding. The trailing stop has a switch of its own, so
that off is as likely as on, and its width stays one parameter whether it counts or not.
"""

import time
from functools import cached_property
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from .strategies import api, mtf_ema
from .strategies.mtf_ema import Space
from .study import MAX_RETRIES, RETRIES

TRAILING = "trailing"
NUMBERS = ("fast_period", "slow_period", "stop_loss", "take_profit", "trailing_stop")
STARTUP = 10  # told trials before TPE proposes anything; seeds count
TRIES = 16  # proposals whose fast EMA is not the faster one are drawn again, so often
POOL = 1024  # random points to begin with, or where TPE proposes none that exist
ROUNDED = 0.49  # so that the ends of a range are as likely as its middle, and rounding never leaves it

Point = dict[str, Any]
Row = NDArray[np.int32]


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The parameters of a point, exits in units of 1e-4."""
    found: dict[str, BaseDistribution] = {
        "fast_tf": CategoricalDistribution(space.fast_tf),
        "slow_tf": CategoricalDistribution(space.slow_tf),
        TRAILING: CategoricalDistribution((False, True)),
    }
    for name in NUMBERS:
        low, high = getattr(space, name)
        found[name] = FloatDistribution(low - ROUNDED, high + ROUNDED)
    return found


def row_of(space: Space, point: Point) -> Row:
    """int32 [8]: the combo a point stands for."""
    row = np.array([round(point.get(name, 0)) for name in api.COLUMNS], dtype=np.int32)
    row[api.TRAILING_STOP] *= point[TRAILING]
    row[api.DIRECTION] = api.DIRECTIONS[space.direction]
    return row


def point_of(space: Space, row: Row) -> Point:
    """The point that stands for a combo of this space. A trailing stop that is off gets the middle of its range."""
    point: Point = {name: int(row[api.COLUMNS.index(name)]) for name in ("fast_tf", "slow_tf")}
    point |= {name: float(row[api.COLUMNS.index(name)]) for name in NUMBERS}
    point[TRAILING] = bool(row[api.TRAILING_STOP])
    if not point[TRAILING]:
        point["trailing_stop"] = float(sum(space.trailing_stop) // 2)
    return point


def corners(space: Space) -> api.Combos:
    """int32 [K, 8]: every timeframe with the narrowest exits; if these are possible, all combos of the space are."""
    lows = [getattr(space, name)[0] for name in NUMBERS]
    tfs = [(fast, slow) for fast in space.fast_tf for slow in space.slow_tf]
    return np.array([[fast, lows[0], slow, *lows[1:], 0] for fast, slow in tfs], dtype=np.int32)


def is_inside(space: Space, row: Row) -> bool:
    """Whether a combo lies in this space."""
    ranges = all(
        low <= row[api.COLUMNS.index(name)] <= high or (name == "trailing_stop" and row[api.TRAILING_STOP] == 0)
        for name in NUMBERS
        for low, high in (getattr(space, name),)
    )
    chosen = row[api.FAST_TF] in space.fast_tf and row[api.SLOW_TF] in space.slow_tf
    return bool(ranges and chosen and row[api.DIRECTION] == api.DIRECTIONS[space.direction] and is_legal(row))


def is_legal(row: Row) -> bool:
    """Whether the fast EMA is the faster one."""
    return bool(mtf_ema.faster(row[None, :])[0])


class SpaceSampler(TPESampler):
    """Multivariate TPE over one space, with random points of the strategy's own generator until it can begin.

    Points in flight elsewhere count as bad (constant liar), so that workers spread out. A proposal depends on the seed
    and on what was told, not on how often the work was interrupted. `seconds`: spent proposing.
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=STARTUP)
        self._space = space
        self._seed = seed
        self._known = distributions(space)
        self.seconds = 0.0

    def reseed_rng(self) -> None:
        """Nothing: every worker is given a seed of its own."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {name: known for name, known in self._known.items() if not known.single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Point:
        began = time.perf_counter()
        try:
            return self._proposed(study, trial, search_space)
        finally:
            self.seconds += time.perf_counter() - began

    def _proposed(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> Point:
        turn = _turn(study)
        self._rng.rng.seed([self._seed, turn])
        for _ in range(TRIES):
            point = super().sample_relative(study, trial, search_space)
            if not point:
                break
            whole = {name: float(round(value)) if name in NUMBERS else value for name, value in point.items()}
            if is_legal(row_of(self._space, {**self._settled, **whole})):
                return whole
        random = point_of(self._space, self._pool[turn % POOL])
        return {name: random[name] for name in search_space}

    @cached_property
    def _pool(self) -> api.Combos:
        return mtf_ema.draw(self._space, self._seed, 0, POOL)

    @cached_property
    def _settled(self) -> Point:
        """The categories that have one choice only: Optuna does not sample them."""
        chosen = {name: known for name, known in self._known.items() if isinstance(known, CategoricalDistribution)}
        return {name: known.choices[0] for name, known in chosen.items() if known.single()}


def _turn(study: optuna.Study) -> int:
    """Trials that are over for good: told, or given up. One that is queued again is not over."""
    over = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
    return sum(one.state is TrialState.COMPLETE or one.user_attrs.get(RETRIES, 0) >= MAX_RETRIES for one in over)
