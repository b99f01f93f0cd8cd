"""What was measured, or why it was not: a probe that could not read says so, and never says 0 instead."""

from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

T = TypeVar("T")

HOST_LIMIT_S: Final = 15.0
GPU_LIMIT_S: Final = 10.0
SUSPECT_LIMIT_S: Final = 2.0
PROVIDER_LIMIT_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """A value read at `at` (monotonic seconds). The fields' names are those of its JSON."""

    known: T
    at: float


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no value, and since when (monotonic seconds)."""

    missing: str
    since: float


Reading: TypeAlias = Known[T] | Missing


def fresh(reading: Reading[T], mono: float, limit_s: float) -> Reading[T]:
    """The reading as it counts at `mono`: one older than `limit_s` is missing since it passed that age."""
    if isinstance(reading, Known) and mono - reading.at > limit_s:
        return Missing(f"older than {limit_s:g} s", reading.at + limit_s)
    return reading


def known(reading: Reading[T]) -> T | None:
    """The value, None when it is missing. For showing and for guards; None is never to be read as 0."""
    return reading.known if isinstance(reading, Known) else None
