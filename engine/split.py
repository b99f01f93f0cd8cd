"""Where the training days end and the sealed hold-out begins.

Notation: a day is a UTC day as days since 1970-01-01; `Days(first, stop)` is first..stop-1. Only whole days count: a
partial first or last day of the data belongs to neither side. A split holds days, never bars: what is handed on is a
copy that ends before the embargo, so no code downstream can reach the hold-out by accident.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ..state.errors import BadConfig, BadData
from .bars import DAY_MS, Bars

HOLDOUT_DAYS = 180
TRAIN_DAYS = 730
EMBARGO_DAYS = 7
HOLDOUT_SHARE = 5  # with less data the hold-out is a fifth of the whole days
MIN_HOLDOUT_DAYS = 60
MIN_TRAIN_DAYS = 180
NEEDED_DAYS = MIN_HOLDOUT_DAYS * HOLDOUT_SHARE

assert NEEDED_DAYS - MIN_HOLDOUT_DAYS - EMBARGO_DAYS >= MIN_TRAIN_DAYS


@dataclass(frozen=True)
class Days:
    """UTC days first..stop-1."""

    first: int
    stop: int

    def __len__(self) -> int:
        return max(0, self.stop - self.first)

    @property
    def from_ms(self) -> int:
        return self.first * DAY_MS

    @property
    def to_ms(self) -> int:
        """Bars of these days open before this."""
        return self.stop * DAY_MS

    @property
    def first_iso(self) -> str:
        return iso_day(self.first)

    @property
    def last_iso(self) -> str:
        """The last day itself, not the one after it."""
        return iso_day(self.stop - 1)


@dataclass(frozen=True)
class Split:
    """Training, then the embargo, then the hold-out. `reason` says why the data do not suffice for a verdict."""

    whole_days: int
    train: Days
    holdout: Days
    sufficient: bool
    reason: str = ""
    needed_days: int = NEEDED_DAYS

    @property
    def embargo(self) -> Days:
        return Days(self.train.stop, self.holdout.first)

    @property
    def train_from(self) -> int:
        """Open of the first training bar at the earliest, ms UTC: `train_from` of a job."""
        return self.train.from_ms

    @property
    def train_to(self) -> int:
        """Training bars open before this, ms UTC: `train_to` of a job."""
        return self.train.to_ms

    def training(self, bars: Bars) -> Bars:
        """The training bars as a copy: nothing from the embargo on can be reached through it."""
        return _cut(bars, self.train)

    def holdout_range(self, bars: Bars) -> tuple[int, int]:
        """Indexes (first, stop) of the hold-out's bars. Only `validation.holdout` may evaluate anything on them."""
        return _range(bars, self.holdout)


def split(bars: Bars, holdout_days: int = HOLDOUT_DAYS, train_days: int = TRAIN_DAYS) -> Split:
    """Cut the last `holdout_days` whole days off, 7 days of embargo before them, `train_days` of training before those.

    With less data the hold-out is a fifth of the whole days and training what is left. Raises BadConfig for a volume
    below one day, BadData when no whole training day is left.
    """
    for name, value in (("holdout_days", holdout_days), ("train_days", train_days)):
        if value < 1:
            raise BadConfig(f"{name} must be at least 1, not {value}")
    whole = whole_days(bars)
    held = min(holdout_days, len(whole) // HOLDOUT_SHARE)
    train_stop = whole.stop - held - EMBARGO_DAYS
    train = Days(max(whole.first, train_stop - train_days), train_stop)
    return _judged(bars, whole, train, Days(whole.stop - held, whole.stop))


def split_for(
    bars: Bars, train_from: int, train_to: int, holdout_days: int = HOLDOUT_DAYS, train_days: int = TRAIN_DAYS
) -> Split:
    """The split a job names by its training bounds (ms UTC); both 0 means that of so many days.

    The hold-out is every whole day from the end of the embargo on. Raises BadConfig when the bounds are no UTC days or
    lie outside the data.
    """
    if train_from == 0 and train_to == 0:
        return split(bars, holdout_days, train_days)
    if train_from % DAY_MS or train_to % DAY_MS or not 0 <= train_from < train_to:
        raise BadConfig(
            f"train_from {train_from} and train_to {train_to} must be UTC midnights in ms, the first earlier"
        )
    whole = whole_days(bars)
    train = Days(train_from // DAY_MS, train_to // DAY_MS)
    if train.first < whole.first or train.stop > whole.stop:
        raise BadConfig(
            f"training {train.first_iso} to {train.last_iso} is outside the candles' whole days "
            f"{whole.first_iso} to {whole.last_iso}",
            fix="leave train_from and train_to at 0, or use the candles the job was made for",
        )
    return _judged(bars, whole, train, Days(min(train.stop + EMBARGO_DAYS, whole.stop), whole.stop))


def whole_days(bars: Bars) -> Days:
    """The days between a partial first and a partial last one. Raises BadData without a whole day."""
    if len(bars) == 0:
        raise BadData("there are no candles to split")
    first, last = int(bars.time[0]), int(bars.time[-1])
    starts_partial = first % DAY_MS >= bars.base_ms
    ends_whole = last % DAY_MS + bars.base_ms >= DAY_MS
    days = Days(first // DAY_MS + starts_partial, last // DAY_MS + ends_whole)
    if len(days) == 0:
        raise BadData("the candles hold no whole UTC day", fix=f"give at least {NEEDED_DAYS} days")
    return days


def iso_day(day: int) -> str:
    """`2024-02-29` for days since 1970-01-01."""
    return datetime.fromtimestamp(day * DAY_MS / 1000, UTC).date().isoformat()


def _judged(bars: Bars, whole: Days, train: Days, holdout: Days) -> Split:
    trained, held = _days_with_bars(bars, train), _days_with_bars(bars, holdout)
    if trained == 0:
        raise BadData(
            f"{len(whole)} whole days leave no training day before the hold-out and its embargo",
            fix=f"give at least {NEEDED_DAYS} days",
        )
    lacking = [
        f"{have} of {need} {name} days"
        for have, need, name in ((held, MIN_HOLDOUT_DAYS, "hold-out"), (trained, MIN_TRAIN_DAYS, "training"))
        if have < need
    ]
    reason = f"only {' and '.join(lacking)} in {len(whole)} whole days" if lacking else ""
    return Split(len(whole), train, holdout, not lacking, reason)


def _days_with_bars(bars: Bars, days: Days) -> int:
    start, stop = _range(bars, days)
    return len(np.unique(bars.day[start:stop]))


def _range(bars: Bars, days: Days) -> tuple[int, int]:
    start, stop = np.searchsorted(bars.time, (days.from_ms, days.to_ms))
    return int(start), int(stop)


def _cut(bars: Bars, days: Days) -> Bars:
    return bars.slice(*_range(bars, days))
