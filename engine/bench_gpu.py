"""How fast the screen on a GPU is, phase by phase, and how near to what the device could do.

Only times and counts leave this module. The floor: the bytes and float64 operations that the screen asks for, counted
by its own kernel on a sample of the combos, over the rates that this device is measured to have.
"""

import time
from typing import Any

import numpy as np

from .bars import Bars
from .bench import MIN_TRADES, TOP_K, Phases, _write
from .costs import Costs
from .kernels import gpu
from .kernels.device import Device
from .kernels.layout import WARP, WORK
from .prescreen import BATCH, MARGIN
from .ranking import Ranking, distinct
from .screens import drawn
from .strategies.mtf_ema import Space, draw

SAMPLE = 1000
BYTES = {"groups": 16, "blocks": 16, "bars": 16, "tiles": 16, "marks": 16, "trades": 2}
"""What each lane reads in one step of each kind, as screen.cu is written: four float32 or int32, or two float64."""

OPERATIONS = {"groups": 0, "blocks": 0, "bars": 7, "tiles": 7, "marks": 40, "trades": 46}
"""Float64 operations of each lane; a division counts as ten, a trailing stop's as half there."""

READ_BYTES, ROUNDS, THREADS, BLOCKS = 8 << 20, 200, 256, 4096


def bench_gpu(bars: Bars, space: Space, combos: int, device: Device, *, seed: int = 0) -> dict[str, Any]:
    """Screen `combos` random combos of `space` over `bars` on a device that is warm.

    `seconds` is the whole screen: series, generation, events, ranking, transfer, writing the artifact. A combo is drawn
    while others are screened, so `generation` is only what the device had to wait for.
    """
    costs = Costs()
    _screen(bars, space, min(combos, 2048), device, costs, seed, Phases())  # compiles, and fills the memory pool
    phases = Phases()
    market, ranking = _screen(bars, space, combos, device, costs, seed, phases)
    _write(ranking)
    phases.add("artifact")
    seconds = sum(phases.seconds.values())
    work = gpu.show(market, draw(space, seed, 0, min(SAMPLE, combos)), costs, space.leverage).work
    steps = {name: float(work[name].mean()) for name in WORK.names or ()}
    asked_bytes = combos * WARP * sum(BYTES[name] * mean for name, mean in steps.items())
    operations = combos * WARP * sum(OPERATIONS[name] * mean for name, mean in steps.items())
    rates = measured_rates(device)
    floor_s = max(asked_bytes / rates["read_bytes_per_s"], operations / rates["float64_per_s"])
    return {
        "backend": "gpu",
        "device": device.name,
        "combos": combos,
        "bars": len(bars),
        "seconds": round(seconds, 4),
        "combos_per_s": round(combos / seconds, 1),
        "gbar_per_s": round(combos * len(bars) / seconds / 1e9, 4),
        "phases": {name: round(value, 4) for name, value in phases.seconds.items()},
        "steps_per_combo": {name: round(mean, 1) for name, mean in steps.items()},
        "bytes": round(asked_bytes),
        "float64_operations": round(operations),
        **{name: float(f"{rate:.4g}") for name, rate in rates.items()},
        "floor_s": float(f"{floor_s:.4g}"),
        "share_of_limit": round(floor_s / seconds, 4),
        "gpu_mem_mb": device.used_mb(),
    }


def _screen(
    bars: Bars, space: Space, combos: int, device: Device, costs: Costs, seed: int, phases: Phases
) -> tuple[gpu.GpuMarket, Ranking]:
    phases.restart()
    bars.cache.clear()
    market = gpu.prepare(bars, space, device)
    device.wait()
    phases.add("series")
    ranking, pace = Ranking(TOP_K + MARGIN), gpu.Pace()
    for batch in drawn(space, seed, 0, combos, BATCH):
        first = ranking.done
        phases.add("generation")
        for done, found in gpu.rank(
            market, batch, costs, ranking.keep, MIN_TRADES, distinct=distinct, pace=pace, lap=phases.add
        ):
            ranking.fold(first + found.numbers, batch[found.numbers], found.sharpe, found.feasible, first + done)
            phases.add("ranking")
    return market, ranking


def measured_rates(device: Device) -> dict[str, float]:
    """Bytes a second out of the caches, and float64 operations a second."""
    out, pairs = device.zeros(1, np.float64), device.zeros(READ_BYTES // 8, np.float64)
    count = READ_BYTES // 16

    def seconds(kernel: str, *arguments: Any) -> float:
        times = []
        for _ in range(3):
            device.wait()
            began = time.perf_counter()
            device.launch(kernel, (BLOCKS, 1), THREADS, *arguments, out)
            device.wait()
            times.append(time.perf_counter() - began)
        return min(times)

    read_s = seconds("measure_reads", pairs, np.int32(count), np.int32(ROUNDS))
    float64_s = seconds("measure_float64", np.float64(0.5), np.int32(ROUNDS))
    return {
        "read_bytes_per_s": READ_BYTES * ROUNDS / read_s,
        "float64_per_s": 16.0 * ROUNDS * BLOCKS * THREADS / float64_s,
    }
