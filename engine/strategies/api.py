"""What a strategy is to the engine: a parameter space, and for each combo the two series that cross and the exits.

Notation: K combos. A combo is a row of int32: the columns are `COLUMNS`. Stops are in units of 1e-4 (`TICK`), so that a
row is exact and `value / 10000` is the same float64 as the decimal a person writes.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ...state.errors import BadConfig
from ..costs import Costs

Combos = NDArray[np.int32]

COLUMNS = (
    "fast_tf",
    "fast_period",
    "slow_tf",
    "slow_period",
    "stop_loss",
    "take_profit",
    "trailing_stop",
    "direction",
)
FAST_TF, FAST_PERIOD, SLOW_TF, SLOW_PERIOD, STOP_LOSS, TAKE_PROFIT, TRAILING_STOP, DIRECTION = range(len(COLUMNS))
TICKS = 10_000
DIRECTIONS = {"both": 0, "long": 1, "short": -1}
DIRECTION_NAMES = {code: name for name, code in DIRECTIONS.items()}
Direction = Literal["both", "long", "short"]

MAX_TF_MINUTES = 7 * 24 * 60
MAX_PERIOD = 10_000


@dataclass(frozen=True)
class Params:
    """One configuration as a person writes it: timeframes in minutes, periods in windows, exits as fractions."""

    fast_tf: int
    fast_period: int
    slow_tf: int
    slow_period: int
    stop_loss: float
    take_profit: float
    trailing_stop: float
    direction: Direction

    @classmethod
    def parse(cls, raw: Any) -> "Params":
        """Check a mapping read from a file. Raises BadConfig naming the field."""
        names = [field.name for field in fields(cls)]
        if not isinstance(raw, dict):
            raise BadConfig(f"a configuration must be an object with {', '.join(names)}, not {type(raw).__name__}")
        missing = [name for name in names if name not in raw]
        unknown = [name for name in raw if name not in names]
        if missing or unknown:
            words = [
                f"{kind} {', '.join(map(str, some))}"
                for kind, some in (("lacks", missing), ("has unknown", unknown))
                if some
            ]
            raise BadConfig(f"a configuration {' and '.join(words)}", fix=f"give exactly {', '.join(names)}")
        checked: dict[str, Any] = {name: _whole(name, raw[name]) for name in names[:4]}
        checked |= {name: _exit(name, raw[name]) for name in names[4:7]}
        if raw["direction"] not in tuple(DIRECTIONS):  # a tuple: what a file holds need not be hashable
            raise BadConfig(f"direction must be both, long or short, not {raw['direction']!r}")
        return cls(**checked, direction=raw["direction"])

    @classmethod
    def from_row(cls, row: NDArray[np.int32]) -> "Params":
        """The configuration a combo row stands for."""
        whole = [int(value) for value in row]
        exits = [value / TICKS for value in whole[STOP_LOSS:DIRECTION]]
        direction = cast(Direction, DIRECTION_NAMES[whole[DIRECTION]])
        return cls(whole[0], whole[1], whole[2], whole[3], exits[0], exits[1], exits[2], direction)

    def to_row(self) -> NDArray[np.int32]:
        """int32 [8], see COLUMNS."""
        exits = [round(value * TICKS) for value in (self.stop_loss, self.take_profit, self.trailing_stop)]
        head = [self.fast_tf, self.fast_period, self.slow_tf, self.slow_period]
        return np.array([*head, *exits, DIRECTIONS[self.direction]], dtype=np.int32)

    def as_dict(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def combos_of(params: list[Params]) -> Combos:
    """int32 [K, 8]."""
    return np.array([one.to_row() for one in params], dtype=np.int32).reshape(len(params), len(COLUMNS))


def refuse_impossible(combos: Combos, costs: Costs, base_minutes: int) -> None:
    """Raise BadConfig when a timeframe is no multiple of the base, or a stop is inside twice the slippage."""
    for column in (FAST_TF, SLOW_TF):
        off = combos[:, column] % base_minutes != 0
        if off.any():
            value = int(combos[off, column][0])
            raise BadConfig(
                f"{COLUMNS[column]} {value} is no multiple of the data's {base_minutes} minutes",
                fix=f"choose a multiple of {base_minutes}",
            )
    for column in (STOP_LOSS, TRAILING_STOP):
        near = (combos[:, column] != 0) & (combos[:, column] / TICKS <= 2 * costs.slippage)
        if near.any():
            value = combos[near, column][0] / TICKS
            raise BadConfig(
                f"{COLUMNS[column]} {value} is not more than twice the slippage {costs.slippage}",
                fix="use 0 to switch it off, or a wider stop",
            )


def _whole(name: str, value: Any) -> int:
    limit = MAX_TF_MINUTES if name.endswith("_tf") else MAX_PERIOD
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= limit or value != int(value):
        raise BadConfig(f"{name} must be a whole number from 1 to {limit}, not {value!r}")
    return int(value)


def _exit(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise BadConfig(f"{name} must be a fraction in [0, 1), not {value!r}", fix="2 % is written 0.02, 0 is off")
    if abs(value * TICKS - round(value * TICKS)) > 1e-6:
        raise BadConfig(f"{name} must be a multiple of 0.0001, not {value!r}")
    return round(value * TICKS) / TICKS
