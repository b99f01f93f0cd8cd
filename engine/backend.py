"""Which device screens, and how many cores there are to use."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from ..state.engines import CPU, gpu_missing, wanted
from ..state.errors import BadConfig, GpuUnavailable

OVERSUBSCRIPTION = 4  # threads or processes per core; beyond it a host only swaps, and one slip of a digit ends it
LEAST_PARALLEL = 8


@dataclass(frozen=True)
class Backend:
    """`gpu`: index of the device, -1 for the CPU. `note`: what a person should know about the choice, or nothing."""

    name: str
    gpu: int
    note: str = ""


def resolve(engine: str = "auto", gpu: int | None = None) -> Backend:
    """The backend that is meant.

    Raises BadConfig for a contradiction, GpuUnavailable when a GPU is asked for and none can be used.
    """
    asked = wanted(engine, gpu)
    if asked == "cpu":
        return Backend("cpu", CPU)
    reason = gpu_missing(gpu or 0)
    if not reason:
        return Backend("gpu", gpu or 0)
    if asked == "gpu":
        raise GpuUnavailable(f"GPU {gpu or 0} cannot be used: {reason}", fix="use --engine cpu, or --gpu -1")
    return Backend("cpu", CPU, f"--engine auto: screening on the CPU, because {reason}")


def cores(root: Path = Path("/")) -> int:
    """Cores this process may use: the smaller of its affinity and its control groups' quotas, at least 1."""
    quota = min((_quota(folder) for folder in _control_groups(root)), default=math.inf)
    return max(1, int(min(len(os.sched_getaffinity(0)), quota)))


def parallel(name: str, value: int) -> int:
    """`value` threads or worker processes. Raises BadConfig below 1, or for far more than this host has cores."""
    most = max(LEAST_PARALLEL, OVERSUBSCRIPTION * cores())
    if not 1 <= value <= most:
        raise BadConfig(f"{name} must be from 1 to {most} on this host with {cores()} cores, not {value}")
    return value


def _control_groups(root: Path) -> list[Path]:
    """The folders of the control groups this process is in, up to the top: each of them may set a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        inner = Path(path.lstrip("/"))
        folders += [top / inner, *(top / parent for parent in inner.parents), top]
    return folders


def _quota(folder: Path) -> float:
    """Cores that `cpu.max` (v2: `max 100000`, `150000 100000`) or `cpu.cfs_quota_us` (v1) of a group allow."""
    try:
        if (folder / "cpu.max").is_file():
            allowed, period = (folder / "cpu.max").read_text().split()
        else:
            allowed, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return math.inf if allowed == "max" or int(allowed) <= 0 else int(allowed) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
