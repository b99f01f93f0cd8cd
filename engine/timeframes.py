"""Higher timeframes without look-ahead: which window's close is known at which bar.

Notation: T bars, W windows of one timeframe. A window of `tf` minutes starts at a whole multiple of `tf` since
1970-01-01 UTC and exists if it holds at least one bar. It is known at the first bar that closes at or after its end.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..state.errors import BadConfig
from .bars import MINUTE_MS, Bars, Floats, Ints


@dataclass(frozen=True)
class Windows:
    """The windows of one timeframe in order.

    start int64 [W]: open time in ms. close float64 [W]: close of the last bar present. known int64 [W]: index of the
    bar at whose close the window is known, non-decreasing; T for a window no bar ever confirms.
    """

    start: Ints
    close: Floats
    known: Ints

    def __len__(self) -> int:
        return len(self.start)

    def newest(self, bars: int) -> Ints:
        """int64 [T]: the newest window known at each bar, -1 before the first."""
        return np.searchsorted(self.known, np.arange(bars), side="right") - 1


def misfits(timeframes: Iterable[int], base_minutes: int) -> list[int]:
    """Those that are no multiple of the bars' own minutes, each once, ascending."""
    return sorted({tf for tf in timeframes if tf % base_minutes != 0})


def windows(bars: Bars, tf_minutes: int) -> Windows:
    """The windows of `tf_minutes` over `bars`; one that the data begins in the middle of is left out.

    Raises BadConfig when the timeframe is no multiple of the bars' own.
    """
    key = ("windows", tf_minutes)
    if key not in bars.cache:
        bars.cache[key] = _build(bars, tf_minutes)
    built: Windows = bars.cache[key]
    return built


def _build(bars: Bars, tf_minutes: int) -> Windows:
    tf_ms = tf_minutes * MINUTE_MS
    if tf_minutes <= 0 or tf_ms % bars.base_ms != 0:
        raise BadConfig(
            f"timeframe {tf_minutes} is no multiple of the data's {bars.base_minutes} minutes",
            fix=f"choose a multiple of {bars.base_minutes}",
        )
    window = bars.time // tf_ms
    last = np.flatnonzero(np.append(window[1:] != window[:-1], True))
    if bars.time[0] % tf_ms != 0:
        last = last[1:]
    start = window[last] * tf_ms
    complete = bars.time[last] + bars.base_ms >= start + tf_ms
    return Windows(start=start, close=bars.close[last], known=np.where(complete, last, last + 1))
