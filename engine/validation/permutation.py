"""Markets that hold nothing, made of the bars of a real one: the same bars in another order, or with other signs.

Notation, per bar and in logs: g = ln(open / previous close), 0 for the first bar; H, L, C = ln of high, low, close over
the open. A market is rebuilt from its first open by multiplying the ratios themselves, so that it is the same to the
last bit everywhere; timestamps, and so gaps, stay, and the last close, and so the drift, does too.

`permutation`: the tuple (g, H, L, C, volume) moves as one among the bars that open in the same hour of the day (UTC).
`sign_flip`: with probability 1/2 a bar becomes (2m - g, -L, -H, -C), m = mean(g + C); then all g shift by the same
amount, so that their sum with C is what it was. The order of the bars, and with it the clusters of volatility, stays.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from ..bars import Bars, Floats, Ints
from ..kernels.rebuild import last_close, prices_from_ratios

Kind = Literal["permutation", "sign_flip"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NULL_HYPOTHESIS: dict[Kind, str] = {
    "permutation": "the order of the bars within each hour of the day holds nothing that a strategy can use",
    "sign_flip": "the direction of a bar, given all that came before, is a coin's; sizes may cluster as they do",
}
HOUR_MS = 3_600_000
HOURS = 24


@dataclass(frozen=True, eq=False)
class Source:
    """A market taken apart. Ratios float64 [T]: gap = open over previous close, the others over the open.

    hours: for each hour of the day the indexes of the bars that open in it. seed: four words that follow from the
    candles, so that nobody chooses the draws.
    """

    bars: Bars
    gap: Floats
    high: Floats
    low: Floats
    close: Floats
    hours: tuple[Ints, ...]
    seed: tuple[int, ...]

    @property
    def drift(self) -> float:
        """m: the mean of g + C."""
        return math.log(self.bars.close[-1] / self.bars.open[0]) / len(self.bars)


def source_of(bars: Bars) -> Source:
    """Take the bars apart. Their prices must be positive."""
    hour = bars.time // HOUR_MS % HOURS
    return Source(
        bars=bars,
        gap=bars.open / np.concatenate([bars.open[:1], bars.close[:-1]]),
        high=bars.high / bars.open,
        low=bars.low / bars.open,
        close=bars.close / bars.open,
        hours=tuple(np.flatnonzero(hour == one) for one in range(HOURS)),
        seed=tuple(int(bars.sha256[at : at + 8], 16) for at in range(0, 32, 8)),
    )


def null_market(source: Source, kind: Kind, number: int) -> Bars:
    """Null market `number` of a kind: it depends on the candles and on these two alone."""
    words = [*source.seed, KINDS.index(kind), number]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
    return permuted(source, shuffled(source, rng)) if kind == "permutation" else flipped(source, coins(source, rng))


def shuffled(source: Source, rng: np.random.Generator) -> Ints:
    """int64 [T]: which bar comes where; each from the same hour of the day."""
    order = np.empty(len(source.bars), dtype=np.int64)
    for group in source.hours:
        order[group] = rng.permutation(group)
    return order


def coins(source: Source, rng: np.random.Generator) -> Ints:
    """int64 [T] of 0 and 1."""
    return rng.integers(0, 2, len(source.bars))


def permuted(source: Source, order: Ints) -> Bars:
    """The bars in another order, int64 [T]."""
    ratios = [one[order] for one in (source.gap, source.high, source.low, source.close)]
    return _market(source.bars, ratios, 1.0, source.bars.volume[order])


def flipped(source: Source, flips: Ints) -> Bars:
    """The bars with the signs of those turned whose flip, int64 [T], is 1."""
    turned = flips == 1
    ratios = [
        np.where(turned, math.exp(2 * source.drift) / source.gap, source.gap),
        np.where(turned, 1.0 / source.low, source.high),
        np.where(turned, 1.0 / source.high, source.low),
        np.where(turned, 1.0 / source.close, source.close),
    ]
    end = last_close(source.bars.open[0], ratios[0], ratios[3])
    shift = math.exp(math.log(source.bars.close[-1] / end) / len(source.bars))
    return _market(source.bars, ratios, shift, source.bars.volume.copy())


def _market(bars: Bars, ratios: list[Floats], shift: float, volume: Floats) -> Bars:
    gap, high, low, close = ratios
    prices = np.empty((4, len(bars)), dtype=np.float64)
    prices_from_ratios(bars.open[0], gap, high, low, close, shift, prices)
    return replace(bars, open=prices[0], high=prices[1], low=prices[2], close=prices[3], volume=volume)
