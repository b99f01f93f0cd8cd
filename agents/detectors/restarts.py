"""When a job that died may run again: credits for immediate relaunches, then full jitter; and when it is poison.

A job has `credits`, one more per `refill_s`, spent by immediate relaunches. Without a whole credit the wait is
random(0, min(cap_s, base_s * 2^n)), full jitter as in AWS's "Exponential Backoff And Jitter" (Brooker 2015), and n
grows by one. n falls to 0 after `reset_s` of life or a new checkpoint. Deaths that are blamed and did not pass the
best step reached before are counted; `poison` of them in a row are poison: the job is held `poison_hold_s`, then it
has one try.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from ...state.models.config import RestartTable
from ...state.models.records import Restarts

NO_WAIT: Final = 0.0
MAX_EXPONENT: Final = 62
_DRAW_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended, as far as its job's next start is concerned.

    `blame`, `credit`: of the class's policy (state/models/failures.py); a command job is never blamed. `step`: how far
    the job was. `new_checkpoint`: it could resume further on than the attempt before.
    """

    step: int = 0
    life_s: float = 0.0
    new_checkpoint: bool = False
    blame: bool = True
    credit: bool = True


@dataclass(frozen=True, slots=True)
class Next:
    """`restarts`: the budget from now on. `wait_s`: until it may start, 0 at once. `poison`: it is held instead."""

    restarts: Restarts
    wait_s: float
    poison: bool


def full(limits: RestartTable, mono: float) -> Restarts:
    """The budget of a job that never died."""
    return Restarts(float(limits.credits), mono)


def after(before: Restarts | None, death: Death, limits: RestartTable, mono: float, chance: float) -> Next:
    """What follows from one death at `mono`. `chance`: 0..1, from `chance(draw, job)`."""
    old = before or full(limits, mono)
    level = old.credits(mono, limits.credits, limits.refill_s)
    n = 0 if death.life_s >= limits.reset_s or death.new_checkpoint else old.n
    passed = death.step > old.best_step
    deaths = 0 if passed else old.deaths + death.blame
    wait_s = NO_WAIT
    if death.credit:
        if level >= 1.0:
            level -= 1.0
        else:
            wait_s = chance * ceiling_s(limits, n)
            n = min(n + 1, MAX_EXPONENT)
    restarts = Restarts(level, mono, n, deaths, max(old.best_step, death.step))
    return Next(restarts, wait_s, death.blame and deaths >= limits.poison)


def ceiling_s(limits: RestartTable, n: int) -> float:
    """The longest wait after `n` deaths without credit."""
    return min(limits.cap_s, limits.base_s * 2.0 ** min(n, MAX_EXPONENT))


def chance(draw: int, subject: str) -> float:
    """0 <= chance < 1, of this subject alone, from the cycle's random bits: many deaths in a cycle wait differently."""
    digest = hashlib.blake2b(f"{draw}/{subject}".encode(), digest_size=_DRAW_BITS // 8).digest()
    return int.from_bytes(digest, "big") / 2.0**_DRAW_BITS
