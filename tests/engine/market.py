"""Small seeded markets for tests that need candles and no particular ones."""

from datetime import datetime

import numpy as np

from btswarm.engine.bars import DAY_MS, MINUTE_MS, Bars


def ms(text: str) -> int:
    """`2024-01-01` or `2024-01-01T12:30` in UTC as ms since 1970."""
    return round(datetime.fromisoformat(text + "+00:00" if "T" in text else text + "T00:00+00:00").timestamp() * 1000)


def walk(
    start: str = "2023-01-01", days: float = 10, *, minutes: int = 5, seed: int = 0, symbol: str = "SOLUSDT"
) -> Bars:
    """A geometric random walk without gaps: `days` days of `minutes` bars. More days are appended to the same bars."""
    base = minutes * MINUTE_MS
    count = round(days * DAY_MS / base)
    step, up, down, volume = (np.random.default_rng([seed, stream]) for stream in range(4))
    close = 100 * np.exp(np.cumsum(step.normal(0, 0.002 * np.sqrt(minutes / 5), count)))
    opens = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(opens, close) * (1 + np.abs(up.normal(0, 0.0005, count)))
    low = np.minimum(opens, close) * (1 - np.abs(down.normal(0, 0.0005, count)))
    time = ms(start) + base * np.arange(count, dtype=np.int64)
    return Bars(symbol, base, time, opens, high, low, close, volume.uniform(1, 10, count))
