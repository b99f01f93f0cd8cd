"""How busy the host was over the last minute, and by whom."""

from collections import deque
from dataclasses import dataclass

from ..state.models.readings import Known, Missing, Reading, known
from .ports import HostReadings

WINDOW_S = 60.0
LEAST_S = 4.0


@dataclass(frozen=True, slots=True)
class _Point:
    mono: float
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
        busy, steal = known(readings.cpu_busy_s), known(readings.cpu_steal_s)
        if busy is None:
            return
        self._points.append(_Point(mono, busy, steal or 0.0, ours_s, max(0.0, readings.machine_cpus - readings.cpus)))
        while len(self._points) > 2 and mono - self._points[1].mono >= WINDOW_S:
            self._points.popleft()

    def shares(self, cpus: float, mono: float) -> tuple[Reading[float], Reading[float]]:
        """Ours and the others' (steal among them), percent of `cpus` over the window."""
        if len(self._points) < 2 or self._points[-1].mono - self._points[0].mono < LEAST_S:
            missing = Missing("not yet measured", mono)
            return missing, missing
        first, last = self._points[0], self._points[-1]
        window = last.mono - first.mono
        ours = last.ours_s - first.ours_s
        others = last.busy_s - first.busy_s - ours + last.steal_s - first.steal_s - last.spare_cpus * window
        room = cpus * window
        return Known(100 * max(0.0, ours) / room, last.mono), Known(100 * max(0.0, others) / room, last.mono)
