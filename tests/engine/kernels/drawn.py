"""Random small markets and configurations for property tests, with everything that makes ties and exceptions likely.

Prices are small whole numbers, so that closes tie, averages meet and levels are touched exactly. Bars are missing,
alone and for days; some are flat and without volume; the first one stands anywhere on the grid.
"""

import numpy as np
from hypothesis import strategies as st

from btswarm.engine.bars import DAY_MS, MINUTE_MS, Bars
from btswarm.engine.costs import Costs
from btswarm.engine.strategies.api import Params

from ..market import ms

BASES = (1, 3, 5, 15, 60, 240, 480, 1440)


def random_market(
    seed: int, length: int, base: int, *, first: int = 0, gaps: float = 0.1, flat: float = 0.2, level: int = 30
) -> Bars:
    """`length` bars of `base` minutes beginning `first` slots after 2024-01-01, prices whole numbers around `level`."""
    rng = np.random.default_rng(seed)
    step = base * MINUTE_MS
    days = 3 * DAY_MS // step + 1
    skips = np.where(rng.random(length) < gaps, rng.choice([1, 2, 7, days], length), 0)
    slots = first + np.cumsum(1 + skips) - 1 - skips[:1].sum()
    close = np.maximum(level + np.cumsum(rng.integers(-2, 3, length)), 3).astype(np.float64)
    before = np.concatenate([close[:1], close[:-1]])
    opens = np.where(rng.random(length) < 0.7, before, np.maximum(before + rng.integers(-3, 4, length), 2))
    high = np.maximum(opens, close) + rng.integers(0, 3, length)
    low = np.maximum(np.minimum(opens, close) - rng.integers(0, 3, length), 1)
    still = rng.random(length) < flat
    for column in (opens, high, low):
        column[still] = close[still]
    time = ms("2024-01-01") + slots.astype(np.int64) * step
    o, h, lo, c, v = (column.astype(np.float64) for column in (opens, high, low, close, ~still))
    return Bars("SOLUSDT", step, time, o, h, lo, c, v)


@st.composite
def markets(draw: st.DrawFn, *, least: int = 1, most: int = 200) -> Bars:
    return random_market(
        draw(st.integers(0, 2**32 - 1), label="seed"),
        draw(st.integers(least, most), label="bars"),
        draw(st.sampled_from(BASES), label="base"),
        first=draw(st.integers(0, 300), label="first slot"),
        gaps=draw(st.sampled_from([0.0, 0.02, 0.3])),
        flat=draw(st.sampled_from([0.0, 0.2, 0.9])),
        level=draw(st.sampled_from([8, 30, 1000])),
    )


@st.composite
def configurations(draw: st.DrawFn, base: int) -> Params:
    """Any configuration that the exact simulator takes, on timeframes that a small market can fill."""

    def fraction(*choices: int) -> float:
        return draw(st.one_of(st.just(0), st.sampled_from(choices), st.integers(1, 3000))) / 10_000

    return Params(
        fast_tf=base * draw(st.integers(1, 4)),
        fast_period=draw(st.integers(1, 5)),
        slow_tf=base * draw(st.integers(1, 8)),
        slow_period=draw(st.integers(1, 6)),
        stop_loss=fraction(500, 1000, 2000),
        take_profit=fraction(500, 1000, 2000),
        trailing_stop=fraction(500, 1000, 2000),
        direction=draw(st.sampled_from(["both", "long", "short"])),
    )


def costs_of_any_kind() -> st.SearchStrategy[Costs]:
    return st.builds(
        Costs,
        fee=st.sampled_from([0.0, 0.0005, 0.03]),
        slippage=st.sampled_from([0.0, 0.0002, 0.02]),
        funding=st.sampled_from([0.0, 0.0001, -0.0003, 0.03]),
    )


LEVERAGES = st.sampled_from([0.5, 1.0, 2.0, 3.0, 5.0, 12.5, 20.0])
