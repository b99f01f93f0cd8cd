"""Multi-timeframe EMA crossing: a fast EMA on one timeframe against a slow EMA on another, with stop, take and trail.

Parameters: `Space`, one per mode, all of it data. Series: EMA(fast_period, fast_tf) crosses EMA(slow_period, slow_tf).
Exits: stop_loss, take_profit, trailing_stop as fractions of price.
"""

import hashlib
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...state.errors import BadConfig
from ..timeframes import misfits
from . import api
from .api import Combos, Direction

NAME = "mtf_ema"
MODES = ("conservative", "balanced", "aggressive")
BLOCK = 1 << 16  # combos are drawn in blocks of this many, each from its own seed: no volume changes the earlier ones

Range = tuple[int, int]

MOST = dict.fromkeys(("fast_period", "slow_period"), api.MAX_PERIOD) | dict.fromkeys(
    ("stop_loss", "take_profit", "trailing_stop"), api.TICKS - 1
)
"""The largest value of each range: what a space holds can be written down and read again as a configuration."""


class Space(BaseModel):
    """The parameter space of one mode. Ranges are inclusive; exits in units of 1e-4."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: str
    leverage: float = Field(gt=0, le=100)
    direction: Direction
    fast_tf: tuple[int, ...] = (15, 30, 45, 60)
    fast_period: Range = (5, 50)
    slow_tf: tuple[int, ...] = (60, 120, 240, 360)
    slow_period: Range = (20, 200)
    stop_loss: Range
    take_profit: Range
    trailing_stop: Range
    max_drawdown: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _has_points(self) -> "Space":
        for name, most in MOST.items():
            low, high = getattr(self, name)
            if not 1 <= low <= high <= most:
                raise ValueError(f"{name} must be a range between 1 and {most}, low first, not {low}-{high}")
        for name in ("fast_tf", "slow_tf"):
            chosen = getattr(self, name)
            if not chosen or min(chosen) < 1 or max(chosen) > api.MAX_TF_MINUTES or len(set(chosen)) < len(chosen):
                raise ValueError(
                    f"{name} must be timeframes from 1 to {api.MAX_TF_MINUTES} minutes, at least one, each once, "
                    f"not {list(chosen)}"
                )
        if min(self.fast_tf) * self.fast_period[0] >= max(self.slow_tf) * self.slow_period[1]:
            raise ValueError("no fast EMA of this space is faster than a slow one")
        return self

    @property
    def sha256(self) -> str:
        """Hash of everything that decides which points exist and how they are judged."""
        body = {"strategy": NAME, **self.model_dump(mode="json")}
        return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def refuse_misfits(self, base_minutes: int) -> None:
        """Raise BadConfig when a timeframe is no multiple of the bars' own."""
        off = misfits((*self.fast_tf, *self.slow_tf), base_minutes)
        if off:
            raise BadConfig(
                f"timeframe {', '.join(map(str, off))} of {self.mode} is no multiple of the data's "
                f"{base_minutes} minutes",
                fix=f"choose multiples of {base_minutes} in [space.{self.mode}], or finer candles",
            )

    def series(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The (timeframe, period) pairs of the fast bank and of the slow bank."""
        fast = [(tf, period) for tf in self.fast_tf for period in range(self.fast_period[0], self.fast_period[1] + 1)]
        slow = [(tf, period) for tf in self.slow_tf for period in range(self.slow_period[0], self.slow_period[1] + 1)]
        return fast, slow


DEFAULTS = {
    "conservative": Space(mode="conservative", leverage=1, direction="long", max_drawdown=0.30,
                          stop_loss=(100, 500), take_profit=(200, 1500), trailing_stop=(100, 500)),
    "balanced": Space(mode="balanced", leverage=2, direction="both", max_drawdown=0.45,
                      stop_loss=(100, 600), take_profit=(200, 2000), trailing_stop=(100, 600)),
    "aggressive": Space(mode="aggressive", leverage=3, direction="both", max_drawdown=0.60,
                        stop_loss=(100, 800), take_profit=(200, 2500), trailing_stop=(100, 800)),
}  # fmt: skip


def space_for(mode: str, override: dict[str, Any] | None = None) -> Space:
    """The default space of `mode` with the plan's overrides on top. Raises BadConfig."""
    if mode not in DEFAULTS:
        raise BadConfig(f"unknown mode {mode!r}", fix=f"choose one of {', '.join(MODES)}")
    if (override or {}).get("mode", mode) != mode:
        raise BadConfig(f"[space.{mode}] mode: it cannot be renamed", fix="leave mode out")
    try:
        return Space(**{**DEFAULTS[mode].model_dump(), **(override or {})})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "its ranges"
        raise BadConfig(f"[space.{mode}] {where}: {first['msg']}") from error


def draw(space: Space, seed: int, start: int, stop: int) -> Combos:
    """Random combos number start..stop-1 of the stream `seed`: int32 [stop - start, 8].

    Every parameter is uniform; the trailing stop is off in half of them; a combo whose fast EMA is not the faster one
    is drawn again. The stream depends on seed and space only, never on how it is cut up.
    """
    blocks = [_block(space, seed, number) for number in range(start // BLOCK, -(-stop // BLOCK))]
    if not blocks:
        return np.empty((0, len(api.COLUMNS)), dtype=np.int32)
    offset = start // BLOCK * BLOCK
    return np.concatenate(blocks)[start - offset : stop - offset]


def pick(space: Space, seed: int, numbers: NDArray[np.int64]) -> Combos:
    """The combos with these numbers in the stream `seed`: int32 [K, 8]."""
    picked = np.empty((len(numbers), len(api.COLUMNS)), dtype=np.int32)
    block_of = numbers // BLOCK
    for block in np.unique(block_of):
        here = block_of == block
        picked[here] = _block(space, seed, int(block))[numbers[here] % BLOCK]
    return picked


def _block(space: Space, seed: int, number: int) -> Combos:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number])))
    combos = _uniform(space, rng, BLOCK)
    while (bad := np.flatnonzero(~faster(combos))).size:
        combos[bad] = _uniform(space, rng, bad.size)
    return combos


def _uniform(space: Space, rng: np.random.Generator, count: int) -> Combos:
    combos = np.empty((count, len(api.COLUMNS)), dtype=np.int32)
    combos[:, api.FAST_TF] = rng.choice(np.array(space.fast_tf, dtype=np.int32), count)
    combos[:, api.SLOW_TF] = rng.choice(np.array(space.slow_tf, dtype=np.int32), count)
    ranges = {
        api.FAST_PERIOD: space.fast_period,
        api.SLOW_PERIOD: space.slow_period,
        api.STOP_LOSS: space.stop_loss,
        api.TAKE_PROFIT: space.take_profit,
        api.TRAILING_STOP: space.trailing_stop,
    }
    for column, (low, high) in ranges.items():
        combos[:, column] = rng.integers(low, high + 1, count, dtype=np.int32)
    combos[:, api.TRAILING_STOP] *= rng.integers(0, 2, count, dtype=np.int32)
    combos[:, api.DIRECTION] = api.DIRECTIONS[space.direction]
    return combos


def faster(combos: Combos) -> NDArray[np.bool_]:
    """bool [K]: the fast EMA looks back over less time than the slow one."""
    fast = combos[:, api.FAST_TF].astype(np.int64) * combos[:, api.FAST_PERIOD]
    slow = combos[:, api.SLOW_TF].astype(np.int64) * combos[:, api.SLOW_PERIOD]
    return fast < slow


NEIGHBOUR_COLUMNS = (api.FAST_PERIOD, api.SLOW_PERIOD, api.STOP_LOSS, api.TAKE_PROFIT, api.TRAILING_STOP)


def neighbours(space: Space, point: NDArray[np.int32], offsets: NDArray[np.float64]) -> Combos:
    """The combos around `point` at fixed `offsets` u in [-1, 1], float64 [M, 5]: int32 [M, 8].

    Timeframes and direction stay. A period p becomes clip(round(p + u max(1, 0.1 p))); an exit that is on, x, becomes
    x (1 + 0.1 u), clipped to the space and rounded to 1e-4.
    """
    around = np.repeat(point[None, :].astype(np.int32), len(offsets), axis=0)
    ranges = (space.fast_period, space.slow_period, space.stop_loss, space.take_profit, space.trailing_stop)
    for dimension, (column, (low, high)) in enumerate(zip(NEIGHBOUR_COLUMNS, ranges, strict=True)):
        x = float(point[column])
        is_period = column in (api.FAST_PERIOD, api.SLOW_PERIOD)
        if x == 0 and not is_period:
            continue
        reach = max(1.0, 0.1 * x) if is_period else 0.1 * x
        around[:, column] = np.clip(np.rint(x + offsets[:, dimension] * reach), low, high).astype(np.int32)
    return around
