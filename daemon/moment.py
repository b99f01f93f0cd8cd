"""When a cycle takes place: the same instant for everything it looks at and says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """`cycle` counts from the daemon's start; `gap_s` since the last cycle; `draw`: 64 random bits.

    `tick`: everything is read again, not only what woke us. `epoch`: in which `mono` and every pid count.
    """

    cycle: int
    now: float
    mono: float
    gap_s: float
    draw: int
    woken_by: tuple[str, ...]
    tick: bool
    epoch: str
