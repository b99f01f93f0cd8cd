"""Figures of a benchmark: percentiles, ratios, and the weather they were taken in."""

import math
import os
import time
from collections.abc import Sequence
from typing import Any

from . import outside


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def spread(values_s: Sequence[float]) -> dict[str, Any]:
    """Of times in seconds, in milliseconds."""
    shares = {"min_ms": 0.0, "median_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1.0}
    return {"n": len(values_s), **{name: _ms(percentile(values_s, share)) for name, share in shares.items()}}


def ratio(ours: float | None, theirs: float | None) -> float | None:
    return round(ours / theirs, 3) if ours is not None and theirs else None


def ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Median against median, p99 against p99."""
    return {name: ratio(ours[f"{name}_ms"], theirs[f"{name}_ms"]) for name in ("median", "p99")}


class Weather:
    """What else the machine did while something was measured."""

    def __init__(self) -> None:
        self._mono, (self._busy, self._steal) = time.monotonic(), outside.machine_cpu_s()
        self._ours = 0.0
        self._begun: dict[int, float] = {}

    def ours(self, *pids: int) -> None:
        """These processes, and their buried children, are part of the measurement from now on."""
        self._begun.update({pid: outside.cpu_s(pid, dead=True) for pid in pids})

    def end(self, *pids: int) -> None:
        """These are about to end: what they used is noted."""
        for pid in pids:
            self._ours += outside.cpu_s(pid, dead=True) - self._begun.pop(pid, 0.0)

    def report(self) -> dict[str, Any]:
        """Share of all CPUs that others took, and that the hypervisor kept."""
        self.end(*list(self._begun))
        span_s = (time.monotonic() - self._mono) * (os.cpu_count() or 1)
        busy, steal = outside.machine_cpu_s()
        others = max(0.0, busy - self._busy - self._ours)
        return {
            "others_cpu_pct": round(100 * others / span_s, 1),
            "steal_pct": round(100 * (steal - self._steal) / span_s, 1),
            "load_1m": round(os.getloadavg()[0], 2),
            "span_s": round(time.monotonic() - self._mono, 1),
        }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 3)
