"""Proof, on the very data, that no higher timeframe shows anything before it is known.

Notation: T bars. For each timeframe what is shown at bar i is the newest known window's start and close, and
an EMA over the closes. Two probes judge it. The cut: everything after a bar is taken away, and nothing shown up to that
bar may change. The definition: at single bars, what is shown is worked out in plain Python from the times alone.

The probes are probed too: three wrong constructions, each with a look-ahead that people build by accident, are run on
the same data, and each must be caught in every timeframe.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...state.models.preflight import Check
from ..bars import MINUTE_MS, Bars, Ints
from ..indicators import ema
from ..timeframes import Windows, misfits, windows

CUTS = 16
PLANT_CUTS = 4
PROBED_BARS = 256
EMA_PERIOD = 5
NOTHING = -1  # start of the window that is shown before any is known

Build = Callable[[Bars, int], Windows]
Shown = NDArray[np.float64]
"""float64 [3, T]: start (ms), close and EMA of the newest window known at each bar."""


def shown_early(bars: Bars, tf_minutes: int) -> Windows:
    """Wrong: every window is shown one window early, while it is still forming."""
    right = windows(bars, tf_minutes)
    known = right.known.copy()
    known[1:] = right.known[:-1]
    return Windows(right.start, right.close, known)


def unclosed_last(bars: Bars, tf_minutes: int) -> Windows:
    """Wrong: the last window counts as complete wherever the data happen to end."""
    right = windows(bars, tf_minutes)
    return Windows(right.start, right.close, np.minimum(right.known, len(bars) - 1))


def shifted_origin(bars: Bars, tf_minutes: int) -> Windows:
    """Wrong: windows are counted from one bar later, and so hold the bar that opens at their end."""
    tf_ms = tf_minutes * MINUTE_MS
    window = (bars.time - bars.base_ms) // tf_ms
    last = np.flatnonzero(np.append(window[1:] != window[:-1], True))[1:]
    start = window[last] * tf_ms
    known = np.searchsorted(bars.time, start + tf_ms - bars.base_ms)
    return Windows(start, bars.close[last], known)


PLANTS: dict[str, Build] = {
    "shown early": shown_early,
    "unclosed last window": unclosed_last,
    "shifted origin": shifted_origin,
}


def alignment_check(bars: Bars, timeframes: Sequence[int], seed: int = 0, build: Build = windows) -> Check:
    """Judge `build` (the engine's own, unless a test puts another in its place) on these bars.

    The figure is how many of the three planted look-aheads were caught in every timeframe.
    """
    off = misfits(timeframes, bars.base_minutes)
    usable = [tf for tf in timeframes if tf not in off and tf > bars.base_minutes]
    if off or not usable:
        names = _minutes(off) if off else "every timeframe"
        return _misfit(f"{names}: {'no multiple of' if off else 'not above'} the {bars.base_minutes} min of the bars",
                       bars.base_minutes, usable)  # fmt: skip
    places = {tf: _places(bars, tf, np.random.default_rng([seed, len(bars), tf])) for tf in usable}
    wrong = {tf: _contradictions(build, bars, tf, places[tf], CUTS) for tf in usable}
    caught = {
        name: sum(_contradictions(plant, bars, tf, places[tf], PLANT_CUTS) > 0 for tf in usable)
        for name, plant in PLANTS.items()
    }
    complete = sum(count == len(usable) for count in caught.values())
    bad = [tf for tf, count in wrong.items() if count]
    if bad:
        count = sum(wrong.values())
        message = (
            f"{count:,} values on {_minutes(bad)} change when the future is taken away, or are not what the times say"
        )
        return _check("fail", complete, message, usable, count)
    if complete < len(PLANTS):
        missed = ", ".join(name for name, count in caught.items() if count < len(usable))
        return _check(
            "fail", complete, f"not proven: the planted look-ahead was not caught everywhere ({missed})", usable
        )
    message = (
        f"nothing shown on {_minutes(usable)} changes at {CUTS} cuts each, "
        f"and {complete} of {len(PLANTS)} planted look-aheads are caught"
    )
    return _check("pass", complete, message, usable)


def _misfit(message: str, base_minutes: int, usable: Sequence[int]) -> Check:
    fix = f"choose multiples of {base_minutes} min in [space.<mode>] fast_tf and slow_tf, or use finer candles"
    return _check("fail", 0, message, usable, fix=fix)


def _check(
    status: str, caught: int, message: str, usable: Sequence[int], contradictions: int = 0,
    fix: str = "use more data; if that does not help, this version must not be trusted on it",
) -> Check:  # fmt: skip
    return Check.model_validate(
        {
            "name": "timeframes",
            "status": status,
            "figure": caught,
            "limit": len(PLANTS),
            "unit": "plants",
            "message": message,
            "fix": "" if status == "pass" else fix,
            "detail": {"timeframes": list(usable), "contradictions": contradictions},
        }
    )


def _minutes(timeframes: Sequence[int]) -> str:
    return f"{', '.join(map(str, timeframes))} min"


def _places(bars: Bars, tf: int, rng: np.random.Generator) -> Ints:
    """int64 [PROBED_BARS]: in turn a bar anywhere, one that completes a window, and the one before such a bar."""
    kinds = [np.arange(len(bars))]
    for later in (1, 2):
        at = np.flatnonzero((bars.time + later * bars.base_ms) % (tf * MINUTE_MS) == 0)
        kinds.append(at if len(at) else kinds[0])
    third = -(-PROBED_BARS // len(kinds))
    places: Ints = np.column_stack([rng.choice(kind, third) for kind in kinds]).ravel()[:PROBED_BARS]
    return places


def _contradictions(build: Build, bars: Bars, tf: int, places: Ints, cuts: int) -> int:
    """How many shown values the two probes find wrong: the cut at the first `cuts` places, the definition at all."""
    full = _shown(build, bars, tf)
    count = 0
    for last in places[:cuts]:
        cut = _until(bars, int(last))
        count += int(_differ(full[:, : len(cut)], _shown(build, cut, tf)).any(axis=0).sum())
    for i in (0, *places, len(bars) - 1):
        start, close = defined(bars, tf, int(i))
        count += int(_differ(full[:2, i], np.array([start, close])).any())
    return count


def _until(bars: Bars, last: int) -> Bars:
    """Bars 0..last, without what was derived from the others."""
    time, (o, h, low, c, v) = bars.time[: last + 1], (column[: last + 1] for column in bars.columns)
    return replace(bars, time=time, open=o, high=h, low=low, close=c, volume=v)


def _shown(build: Build, bars: Bars, tf: int) -> Shown:
    built = build(bars, tf)
    newest = built.newest(len(bars))
    known = newest >= 0
    shown = np.full((3, len(bars)), np.nan)
    shown[0] = NOTHING
    for row, series in enumerate((built.start, built.close, ema(built.close, EMA_PERIOD))):
        shown[row, known] = series[newest[known]]
    return shown


def _differ(a: Shown, b: Shown) -> NDArray[np.bool_]:
    """Whether the bits differ: exact, and a NaN equals a NaN."""
    differ: NDArray[np.bool_] = np.ascontiguousarray(a).view(np.int64) != np.ascontiguousarray(b).view(np.int64)
    return differ


def defined(bars: Bars, tf_minutes: int, i: int) -> tuple[int, float]:
    """Start and close of the newest window known at the close of bar i, by the definition: the slow, plain way."""
    tf = tf_minutes * MINUTE_MS
    j = i
    if int(bars.time[i]) % tf + bars.base_ms < tf:
        # Bar i's own window is still open: look back to the last bar of the window before.
        while j >= 0 and int(bars.time[j]) // tf == int(bars.time[i]) // tf:
            j -= 1
    first = int(bars.time[0])
    if j < 0 or (int(bars.time[j]) // tf == first // tf and first % tf != 0):
        return NOTHING, float("nan")
    return int(bars.time[j]) // tf * tf, float(bars.close[j])
