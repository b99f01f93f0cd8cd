"""The screen of a job, on the CPU or on a GPU: batches of combos go in, the best of them come to stand in a ranking."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from ..state.driver import EXTRAS
from ..state.engines import gpu_missing
from ..state.errors import GpuUnavailable
from .bars import Bars
from .costs import Costs
from .kernels import cpu
from .kernels.device import Device
from .ranking import Ranking, distinct, feasible
from .strategies import mtf_ema
from .strategies.api import Combos
from .strategies.mtf_ema import Space

OnDone = Callable[[int], None]


class Screen(Protocol):
    """One market, prepared. `backend` is cpu or gpu; `device` tells which one."""

    backend: str
    device: str

    def fold(self, ranking: Ranking, first: int, combos: Combos, on_done: OnDone) -> None:
        """Screen combos numbered from `first` and fold them into `ranking`; `on_done` is told how many are done."""

    def gpu_mem_mb(self) -> int:
        """Memory held on a GPU."""


class CpuScreen:
    backend = device = "cpu"

    def __init__(self, bars: Bars, space: Space, costs: Costs, min_trades: int, threads: int) -> None:
        self._market = cpu.prepare(bars, space, threads=threads)
        self._costs, self._min_trades, self._threads = costs, min_trades, threads

    def fold(self, ranking: Ranking, first: int, combos: Combos, on_done: OnDone) -> None:
        space = self._market.space
        screened = cpu.screen(
            self._market, combos, self._costs, space.leverage, threads=self._threads, on_batch=on_done
        )
        ranking.add(first, combos, screened, feasible(screened, space, self._min_trades))

    def gpu_mem_mb(self) -> int:
        return 0


class GpuScreen:
    """Raises CudaOutOfMemory when the market, or the smallest launch, does not fit."""

    backend = "gpu"

    def __init__(self, bars: Bars, space: Space, costs: Costs, min_trades: int, device: Device) -> None:
        from .kernels import gpu

        self.device = device.uuid
        self._on, self._gpu = device, gpu
        self._market = gpu.prepare(bars, space, device)
        self._costs, self._min_trades, self._pace = costs, min_trades, gpu.Pace()

    def fold(self, ranking: Ranking, first: int, combos: Combos, on_done: OnDone) -> None:
        launches = self._gpu.rank(
            self._market, combos, self._costs, ranking.keep, self._min_trades, distinct=distinct, pace=self._pace
        )
        for behind, found in launches:
            ranking.fold(first + found.numbers, combos[found.numbers], found.sharpe, found.feasible, first + behind)
            on_done(behind)

    def gpu_mem_mb(self) -> int:
        return self._on.used_mb()


def open_device(index: int) -> Device:
    """The GPU with this index, and no other. Raises GpuUnavailable with the reason why it cannot be used."""
    if why := gpu_missing(index):
        raise GpuUnavailable(f"GPU {index} cannot be used: {why}", fix="use --engine cpu, or --gpu -1")
    try:
        from .kernels.cupy_device import CupyDevice  # a CPU lane must never load CUDA
    except ImportError as error:
        raise GpuUnavailable(f"CuPy does not load: {error}", fix=f"install it anew: {EXTRAS}") from error
    device: Device = CupyDevice(index)
    return device


def drawn(space: Space, seed: int, first: int, total: int, size: int) -> Iterator[Combos]:
    """The combos first..total-1 of the stream in batches of `size`; the next one is drawn while this one is at work."""
    starts = range(first, total, size)
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = None
        for start in starts:
            batch = ahead or pool.submit(mtf_ema.draw, space, seed, start, min(start + size, total))
            after = start + size
            ahead = pool.submit(mtf_ema.draw, space, seed, after, min(after + size, total)) if after < total else None
            yield batch.result()
