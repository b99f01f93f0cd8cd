"""An invented market: what the engine runs on when it is given no data, and says so.

Notation: N bars, S steps inside each bar. Returns are in logs. Volatility is a Markov-switching multifractal (Calvet
and Fisher, 2004): the product of components that switch at rates from minutes to months, which gives clusters and fat
tails. Drift comes in regimes of some weeks. Nothing here holds an edge that is known to be there.
"""

import hashlib

import numpy as np

from ...state.errors import BadConfig
from ...state.models.config import SYNTHETIC as SOURCE
from ...state.symbols import SYNTHETIC
from ..bars import DAY_MS, MINUTE_MS, Bars, Floats, Ints

DAYS = 1100
END_MS = 1_735_689_600_000  # 2025-01-01: a fixed end, so that the same seed is the same market on every day
START_PRICE = 100.0
STEPS = 6
DAILY_VOLATILITY = 0.04
REGIME_DAYS = 20
REGIME_DRIFT = 0.004  # standard deviation of a regime's daily drift
COMPONENTS = 8
COMPONENT = 0.4  # a component is 1 + or - this
SLOWEST_DAYS = 30.0
JUMP_DAYS = 20
JUMP = 0.02
MEAN_VOLUME_PER_DAY = 1_000_000.0

# Hourly activity (UTC) relative to the day's mean: quiet in the early hours, busiest when America opens.
ACTIVITY = np.array(
    [1.05, 1.0, 0.92, 0.85, 0.78, 0.74, 0.76, 0.86, 0.95, 0.95, 0.92, 0.9,
     0.98, 1.2, 1.45, 1.5, 1.4, 1.25, 1.1, 1.02, 0.98, 0.94, 0.86, 0.64]
)  # fmt: skip


def synthetic(
    symbol: str = SYNTHETIC, days: int = DAYS, seed: int = 0, base_minutes: int = 5, end_ms: int = END_MS
) -> Bars:
    """`days` days of `base_minutes` bars that end at `end_ms`, without gaps. Symbol and seed decide everything else.

    Raises BadConfig for less than a day or a timeframe that does not divide one.
    """
    if days < 1 or base_minutes < 1 or 1440 % base_minutes or end_ms % DAY_MS:
        raise BadConfig(
            f"no synthetic market of {days} days of {base_minutes} minutes until {end_ms}",
            fix="use whole days, and minutes that divide a day",
        )
    rng = _generator(symbol, seed)
    base_ms = base_minutes * MINUTE_MS
    per_day = DAY_MS // base_ms
    count = days * per_day
    time = end_ms + base_ms * np.arange(-count, 0, dtype=np.int64)
    activity = ACTIVITY[time % DAY_MS // (60 * MINUTE_MS)]
    state = _volatility(rng, count, per_day)
    sigma = DAILY_VOLATILITY / np.sqrt(per_day) * state * np.sqrt(activity)
    drift = _regimes(rng, count, 1 / (REGIME_DAYS * per_day), REGIME_DRIFT / per_day)
    o, h, low, c = _prices(rng, sigma, drift, 1 / (JUMP_DAYS * per_day))
    volume = _volume(rng, activity * state, per_day)
    return Bars(symbol, base_ms, time, o, h, low, c, volume, source=SOURCE, synthetic=True)


def _generator(symbol: str, seed: int) -> np.random.Generator:
    words = np.frombuffer(hashlib.sha256(symbol.encode()).digest(), dtype="<u4")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *map(int, words)])))


def _held(switch: Floats, probability: float) -> Ints:
    """int64 [N]: the number of the regime each bar is in; a new one begins where the uniform `switch` is below."""
    number: Ints = np.cumsum(switch < probability)
    return number


def _regimes(rng: np.random.Generator, count: int, probability: float, scale: float) -> Floats:
    """Normal values, each held for a geometric time."""
    number = _held(rng.random(count), probability)
    values: Floats = rng.standard_normal(int(number[-1]) + 1)[number] * scale
    return values


def _volatility(rng: np.random.Generator, count: int, per_day: int) -> Floats:
    """Volatility over its mean square root, float64 [N]."""
    variance = np.ones(count)
    slowest = 1 / (SLOWEST_DAYS * per_day)
    for component in range(COMPONENTS):
        rate = min(1.0, slowest * 4.0**component)
        number = _held(rng.random(count), rate)
        variance *= 1 + COMPONENT * (2 * rng.integers(0, 2, int(number[-1]) + 1) - 1)[number]
    return np.sqrt(variance)


def _prices(
    rng: np.random.Generator, sigma: Floats, drift: Floats, jump_probability: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Open, high, low, close: a walk of S steps inside each bar, on the exchange's ticks."""
    count = len(sigma)
    steps = rng.standard_normal((count, STEPS))
    steps *= (sigma / np.sqrt(STEPS))[:, None]
    steps += ((drift - sigma**2 / 2) / STEPS)[:, None]
    jumps = np.flatnonzero(rng.random(count) < jump_probability)
    steps[jumps, rng.integers(0, STEPS, len(jumps))] += JUMP * rng.standard_normal(len(jumps))
    # In about half of the bars the first trade is not at the last price of the bar before.
    apart = np.where(rng.random(count) < 0.5, 0.0, 0.15 * sigma * rng.standard_normal(count))
    apart[0] = 0.0
    path = np.cumsum(np.column_stack([apart, steps]).ravel()).reshape(count, STEPS + 1)
    prices = START_PRICE * np.exp(path)
    places = 3 - int(np.floor(np.log10(prices.min())))
    ticks = np.round(prices, max(places, 0))
    return ticks[:, 0].copy(), ticks.max(axis=1), ticks.min(axis=1), ticks[:, -1].copy()


def _volume(rng: np.random.Generator, activity: Floats, per_day: int) -> Floats:
    """Volume follows the hour and the volatility, with noise; never nothing."""
    mean = MEAN_VOLUME_PER_DAY / per_day
    noise = np.exp(0.5 * rng.standard_normal(len(activity)) - 0.125)
    return np.maximum(np.round(mean * activity * noise, 2), 0.01)
