"""What a tearsheet shows, before it is laid out: one sheet, with one or two stretches of time.

Notation: D daily marks of a stretch, N trades. Equity starts at 1 before the first mark of each stretch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...state.models.validation import Validation
from ..bars import Floats, Ints

TRAINING = "Training"
HOLD_OUT = "Hold-out"
LISTED = "Trade list"


@dataclass(frozen=True)
class Trade:
    """One closed trade. Times in ms UTC; side 1, -1 or 0 where unknown; prices NaN where unknown.

    `net_return`: change of equity over the equity at entry, a fraction.
    """

    entry_time: int
    exit_time: int
    side: int
    entry_price: float
    exit_price: float
    net_return: float
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Stretch:
    """A contiguous evaluated span: `day` int64 [D] days since 1970, `equity` float64 [D], start 1.

    `metrics`: the names of `engine/metrics.py`, None where undefined. `benchmark`: float64 [D], the market held at the
    constant share `weight` of equity, or None. `market`: the return of the market itself.
    """

    name: str
    day: Ints
    equity: Floats
    metrics: Mapping[str, float | None]
    trades: Sequence[Trade]
    benchmark: Floats | None = None
    weight: float = 0.0
    market: float = 0.0
    bar_ms: int = 0

    @property
    def first_day(self) -> int:
        return int(self.day[0])

    @property
    def last_day(self) -> int:
        return int(self.day[-1])

    def returns(self) -> Floats:
        """float64 [D] daily returns, the first from 1; 0 after ruin."""
        before = np.concatenate([[1.0], self.equity[:-1]])
        ratio = np.ones(len(self.equity))
        np.divide(self.equity, before, out=ratio, where=before > 0)
        return np.asarray(ratio - 1.0, dtype=np.float64)


@dataclass(frozen=True)
class Reproduction:
    """What is needed to compute the same page again. `rows` are label and text; `files` are name and content."""

    rows: Sequence[tuple[str, str]] = ()
    files: Sequence[tuple[str, str]] = ()
    command: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class Sheet:
    """Everything of one page.

    `candidate`: this is the one configuration that is judged (`best_robust`). `tried`: how many combos and trials it is
    the best of, as far as known. `benchmark_name`, `benchmark_note` say what the equity is compared with.
    """

    name: str
    eyebrow: str
    title: str
    summary: str
    stretches: Sequence[Stretch]
    reproduction: Reproduction
    candidate: bool = False
    listed: bool = False
    synthetic: bool = False
    validation: Validation | None = None
    tried: Mapping[str, int] = field(default_factory=dict)
    benchmark_name: str = ""
    benchmark_note: str = ""
    equity_note: str = ""
    capital: float = 1.0
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def main(self) -> Stretch:
        """The stretch the configuration was chosen on, or the whole list."""
        return self.stretches[0]

    @property
    def hold_out(self) -> Stretch | None:
        return self.stretches[1] if len(self.stretches) > 1 else None
