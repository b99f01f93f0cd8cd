"""Waiting for a condition instead of sleeping."""

import select
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], *, limit_s: float = 20.0, what: str = "") -> T:
    """The first true value of `condition`; fails after `limit_s`."""
    end = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < end, f"never happened: {what or condition}"
        select.select((), (), (), 0.002)
    return value


def readable(descriptor: int, limit_s: float = 20.0) -> None:
    """Until somebody has something to say on this descriptor."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(limit_s * 1000), "nothing came"
