"""Indicators over the windows of one timeframe. Each equals its plain-Python definition to the last bit."""

import numpy as np
from numba import njit

from . import compiled as compiled  # before the first function: it names the cache
from .bars import Floats


@njit(cache=True, nogil=True)
def ema(close: Floats, period: int) -> Floats:
    """Exponential moving average, float64 [W] from float64 [W].

    a = 2 / (period + 1); y[0] = close[0]; y[k] = y[k-1] + a (close[k] - y[k-1]). NaN before index period - 1, where
    the average has not yet seen `period` windows.
    """
    y = np.empty(len(close), dtype=np.float64)
    if len(close) == 0:
        return y
    a = 2.0 / (period + 1.0)
    y[0] = close[0]
    for k in range(1, len(close)):
        y[k] = y[k - 1] + a * (close[k] - y[k - 1])
    y[: period - 1] = np.nan
    return y
