"""How a count follows a target without flapping.

    recommendation = ceil(count x target / measured), unless measured is within the tolerance band
    up    at most to max(count + step, count x factor) per period
    down  only to the largest recommendation of the last window, and only once the window is full

The form is that of Kubernetes' HorizontalPodAutoscaler (its stabilisation window and scaling policies). The target is
a floor, so the band lies above it: from the target to `band_pct` percent more nothing is done.
"""

import math
from dataclasses import dataclass
from typing import Final

from ...state.models.config import Scale
from ...state.models.records import Bucket

HOUR_S: Final = 3600.0
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Window:
    """Recommendations of the last `down_window_s`, oldest first, as (mono, count); falling: none that a later and
    larger one outlives. `since`: when it began without a gap."""

    since: float | None = None
    peaks: tuple[tuple[float, int], ...] = ()

    def add(self, mono: float, count: int, span_s: float) -> "Window":
        kept = tuple(one for one in self.peaks if one[0] > mono - span_s and one[1] > count)
        return Window(mono if self.since is None else self.since, (*kept, (mono, count)))

    def full(self, mono: float, span_s: float) -> bool:
        return self.since is not None and mono - self.since >= span_s

    @property
    def largest(self) -> int:
        return self.peaks[0][1] if self.peaks else 0


EMPTY: Final = Window()


def recommended(count: int, measured_pct: float, target_pct: float, band_pct: float) -> int:
    """Of a count that gives `measured_pct`, the smallest that would give the target if use grew with the count."""
    if count <= 0 or measured_pct <= 0:
        return count + 1
    if target_pct <= measured_pct <= target_pct * (1.0 + band_pct / 100.0):
        return count
    return max(1, math.ceil(count * target_pct / measured_pct - _ROUNDING))


def up_limit(count: int, scale: Scale) -> int:
    """How far one step may go up."""
    return max(count + scale.up_step, math.floor(count * scale.up_factor))


def trimmed(count: int, wanted: int, window: Window, mono: float, scale: Scale) -> int:
    """The next count: bounded up, patient down. `window` holds `wanted` already."""
    if wanted > count:
        return min(wanted, up_limit(count, scale))
    if wanted < count and window.full(mono, scale.down_window_s):
        return min(count, window.largest)
    return count


def flaps(bucket: Bucket | None, mono: float, scale: Scale) -> float:
    """Changes that may still be made. Half of an hour's are there at once and the other half come in its course, so
    that no hour has more than `flaps_per_hour`, wherever it begins."""
    size, per_s = max(1.0, scale.flaps_per_hour / 2), scale.flaps_per_hour / 2 / HOUR_S
    return size if bucket is None else bucket.at(mono, size, per_s)


def past(since: float | None, mono: float, span_s: float) -> bool:
    """Whether something has lasted: hysteresis in time. None: it is not so at present."""
    return since is not None and mono - since >= span_s


def lasting(since: float | None, now_so: bool, mono: float) -> float | None:
    """When a condition began, from cycle to cycle; None while it does not hold. The time of another boot is void."""
    if not now_so:
        return None
    return mono if since is None or since > mono else since
