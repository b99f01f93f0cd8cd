"""Candles from returns: seeded markets of quarter-hours with a known law.

Notation: T bars, 35,040 a year. r float64 [T] log returns close to close; sigma float64 [T] their volatility, by which
the path inside a bar strays: a Brownian bridge of four steps. A market without an edge is a martingale: the drift of
its log returns is minus half its variance, plus what is asked for.
"""

from typing import Any

import numpy as np
from numba import njit

from .. import compiled as compiled  # before the first function: it names the cache
from ..bars import MINUTE_MS, Bars, Floats

MINUTES = 15
PER_DAY = 1440 // MINUTES
PER_YEAR = 365 * PER_DAY
VOLATILITY = 0.8  # a year's, as of a large coin
BAR = VOLATILITY / np.sqrt(PER_YEAR)
END_MS = 1_735_689_600_000  # 2025-01-01
START = 100.0
STEPS = 4


def bars_of(r: Floats, sigma: Floats, rng: np.random.Generator, symbol: str) -> Bars:
    """Bars with these log returns, that end at a fixed day. The open is the close before."""
    count = len(r)
    noise = rng.standard_normal((count, STEPS)) * (sigma / np.sqrt(STEPS))[:, None]
    path = np.cumsum(noise, axis=1)
    weight = np.arange(1, STEPS + 1) / STEPS
    path += (r - path[:, -1])[:, None] * weight
    before = np.concatenate([[0.0], np.cumsum(r)[:-1]])
    level = START * np.exp(before)
    inside = level[:, None] * np.exp(path)
    close = START * np.exp(np.cumsum(r))
    inside[:, -1] = close
    opened = np.concatenate([[START], close[:-1]])
    high, low = np.maximum(opened, inside.max(axis=1)), np.minimum(opened, inside.min(axis=1))
    base = MINUTES * MINUTE_MS
    time = END_MS + base * np.arange(-count, 0, dtype=np.int64)
    return Bars(symbol, base, time, opened, high, low, close, np.full(count, 1.0), synthetic=True)


def gbm(rng: np.random.Generator, days: int, drift: float = 0.0) -> tuple[Floats, Floats]:
    """(r, sigma) of a geometric Brownian motion; `drift` a year, arithmetic."""
    count = days * PER_DAY
    r = BAR * rng.standard_normal(count) + drift / PER_YEAR - BAR**2 / 2
    return r, np.full(count, BAR)


def garch(rng: np.random.Generator, days: int) -> tuple[Floats, Floats]:
    """(r, sigma) of a GARCH(1,1) with Student-t innovations of five degrees of freedom (Bollerslev 1987)."""
    z = rng.standard_t(5, days * PER_DAY) * np.sqrt(3 / 5)
    sigma = _garch(z, BAR**2, 0.05, 0.94)
    return sigma * z - sigma**2 / 2, sigma


def egarch(rng: np.random.Generator, days: int, drift: float = 0.4) -> tuple[Floats, Floats]:
    """(r, sigma) of an EGARCH(1,1) with leverage (Nelson 1991), jumps every twenty days and `drift` a year."""
    count = days * PER_DAY
    z = rng.standard_normal(count)
    sigma = _egarch(z, np.log(BAR**2), 0.12, -0.04, 0.985)
    jumps = np.where(rng.random(count) < 1 / (20 * PER_DAY), 0.03 * rng.standard_normal(count), 0.0)
    return sigma * z - sigma**2 / 2 + jumps + drift / PER_YEAR, sigma


@njit(cache=True, nogil=True)
def _garch(z: Any, mean: float, alpha: float, beta: float) -> Any:
    sigma = np.empty(len(z))
    variance = mean
    for i in range(len(z)):
        sigma[i] = np.sqrt(variance)
        variance = mean * (1 - alpha - beta) + variance * (alpha * z[i] ** 2 + beta)
    return sigma


@njit(cache=True, nogil=True)
def _egarch(z: Any, mean: float, size: float, sign: float, beta: float) -> Any:
    sigma = np.empty(len(z))
    level = mean
    for i in range(len(z)):
        sigma[i] = np.exp(level / 2)
        shock = size * (abs(z[i]) - np.sqrt(2 / np.pi)) + sign * z[i]
        level = mean + beta * (level - mean) + shock
    return sigma


@njit(cache=True, nogil=True)
def steered(noise: Any, drift: Any, fast: Any, slow: Any) -> Any:
    """(r float64 [T], sides int8 [T]): `noise` plus the side of a crossing of averages times `drift`, bar by bar.

    noise, drift float64 [T]. fast, slow: (period, bars of a window). The side at the close of a bar steers the next,
    and is that of the averages over the very prices so made.
    """
    count = len(noise)
    r, sides = np.empty(count), np.zeros(count, dtype=np.int8)
    a, b = 2.0 / (fast[0] + 1.0), 2.0 / (slow[0] + 1.0)
    price, side, quick, late = 0.0, 0, 0.0, 0.0
    for i in range(count):
        sides[i] = side
        r[i] = noise[i] + side * drift[i]
        price += r[i]
        level = np.exp(price)
        if (i + 1) % fast[1] == 0:
            quick = level if i + 1 == fast[1] else quick + a * (level - quick)
        if (i + 1) % slow[1] == 0:
            late = level if i + 1 == slow[1] else late + b * (level - late)
        if i + 1 >= fast[0] * fast[1] and i + 1 >= slow[0] * slow[1]:
            side = 1 if quick > late else (-1 if quick < late else side)
    return r, sides
