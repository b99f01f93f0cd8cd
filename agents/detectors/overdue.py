"""When silence is too long: the quiet limit, and what counts as stuck.

    quiet limit = max(floor of the phase, 8 x EWMA of the step interval in this phase, 2 x next_s)

Stuck: quiet for one limit with under 1 % of a core used by all its processes, or for four limits whatever the CPU says
(CUDA waits spin, endless loops burn). State T for 30 s is stuck for any worker, a command job too.
"""

from dataclasses import dataclass
from typing import Final, Literal

from ...state.models.config import QuietFloor
from ...state.models.facts import Known, Missing, WorkerView
from ...state.models.names import is_command

EWMA_FACTOR: Final = 8.0
HINT_FACTOR: Final = 2.0
EWMA_WEIGHT: Final = 0.2
IDLE_SHARE: Final = 0.01
"""Of one core."""
WHATEVER_FACTOR: Final = 4.0
STOPPED_S: Final = 30.0
MISSED_TICKS: Final = 3
"""Without a cycle for so many ticks, all windows begin anew."""


@dataclass(frozen=True, slots=True, order=True)
class Overdue:
    """`reason`: of the stop. `why`: for people; `fact`: the field of the worker's view that shows it."""

    reason: Literal["stuck", "stopped"]
    why: str
    fact: str


def ewma(old_s: float | None, interval_s: float) -> float:
    """The average step interval with one more; None before the first of a phase."""
    return interval_s if old_s is None else old_s + EWMA_WEIGHT * (interval_s - old_s)


def quiet_limit_s(floors: QuietFloor, phase: str, interval_s: float | None, next_s: float | None) -> float:
    """How long this phase may be silent. `interval_s`: EWMA of the step interval; `next_s`: the worker's own hint."""
    floor = getattr(floors, phase) if phase in ("start", "load", "batch") else floors.other
    return max(float(floor), EWMA_FACTOR * (interval_s or 0.0), HINT_FACTOR * (next_s or 0.0))


def gap(gap_s: float, tick_s: float) -> bool:
    """Whether the daemon itself was away, so that nobody's silence says anything yet."""
    return gap_s > MISSED_TICKS * tick_s


def overdue(view: WorkerView) -> Overdue | None:
    """Why a worker that should be working is stuck, None if it is not or if what would tell is missing."""
    if view.stopped_s >= STOPPED_S and isinstance(view.proc_state, Known) and view.proc_state.known == "T":
        return Overdue("stopped", f"state T for {view.stopped_s:.0f} s", "stopped_s")
    if view.quiet_limit_s <= 0 or view.quiet_s < view.quiet_limit_s or is_command(view.job):
        return None
    if isinstance(view.progress, Missing) and view.state != "starting":
        return None
    return _quiet(view)


def _quiet(view: WorkerView) -> Overdue | None:
    said = f"no step for {view.quiet_s:.0f} s, limit {view.quiet_limit_s:.0f} s"
    used = view.quiet_cpu_s
    if isinstance(used, Known) and used.known < IDLE_SHARE * view.quiet_s:
        return Overdue("stuck", f"{said}, {100 * used.known / view.quiet_s:.1f} % of a core used", "quiet_s")
    # A process that nobody could look at may be gone; only one that was seen is killed for its silence.
    if view.quiet_s >= WHATEVER_FACTOR * view.quiet_limit_s and isinstance(view.proc_state, Known):
        return Overdue("stuck", f"{said}, four times over", "quiet_s")
    return None
