"""Checks on the plan and the host: enough trades to judge by, disk, memory, GPU."""

import os
import shutil
from pathlib import Path

import psutil

from ...state.engines import gpu_missing
from ...state.errors import BadData, GpuUnavailable
from ...state.models.config import MIN_TRADES
from ...state.models.preflight import Check
from ..backend import resolve
from ..bars import MINUTE_MS, Bars
from ..costs import Costs
from ..kernels import exact
from ..split import split
from ..strategies.api import Params
from ..strategies.mtf_ema import Space, draw

MB = 1 << 20
SAMPLE = 64
PROGRAM_MB = 400  # interpreter, libraries and compiled kernels
BYTES_PER_BAR = 48 * 4  # the candles, their training part, and the pyramids over it
BYTES_PER_VALUE = 16  # a window's close and its EMA
DEVICES = Path("/dev")


def trades_check(bars: Bars, space: Space, min_trades: int) -> Check:
    """The figure is the median number of trades of a sample of random combos on the training days.

    Nothing of how they did is looked at, and no bar from the embargo on.
    """
    try:
        training = split(bars).training(bars)
    except BadData as error:
        return Check(name="min_trades", status="skip", limit=min_trades, unit="trades", message=error.line())
    rows = draw(space, 0, 0, SAMPLE)
    usable = [Params.from_row(row) for row in rows]
    usable = [one for one in usable if one.fast_tf % bars.base_minutes == 0 and one.slow_tf % bars.base_minutes == 0]
    if not usable:
        message = f"no combo's timeframes are multiples of {bars.base_minutes} minutes"
        return Check(name="min_trades", status="skip", limit=min_trades, unit="trades", message=message)
    counts = sorted(len(exact.simulate(training, one, Costs(), space.leverage).trades) for one in usable)
    enough = sum(count >= min_trades for count in counts) / len(counts)
    low = min_trades < MIN_TRADES
    median = counts[len(counts) // 2]
    message = f"{enough:.0%} of {len(counts)} random combos make at least {min_trades} trades; the median is {median}"
    return Check(
        name="min_trades",
        status="fail" if low else "pass" if enough >= 0.5 else "warn",
        figure=median,
        limit=min_trades,
        unit="trades",
        message=message,
        fix=f"ask for at least {MIN_TRADES}" if low else "" if enough >= 0.5 else "more days would give more",
        detail={"sample": len(counts), "enough_pct": round(100 * enough, 1), "least": counts[0], "most": counts[-1]},
    )


def disk_check(folder: Path, floor_mb: int) -> Check:
    """The figure is the free space where the results go, in MiB."""
    folder = folder.absolute()
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(existing).free // MB
    writable = os.access(existing, os.W_OK)
    fine = free >= floor_mb and writable
    return Check(
        name="disk",
        status="pass" if fine else "fail",
        figure=free,
        limit=floor_mb,
        unit="MiB",
        message=f"{free:,} MiB free at {existing}" if writable else f"{existing} cannot be written",
        fix="" if fine else "free some space, or choose another folder",
    )


def memory_check(rows: int, base_ms: int, space: Space) -> Check:
    """The figure is the memory that may still be used, against an estimate of what the search takes."""
    need = needed_mb(rows, base_ms, space)
    free = available_mb()
    return Check(
        name="memory",
        status="pass" if free >= 2 * need else "warn" if free >= need else "fail",
        figure=free,
        limit=need,
        unit="MiB",
        message=f"{free:,} MiB available, the search takes about {need:,}",
        fix="" if free >= need else "stop other programs, or use fewer days",
    )


def needed_mb(rows: int, base_ms: int, space: Space) -> int:
    """Memory of a search over these candles: program, candles, and each distinct series once."""
    fast, slow = space.series()
    minutes = rows * base_ms // MINUTE_MS
    values = sum(minutes // tf for tf, _ in fast + slow)
    return PROGRAM_MB + (rows * BYTES_PER_BAR + values * BYTES_PER_VALUE) // MB


def available_mb(root: Path = Path("/")) -> int:
    """Memory this process may still take: the host's, or what its control group leaves if that is less."""
    free = psutil.virtual_memory().available
    for limit, used in (
        ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            free = min(free, int((root / limit).read_text()) - int((root / used).read_text()))
        except (OSError, ValueError):
            continue
    return int(max(0, free) // MB)


def gpu_check(engine: str, gpu: int | None) -> Check:
    """The figure is the number of NVIDIA devices this host shows. Raises BadConfig when the two wishes contradict."""
    devices = len([one for one in DEVICES.glob("nvidia*") if one.name[len("nvidia") :].isdecimal()])
    try:
        backend = resolve(engine, gpu)
    except GpuUnavailable as error:
        return Check(
            name="gpu", status="fail", figure=devices, limit=1, unit="devices", message=error.message, fix=error.fix
        )
    if backend.gpu >= 0:
        message = f"screening on GPU {backend.gpu}"
        return Check(name="gpu", status="pass", figure=devices, limit=1, unit="devices", message=message)
    if engine == "cpu" or gpu is not None:
        return Check(
            name="gpu", status="pass", figure=devices, limit=0, unit="devices", message="screening on the CPU, as asked"
        )
    message = f"screening on the CPU: {gpu_missing()}"
    return Check(name="gpu", status="warn", figure=devices, limit=1, unit="devices", message=message)
