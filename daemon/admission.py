"""How much of the host this swarm may use, and whether one more worker fits. Reservations, not measurements."""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..state.models.facts import Observation
from ..state.models.readings import known
from ..state.models.records import ClaimsRecord

PIDS_SPARE = 32
"""For the daemon itself, its helpers, and a person's shell."""
Read = Callable[[Path], str | None]


@dataclass(frozen=True, slots=True)
class Capacity:
    """`cpus`: the smaller of affinity and quota. `mem_mb`: the smaller of the machine's and the limit."""

    cpus: float
    mem_mb: int
    pids_max: int | None


def read_text(path: Path) -> str | None:
    """The content of a kernel file, None when it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return None


def capacity(root: Path = Path("/"), read: Read = read_text, affinity: int | None = None) -> Capacity:
    """What affinity and the control groups above this process leave it, version 1 and 2. `root`: of /proc and /sys."""
    cpus = float(affinity or len(os.sched_getaffinity(0)))
    groups = control_groups(root, read)
    quotas = [quota for folder in groups.get("cpu", ()) if (quota := _quota(folder, read)) is not None]
    memory = [limit for folder in groups.get("memory", ()) if (limit := _memory(folder, read)) is not None]
    pids = [limit for folder in groups.get("pids", ()) if (limit := _number(read(folder / "pids.max"))) is not None]
    return Capacity(min([cpus, *quotas]), min([_machine_mb(root, read), *memory]), min(pids, default=None))


def control_groups(root: Path = Path("/"), read: Read = read_text) -> dict[str, list[Path]]:
    """Controller -> the folders of our group and all above it, innermost first. Version 2 serves every controller."""
    mounts = _mounts(root, read)
    found: dict[str, list[Path]] = {}
    for line in (read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",") if controllers else ["cpu", "memory", "pids", "cpuacct"]
        for name in names:
            base = mounts.get(name if controllers else "cgroup2")
            if base is not None and (controllers or name not in found):
                found[name] = [*(_chain(base, path)), *(found.get(name, ()) if controllers else ())]
    return found


def fits(observation: Observation, claims: ClaimsRecord, reserved: ClaimsRecord) -> str:
    """Why one more worker with these claims does not fit beside what is reserved; empty when it does.

    A missing reading never forbids by itself: the reservations do.
    """
    host, lanes = observation.host, observation.swarm.config.lanes
    if claims.cpus and reserved.cpus + claims.cpus > max(1.0, math.ceil(host.cpus)) + 1e-9:
        return f"{reserved.cpus:g} of {host.cpus:g} cpus are reserved, it claims {claims.cpus:g}"
    if host.mem_mb and reserved.mem_mb + claims.mem_mb + lanes.keep_free_mb > host.mem_mb:
        return f"{reserved.mem_mb} MB of {host.mem_mb} MB are reserved, it claims {claims.mem_mb} MB"
    used = known(host.pids_used) or 0
    if host.pids_max is not None and max(used, reserved.pids) + claims.pids + PIDS_SPARE > host.pids_max:
        return f"{max(used, reserved.pids)} of {host.pids_max} pids are taken, it claims {claims.pids}"
    return ""


def total(claims: Iterable[ClaimsRecord]) -> ClaimsRecord:
    """All claims together."""
    cpus, mem_mb, pids, gpu_mem_mb = 0.0, 0, 0, 0
    for one in claims:
        cpus, mem_mb, pids = cpus + one.cpus, mem_mb + one.mem_mb, pids + one.pids
        gpu_mem_mb += one.gpu_mem_mb
    return ClaimsRecord(cpus, mem_mb, pids, gpu_mem_mb)


def plus(one: ClaimsRecord, other: ClaimsRecord) -> ClaimsRecord:
    return total((one, other))


def _mounts(root: Path, read: Read) -> dict[str, Path]:
    """Controller (or `cgroup2`) -> where its hierarchy is mounted."""
    found: dict[str, Path] = {}
    for line in (read(root / "proc/self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        where = root / before.split()[4].lstrip("/")
        if kind == "cgroup2":
            found.setdefault("cgroup2", where)
        elif kind == "cgroup":
            for name in options.split(" ")[-1].split(","):
                found.setdefault(name, where)
    return found


def _chain(base: Path, path: str) -> list[Path]:
    """The group's folder and those above it. In a container its path may not exist below the mount: then the mount."""
    inside = base / path.lstrip("/")
    return [inside, *(one for one in inside.parents if one == base or base in one.parents)]


def _quota(folder: Path, read: Read) -> float | None:
    if text := read(folder / "cpu.max"):
        quota, _, period = text.partition(" ")
        return None if quota == "max" else int(quota) / int(period or 100_000)
    quota_us, period_us = _number(read(folder / "cpu.cfs_quota_us")), _number(read(folder / "cpu.cfs_period_us"))
    return quota_us / period_us if quota_us and period_us and quota_us > 0 else None


def _memory(folder: Path, read: Read) -> int | None:
    limit = _number(read(folder / "memory.max")) or _number(read(folder / "memory.limit_in_bytes"))
    return None if limit is None or limit >= 2**60 else limit >> 20


def _machine_mb(root: Path, read: Read) -> int:
    for line in (read(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) >> 10
    return 0


def _number(text: str | None) -> int | None:
    return int(text) if text and text.lstrip("-").isdigit() else None
