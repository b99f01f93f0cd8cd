"""The machine: memory, CPU time, pids and disks, read by a thread of its own so that no disk ever holds up a cycle."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path

from ...state.models.facts import DiskView
from ...state.models.readings import Known, Missing, Reading
from ..admission import Capacity, capacity, control_groups, read_text
from ..ports import Clock, HostReadings
from ..workers.identity import TICKS_PER_S

BALLAST = "ballast"


class HostProbe:
    """`roots`: folders whose file systems are watched, by name. The newest readings are always at hand."""

    def __init__(self, clock: Clock, roots: Mapping[str, Path]) -> None:
        self._clock, self._roots = clock, dict(roots)
        self._groups = control_groups()
        self._capacity: Capacity = capacity()
        self._wanted = threading.Event()
        self._ending = False
        self._readings = self._look({})
        self._thread = threading.Thread(target=self._work, name="btswarm-host", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending = True
        self._wanted.set()

    def readings(self) -> HostReadings:
        return self._readings

    def refresh(self) -> None:
        self._wanted.set()

    def memory(self) -> tuple[Reading[float], Reading[int]]:
        mono = self._clock.mono()
        return self._memory(mono), self._oom_kills(mono)

    def _work(self) -> None:
        while self._wanted.wait() and not self._ending:
            self._wanted.clear()
            self._readings = self._look(self._readings.disk)
            self._readings = self._look({name: self._disk(root) for name, root in self._roots.items()})

    def _look(self, disk: Mapping[str, DiskView]) -> HostReadings:
        mono = self._clock.mono()
        self._capacity = capacity()
        busy, steal = cpu_times(read_text(Path("/proc/stat")), mono)
        return HostReadings(
            cpus=self._capacity.cpus,
            machine_cpus=float(os.cpu_count() or 1),
            mem_mb=self._capacity.mem_mb,
            pids_max=self._capacity.pids_max,
            cpu_busy_s=busy,
            cpu_steal_s=steal,
            mem_free_mb=self._memory(mono),
            oom_kills=self._oom_kills(mono),
            pids_used=self._pids(mono),
            disk=disk,
            ballast_mb=self._ballast(mono),
        )

    def _memory(self, mono: float) -> Reading[float]:
        """What the machine has available, or what is left of our limit if that is less."""
        free = _field(read_text(Path("/proc/meminfo")), "MemAvailable:")
        if free is None:
            return Missing("/proc/meminfo cannot be read", mono)
        left = [free / 1024]
        for folder in self._groups.get("memory", ()):
            used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes")
            limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
            if used is not None and limit is not None and limit < 2**60:
                cache = _field(read_text(folder / "memory.stat"), "total_inactive_file", "inactive_file") or 0
                left.append((limit - used + cache) / 2**20)
        return Known(max(0.0, min(left)), mono)

    def _oom_kills(self, mono: float) -> Reading[int]:
        """Of our control group if it counts them, else of the machine."""
        for folder in self._groups.get("memory", ())[:1]:
            for name in ("memory.events", "memory.oom_control"):
                if (count := _field(read_text(folder / name), "oom_kill")) is not None:
                    return Known(int(count), mono)
        count = _field(read_text(Path("/proc/vmstat")), "oom_kill")
        return Known(int(count), mono) if count is not None else Missing("no counter of OOM kills", mono)

    def _pids(self, mono: float) -> Reading[int]:
        for folder in self._groups.get("pids", ()):
            if (used := _number(folder / "pids.current")) is not None:
                return Known(used, mono)
        return Missing("no control group counts pids", mono)

    def _ballast(self, mono: float) -> Reading[float]:
        try:
            return Known(os.stat(self._roots["state"] / BALLAST).st_size / 2**20, mono)
        except FileNotFoundError:
            return Known(0.0, mono)
        except (OSError, KeyError) as error:
            return Missing(str(error), mono)

    def _disk(self, root: Path) -> DiskView:
        """Of a folder that is gone, and will be made again by the next who writes there, its disk is asked."""
        mono = self._clock.mono()
        try:
            found = os.statvfs(root)
            writable = not found.f_flag & os.ST_RDONLY and os.access(root, os.W_OK)
        except FileNotFoundError:
            return self._disk(root.parent)
        except OSError as error:
            missing = Missing(error.strerror or str(error), mono)
            return DiskView(missing, missing)
        return DiskView(Known(found.f_bavail * found.f_frsize / 2**20, mono), Known(bool(writable), mono))


def cpu_times(text: str | None, mono: float) -> tuple[Reading[float], Reading[float]]:
    """Busy and stolen CPU seconds of the whole machine since boot, from /proc/stat."""
    fields = (text or "").split("\n", 1)[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        missing = Missing("/proc/stat cannot be read", mono)
        return missing, missing
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(one) / TICKS_PER_S for one in fields[1:9])
    return Known(user + nice + system + irq + softirq, mono), Known(steal, mono)


def _field(text: str | None, *names: str) -> float | None:
    """The number behind the first of the names that heads a line."""
    found = {line.split()[0]: line.split()[1] for line in (text or "").splitlines() if len(line.split()) >= 2}
    return next((float(found[name]) for name in names if name in found and found[name].isdigit()), None)


def _number(path: Path) -> int | None:
    text = read_text(path)
    return int(text) if text and text.isdigit() else None
