"""vectorbt on the same candles, as a program of its own: jobs as JSON on standard input, trades on standard output.

Nothing here comes from btswarm, so that it is a second opinion: pandas resamples and averages, vectorbt trades. A job
is {time (ms), open, high, low, close, base_minutes, fee, slippage, configurations}, a configuration the eight
parameters of `mtf_ema`; the answer is one list of trades per configuration: [entry, exit, side, entry price, exit
price, closed].
"""

import json
import sys
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt

SIDE = {0: 1, 1: -1}  # vectorbt's Direction


def known_average(close: Any, base: Any, tf: int, period: int) -> Any:
    """EMA(period) on bars of `tf` minutes, at each base bar the newest that is over when that bar closes."""
    window = pd.Timedelta(minutes=tf)
    last = close.resample(window, closed="left", label="right", origin="epoch").last().dropna()
    if close.index[0] != close.index[0].floor(window):
        last = last.iloc[1:]
    average = last.ewm(span=period, adjust=False, min_periods=period).mean()
    average.index = average.index - base
    return average.reindex(close.index, method="ffill")


def acting(close: Any, base: Any, one: dict[str, Any]) -> Any:
    """1 or -1 at the bars at whose open a cross acts, else 0."""
    fast = known_average(close, base, one["fast_tf"], one["fast_period"])
    slow = known_average(close, base, one["slow_tf"], one["slow_period"])
    side = np.sign(fast - slow).replace(0.0, np.nan).ffill()
    crossed = (side != side.shift()) & side.shift().notna()
    return side.where(crossed, 0.0).shift(fill_value=0.0)


def trade(bars: Any, base: Any, job: dict[str, Any], one: dict[str, Any]) -> list[list[Any]]:
    side, direction = acting(bars["close"], base, one), one["direction"]
    up, down = side > 0, side < 0
    never = pd.Series(False, index=bars.index)
    portfolio = vbt.Portfolio.from_signals(
        bars["close"],
        entries=never if direction == "short" else up,
        exits=down if direction == "long" else never,
        short_entries=never if direction == "long" else down,
        short_exits=up if direction == "short" else never,
        price=bars["open"],
        open=bars["open"],
        high=bars["high"],
        low=bars["low"],
        size=1.0,
        init_cash=1e9,
        fees=job["fee"],
        slippage=job["slippage"],
        sl_stop=one["trailing_stop"] or one["stop_loss"] or np.nan,
        sl_trail=bool(one["trailing_stop"]),
        tp_stop=one["take_profit"] or np.nan,
        stop_entry_price="fillprice",
        stop_exit_price="stopmarket",
        freq=base,
    )
    names = ("entry_idx", "exit_idx", "direction", "entry_price", "exit_price", "status")
    rows = zip(*(portfolio.trades.records[name].tolist() for name in names), strict=True)
    return [[entry, left, SIDE[way], bought, sold, status == 1] for entry, left, way, bought, sold, status in rows]


def answer(job: dict[str, Any]) -> list[list[list[Any]]]:
    time = pd.to_datetime(job["time"], unit="ms", utc=True)
    bars = pd.DataFrame({name: job[name] for name in ("open", "high", "low", "close")}, index=time, dtype=float)
    base = pd.Timedelta(minutes=job["base_minutes"])
    return [trade(bars, base, job, one) for one in job["configurations"]]


if __name__ == "__main__":
    json.dump({"version": vbt.__version__, "trades": [answer(job) for job in json.load(sys.stdin)]}, sys.stdout)
