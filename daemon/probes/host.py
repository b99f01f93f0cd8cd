"""The machine: memory, CPU time, pids and disks, read by a thread of its own so that no disk ever holds up a cycle."""

import contextlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from ...state.models.facts import DiskView
from ...state.models.readings import Known, Missing, Reading
from ..admission import Capacity, capacity, control_groups, read_text
from ..ports import Clock, HostReadings
from ..workers.identity import TICKS_PER_S

BALLAST = "ballast"
KEPT_BYTES: Final = 1 << 16
NUMBER: Final = 40
"""Characters that a number and the blanks before it take at most."""
HELPERS: Final = 2
"""Threads that may hang at once."""


class Kept:
    """The first of these kernel files that there is, held open: a worker's end waits for what it says."""

    def __init__(self, *paths: Path) -> None:
        self._file: FileIO | None = None
        for path in paths:
            with contextlib.suppress(OSError):
                self._file = FileIO(str(path))
                break

    def text(self) -> str | None:
        """What it says now; None when it cannot be read."""
        if self._file is None:
            return None
        try:
            return os.pread(self._file.fileno(), KEPT_BYTES, 0).decode("ascii", "replace")
        except OSError:
            return None

    def number(self) -> int | None:
        text = (self.text() or "").strip()
        return int(text) if text.isdigit() else None


@dataclass(frozen=True)
class GroupMemory:
    """What one control group, version 1 or 2, may use and uses."""

    used: Kept
    limit: Kept
    stat: Kept
    events: Kept

    @classmethod
    def of(cls, folder: Path) -> "GroupMemory":
        return cls(
            Kept(folder / "memory.current", folder / "memory.usage_in_bytes"),
            Kept(folder / "memory.max", folder / "memory.limit_in_bytes"),
            Kept(folder / "memory.stat"),
            Kept(folder / "memory.events", folder / "memory.oom_control"),
        )

    def left_mb(self) -> float | None:
        """None without a limit."""
        limit = self.limit.number()
        if limit is None or limit >= 2**60 or (used := self.used.number()) is None:
            return None
        cache = _field(self.stat.text(), "total_inactive_file", "inactive_file") or 0
        return (limit - used + cache) / 2**20


class HostProbe:
    """`roots`: folders whose file systems are watched, by name. The newest readings are always at hand."""

    def __init__(self, clock: Clock, roots: Mapping[str, Path]) -> None:
        self._clock, self._roots = clock, dict(roots)
        self._groups = control_groups()
        self._meminfo, self._vmstat = Kept(Path("/proc/meminfo")), Kept(Path("/proc/vmstat"))
        self._limits = [GroupMemory.of(folder) for folder in self._groups.get("memory", ())]
        self._capacity: Capacity = capacity()
        self._wanted = threading.Event()
        self._ending = False
        self._readings = self._look({})
        self._asked: float | None = None
        self._answered = clock.mono()
        self._helper = 0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        thread = threading.Thread(target=self._work, args=(self._helper,), name="btswarm-host", daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        self._ending = True
        self._wanted.set()

    def look(self) -> None:
        """Everything, now, however long the disks take."""
        self._readings = self._look({name: self._disk(root) for name, root in self._roots.items()})

    def readings(self) -> HostReadings:
        return self._readings

    def refresh(self) -> None:
        if self._asked is None:
            self._asked = self._clock.mono()
        self._wanted.set()

    def asked_at(self) -> float | None:
        return self._asked

    def answered_at(self) -> float:
        return self._answered

    def restart(self) -> bool:
        """Leave the thread that hangs in some disk to it; False when HELPERS of them hang."""
        self._threads = [one for one in self._threads if one.is_alive()]
        if len(self._threads) >= HELPERS:
            return False
        self._helper += 1
        self._asked = None
        self.start()
        self.refresh()
        return True

    def memory(self) -> tuple[Reading[float], Reading[int]]:
        mono = self._clock.mono()
        return self._memory(mono), self._oom_kills(mono)

    def _work(self, helper: int) -> None:
        while self._wanted.wait() and not self._ending and helper == self._helper:
            self._wanted.clear()
            self._readings = self._look(self._readings.disk)
            disks = {name: self._disk(root) for name, root in self._roots.items()}
            if helper != self._helper:
                return  # it was left behind meanwhile: another one answers
            self._readings = self._look(disks)
            self._asked, self._answered = None, self._clock.mono()

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
        free = _field(self._meminfo.text(), "MemAvailable:")
        if free is None:
            return Missing("/proc/meminfo cannot be read", mono)
        left = [one for group in self._limits if (one := group.left_mb()) is not None]
        return Known(max(0.0, min([free / 1024, *left])), mono)

    def _oom_kills(self, mono: float) -> Reading[int]:
        """Of our control group if it counts them, else of the machine."""
        for group in self._limits[:1]:
            if (count := _field(group.events.text(), "oom_kill")) is not None:
                return Known(int(count), mono)
        count = _field(self._vmstat.text(), "oom_kill")
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
    lines = f"\n{text or ''}"
    for name in names:
        head = f"\n{name} "
        at = lines.find(head)
        words = lines[at + len(head) : at + len(head) + NUMBER].split(None, 1) if at >= 0 else []
        if words and words[0].isdigit():
            return float(words[0])
    return None


def _number(path: Path) -> int | None:
    text = read_text(path)
    return int(text) if text and text.isdigit() else None
