"""The families of both suites: what each market is, and that it follows from the registered seed alone.

Null families hold nothing. Power families hold an edge of known size: `strength` is the net Sharpe ratio that the
planted position has in the mean, at the usual costs and without leverage.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..bars import DAY_MS, MINUTE_MS, Bars
from ..costs import Costs
from ..kernels.exact import simulate
from ..metrics import sharpe
from ..split import split
from ..strategies import mtf_ema
from ..strategies.api import FAST_PERIOD, FAST_TF, SLOW_PERIOD, SLOW_TF, Params
from ..validation.permutation import coins, flipped, permuted, shuffled, source_of
from . import prices
from .prices import BAR, MINUTES, PER_DAY, PER_YEAR, VOLATILITY, bars_of

REGISTERED = 20_241
"""The seed of the published suites. After a change that a failure provoked, another one."""
DRIFT = 0.6
REGIME_DAYS = 20
COSTS = Costs()
REFERENCE = Params(60, 20, 240, 30, 0.08, 0.25, 0.0, "both")
STRENGTHS = (1.3, 0.7, 0.0)


@dataclass(frozen=True)
class Family:
    """`make`: the market of a generator and a number of whole days. `strength` None where there is no edge."""

    name: str
    make: Callable[[np.random.Generator, int], Bars]
    strength: float | None = None
    lasting: bool = True


def generator(seed: int, family: str, number: int) -> np.random.Generator:
    """The one of market `number` of a family."""
    words = [seed, number, *family.encode()]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def null_families(real: list[Bars]) -> list[Family]:
    """Six families; two of them need real candles and are left out without."""
    invented = [
        Family("gbm", lambda rng, days: bars_of(*prices.gbm(rng, days), rng, "GBM")),
        Family("gbm_drift", lambda rng, days: bars_of(*prices.gbm(rng, days, DRIFT), rng, "DRIFT")),
        Family("garch_t5", lambda rng, days: bars_of(*prices.garch(rng, days), rng, "GARCH")),
        Family("egarch_jumps_drift", lambda rng, days: bars_of(*prices.egarch(rng, days), rng, "EGARCH")),
    ]
    if not real:
        return invented
    return [
        *invented,
        Family("real_permuted", lambda rng, days: _of_real(real, rng, days, flip=False)),
        Family("real_flipped", lambda rng, days: _of_real(real, rng, days, flip=True)),
    ]


def power_families() -> list[Family]:
    """Steered by a combo and regimes, at each strength; and an edge that ends with the training days."""
    return [
        *(Family(f"steered_{strength:g}", _steering(strength), strength) for strength in STRENGTHS),
        *(Family(f"regimes_{strength:g}", _regimes(strength), strength) for strength in STRENGTHS[:2]),
        Family("dying_1.3", _steering(STRENGTHS[0], dies=True), STRENGTHS[0], lasting=False),
    ]


def quarters(bars: Bars) -> Bars:
    """The same candles as quarter-hours; a quarter with a bar missing is made of what is there."""
    window = bars.time // (MINUTES * MINUTE_MS)
    first = np.flatnonzero(np.append(True, window[1:] != window[:-1]))
    last = np.append(first[1:], len(window)) - 1
    high, low = np.maximum.reduceat(bars.high, first), np.minimum.reduceat(bars.low, first)
    volume = np.add.reduceat(bars.volume, first)
    time = window[first] * MINUTES * MINUTE_MS
    return Bars(
        bars.symbol, MINUTES * MINUTE_MS, time, bars.open[first], high, low, bars.close[last], volume, bars.source
    )


def _of_real(real: list[Bars], rng: np.random.Generator, days: int, *, flip: bool) -> Bars:
    bars = real[int(rng.integers(len(real)))]
    stop = int(np.searchsorted(bars.time, bars.time[-1] // DAY_MS * DAY_MS))  # the last day may be partial
    first = int(np.searchsorted(bars.time, bars.time[-1] // DAY_MS * DAY_MS - days * DAY_MS))
    source = source_of(bars.slice(first, stop))
    return flipped(source, coins(source, rng)) if flip else permuted(source, shuffled(source, rng))


def _steering(strength: float, *, dies: bool = False) -> Callable[[np.random.Generator, int], Bars]:
    """The position of a combo drawn from the balanced space moves the price its way."""

    def make(rng: np.random.Generator, days: int) -> Bars:
        row = mtf_ema.draw(mtf_ema.space_for("balanced"), int(rng.integers(1 << 31)), 0, 1)[0]
        fast = (float(row[FAST_PERIOD]), int(row[FAST_TF]) // MINUTES)
        slow = (float(row[SLOW_PERIOD]), int(row[SLOW_TF]) // MINUTES)
        noise, sigma = prices.gbm(rng, days)
        drift = np.zeros(len(noise))
        for _ in range(3):  # the drift that pays for the turns it leads to
            _, sides = prices.steered(noise, drift, fast, slow)
            drift = np.full(len(noise), _drift(strength, sides))
        if dies:
            market = bars_of(noise, sigma, np.random.default_rng(0), "TIMES")
            drift[int(np.searchsorted(market.time, split(market).holdout.from_ms)) :] = 0.0
        r, _ = prices.steered(noise, drift, fast, slow)
        return bars_of(r, sigma, rng, "STEERED")

    return make


def _drift(strength: float, sides: NDArray[np.int8]) -> float:
    """Log drift of a bar at which holding `sides` has this net Sharpe ratio in the mean."""
    turns = np.count_nonzero(np.diff(sides.astype(np.int64))) / len(sides) * PER_YEAR
    a_year = strength * VOLATILITY + turns * 2 * (COSTS.fee + COSTS.slippage)
    return a_year / PER_YEAR


def _regimes(strength: float) -> Callable[[np.random.Generator, int], Bars]:
    """Drift of one size whose sign is drawn anew every twenty days."""

    def make(rng: np.random.Generator, days: int) -> Bars:
        return _in_regimes(rng, days, regime_drift(strength))

    return make


def _in_regimes(rng: np.random.Generator, days: int, drift: float) -> Bars:
    noise, sigma = prices.gbm(rng, days)
    signs = 2 * rng.integers(0, 2, -(-days // REGIME_DAYS)) - 1
    r = noise + drift * np.repeat(signs, REGIME_DAYS * PER_DAY)[: len(noise)]
    return bars_of(r, sigma, rng, "REGIMES")


@cache
def regime_drift(strength: float) -> float:
    """The drift of a bar at which the reference combo has this net Sharpe ratio, in the mean of 24 markets."""
    low, high = 0.0, 12 * BAR * VOLATILITY / np.sqrt(PER_YEAR)
    for _ in range(8):
        middle = (low + high) / 2
        low, high = (middle, high) if _reference(middle) < strength else (low, middle)
    return float((low + high) / 2)


def _reference(drift: float) -> float:
    found: list[float] = []
    for number in range(24):
        bars = _in_regimes(generator(0, "calibration", number), 730, drift)
        found.append(sharpe(simulate(bars, REFERENCE, COSTS, 1.0).daily_returns()))
    return float(np.mean(found))
