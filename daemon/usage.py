"""How busy the host was over the last minute, and by whom."""

from collections import deque
from dataclasses import dataclass

from ..state.models.readings import Known, Missing, Reading, known
from .ports import HostReadings

WINDOW_S = 60.0
LEAST_S = 4.0


@dataclass(frozen=True, slots=True)
class _Point:
    """`mono` is when ours were summed up, `read` when the machine's were read: the probe is never waited for."""

    mono: float
    read: float
    busy_s: float
    steal_s: float
    ours_s: float
    spare_cpus: float


class Usage:
    """CPU time of engine workers and of everybody else, in percent of what this swarm may use."""

    def __init__(self) -> None:
        self._points: deque[_Point] = deque()

    def add(self, mono: float, readings: HostReadings, ours_s: float) -> None:
        """One look. `ours_s`: CPU seconds of all engine workers that ever were."""
        busy, steal = readings.cpu_busy_s, known(readings.cpu_steal_s)
        if not isinstance(busy, Known) or (self._points and busy.at <= self._points[-1].read):
            return
        spare = max(0.0, readings.machine_cpus - readings.cpus)
        self._points.append(_Point(mono, busy.at, busy.known, steal or 0.0, ours_s, spare))
        while len(self._points) > 2 and mono - self._points[1].mono >= WINDOW_S:
            self._points.popleft()

    def shares(self, cpus: float, mono: float) -> tuple[Reading[float], Reading[float]]:
        """Ours and the others' (steal among them), percent of `cpus` over the window."""
        if len(self._points) < 2 or self._points[-1].mono - self._points[0].mono < LEAST_S:
            missing = Missing("not yet measured", mono)
            return missing, missing
        first, last = self._points[0], self._points[-1]
        ours = (last.ours_s - first.ours_s) / (last.mono - first.mono)
        machine = last.busy_s - first.busy_s + last.steal_s - first.steal_s
        others = machine / (last.read - first.read) - ours - last.spare_cpus
        return Known(100 * max(0.0, ours) / cpus, last.mono), Known(100 * max(0.0, others) / cpus, last.mono)
