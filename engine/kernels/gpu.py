"""The screen on a GPU: cpu.py's question, asked of screen.cu in launches that neither fill nor hog a device.

Notation: K combos, S segments of days. A combo's figures depend neither on the size of a launch nor on its shape.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...state.errors import BadConfig
from ..bars import Bars, Floats, Ints
from ..costs import Costs
from ..strategies import api
from ..strategies.api import Combos, refuse_impossible
from ..strategies.mtf_ema import Space
from .cpu import Screened, rows_of
from .device import Buffer, CudaOutOfMemory, Device
from .layout import DECISION, GRID, MARKET, SERIES, WARP, WORK, Bank, Layout, lay_out
from .orders import MOMENTS

__all__ = ["GpuMarket", "Pace", "prepare", "rank", "screen", "show"]

THREADS = 128
BINS = 1 << 16  # of screen.cu
FIRST, LEAST, MOST = 1 << 12, 1 << 7, 1 << 18
GROWTH = 4
AIM_S = 0.05
"""How long a launch may take: a display on the same device stays usable, and no watchdog is near."""

Lap = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class GpuMarket:
    """A market on a device. `record`: its Market structure; `kept`: what the structure points at."""

    bars: Bars
    space: Space
    layout: Layout
    device: Device
    record: Buffer
    kept: tuple[Buffer, ...]

    @property
    def days(self) -> int:
        return self.layout.days


@dataclass
class Pace:
    """How many combos the next launch takes: more while launches are short, fewer when they find no time or room."""

    size: int = FIRST
    most: int = MOST

    def took(self, combos: int, seconds: float) -> None:
        """A launch of so many combos took so long."""
        fitting = int(combos * AIM_S / max(seconds, 1e-6))
        if fitting < self.size or combos >= self.size:  # a last, shorter launch tells little
            self.size = max(LEAST, min(fitting, GROWTH * self.size, self.most))

    def no_room(self, error: CudaOutOfMemory) -> None:
        """Halve for good. Raises `error`, told with the batch, when even the smallest launch finds no room."""
        if self.size <= LEAST:
            raise CudaOutOfMemory(
                f"the GPU has no memory left for {self.size} combos: {error.message}",
                fix="end what else uses the device, or screen fewer days",
                batch=self.size,
            ) from error
        self.size = self.most = max(LEAST, self.size // 2)


@dataclass
class Ranked:
    """The combos of one launch that may be among the best: `numbers` int64, indexes of `combos`, and `sharpe` float64.

    feasible: how many of the stretch may rank at all."""

    numbers: Ints
    sharpe: Floats
    feasible: int


@dataclass(frozen=True, eq=False)
class _Run:
    """What every launch over a market needs."""

    market: GpuMarket
    costs: Costs
    leverage: float
    edges: Ints

    @property
    def segments(self) -> int:
        return len(self.edges) - 1

    def launch(self, kernel: str, combos: Combos, blocks: int, *more: Any) -> tuple[Buffer, Buffer, Buffer]:
        """Queue one launch: (values, trades, sums) on the device."""
        device, count = self.market.device, len(combos)
        values = device.empty((count, 3), np.float64)
        trades = device.empty((count, self.segments), np.int32)
        sums = device.empty((count, self.segments * MOMENTS), np.float64)
        costs = self.costs
        device.launch(
            kernel,
            (blocks or -(-count * WARP // THREADS), 1),
            THREADS,
            self.market.record,
            device.put(combos),
            np.int32(count),
            *(np.float64(value) for value in (costs.fee, costs.slippage, costs.funding, self.leverage)),
            device.put(self.edges.astype(np.int32)),
            np.int32(self.segments),
            values,
            trades,
            sums,
            *more,
        )
        return values, trades, sums


def prepare(bars: Bars, space: Space, device: Device) -> GpuMarket:
    """Upload the market and build its series there.

    Raises BadConfig for a timeframe that is no multiple of the bars' own, CudaOutOfMemory when it does not fit.
    """
    layout = lay_out(bars, space)
    try:
        record, kept = _upload(layout, device)
    except CudaOutOfMemory as error:
        raise CudaOutOfMemory(
            f"the market takes {layout.nbytes >> 20} MB of GPU memory, and there is not so much: {error.message}",
            fix="end what else uses the device, or screen fewer days",
        ) from error
    most_rows = max(bank.rows for bank in (*layout.fast, *layout.slow))
    series = kept[0]
    device.launch("build_series", (-(-most_rows // WARP), len(layout.fast) + len(layout.slow)), WARP, series)
    most = max(layout.extremes // len(layout.fast) // THREADS, 1)
    device.launch("build_bounds", (min(most, 4096), len(layout.fast)), THREADS, record)
    return GpuMarket(bars, space, layout, device, record, kept)


def _upload(layout: Layout, device: Device) -> tuple[Buffer, tuple[Buffer, ...]]:
    """(the Market structure, the series first and then everything else it points at)."""
    kept: list[Buffer] = []

    def put(values: NDArray[Any]) -> int:
        kept.append(device.put(values))
        return device.address(kept[-1])

    def empty(count: int, dtype: type) -> int:
        kept.append(device.empty(max(count, 1), dtype))
        return device.address(kept[-1])

    def series(bank: Bank) -> tuple[int, ...]:
        return (
            empty(bank.values, np.float64), empty(bank.values, np.float32), put(bank.windows.close),
            bank.minutes, bank.first_period, bank.rows, len(bank.windows),
        )  # fmt: skip

    banks = np.array([series(bank) for bank in (*layout.fast, *layout.slow)], dtype=SERIES)
    slow_rows = sum(bank.rows for bank in layout.slow)
    grids = np.empty(len(layout.fast), dtype=GRID)
    for place, (bank, points) in enumerate(zip(layout.fast, layout.points, strict=True)):
        bounds = [empty(rows * points.blocks, np.float32) for rows in (bank.rows, bank.rows, slow_rows, slow_rows)]
        addresses = [put(values) for values in (points.at, points.fast_window, points.slow_window)]
        grids[place] = (*addresses, *bounds, len(points.fast_window), points.blocks)
    all_series = device.put(banks.view(np.uint8))
    first = device.address(all_series)
    record = np.zeros(1, dtype=MARKET)
    for name, values in layout.prices.items():
        record[name] = put(values)
    record["grids"], record["fast"] = put(grids.view(np.uint8)), first
    record["slow"] = first + len(layout.fast) * SERIES.itemsize
    record["bars"], record["days"] = layout.bars, layout.days
    record["fast_tfs"], record["slow_tfs"] = len(layout.fast), len(layout.slow)
    return device.put(record.view(np.uint8)), (all_series, *kept)


def screen(
    market: GpuMarket,
    combos: Combos,
    costs: Costs,
    leverage: float,
    *,
    threads: int = 1,
    segments: Ints | None = None,
    on_batch: Callable[[int], None] | None = None,
    pace: Pace | None = None,
    blocks: int = 0,
) -> Screened:
    """Screen `combos`, int32 [K, 8], like cpu.screen; `threads` is not used.

    pace: kept by the caller from one call to the next. blocks: of a launch, one warp for each combo by default. Raises
    also CudaOutOfMemory when not even the smallest launch finds room.
    """
    combos = _accepted(market, combos, costs)
    run = _Run(market, costs, leverage, _edges(market, segments))
    count, device = len(combos), market.device
    values = np.empty((count, 3), dtype=np.float64)
    trades = np.empty((count, run.segments), dtype=np.int32)
    sums = np.empty((count, run.segments, MOMENTS), dtype=np.float64)

    def work(part: slice) -> None:
        found = run.launch("screen", combos[part], blocks)
        values[part], trades[part] = device.get(found[0]), device.get(found[1])
        sums[part] = device.get(found[2]).reshape(-1, run.segments, MOMENTS)

    for done in _paced(count, pace or Pace(), work):
        if on_batch:
            on_batch(done)
    return Screened(
        sharpe=values[:, 0].copy(),
        total_return=values[:, 1].copy(),
        max_drawdown_daily=values[:, 2].copy(),
        trades=trades.sum(axis=1, dtype=np.int32),
        sums=None if segments is None else sums,
        segment_trades=None if segments is None else trades,
    )


def rank(
    market: GpuMarket,
    combos: Combos,
    costs: Costs,
    wanted: int,
    min_trades: int,
    *,
    distinct: Callable[[Combos], int] = len,
    pace: Pace | None = None,
    lap: Lap | None = None,
) -> Iterator[tuple[int, Ranked]]:
    """Screen and rank on the device, launch by launch: (combos done, those of the launch that may be among the best).

    At least the best `wanted` distinct ones of each launch are told, all of them where fewer may rank, in any order;
    `distinct` counts them. `lap` is told the name of each phase as it ends.
    """
    combos = _accepted(market, combos, costs)
    run = _Run(market, costs, market.space.leverage, _edges(market, None))
    found: list[Ranked] = []

    def work(part: slice) -> None:
        here = combos[part]
        values, trades, _ = run.launch("screen", here, 0)
        _lap(market.device, lap, "events")
        ranked = _ranked(run, here, values, trades, wanted, min_trades, distinct, lap)
        ranked.numbers += part.start
        found.append(ranked)

    for done in _paced(len(combos), pace or Pace(), work):
        yield done, found.pop()


def _ranked(
    run: _Run, combos: Combos, values: Buffer, trades: Buffer, wanted: int, min_trades: int,
    distinct: Callable[[Combos], int], lap: Lap | None,
) -> Ranked:  # fmt: skip
    device, count = run.market.device, len(combos)
    rules = (values, trades, np.int32(count), np.int32(min_trades), np.float64(run.market.space.max_drawdown))
    blocks = (min(-(-count // THREADS), 1024), 1)
    histogram, cut = device.zeros(BINS, np.int32), device.empty(3, np.int32)
    numbers, sharpe = device.empty(count, np.int32), device.empty(count, np.float64)
    device.launch("rank_count", blocks, THREADS, *rules, histogram)
    while True:
        device.launch("rank_cut", (1, 1), 256, histogram, np.int32(wanted), cut)
        device.launch("rank_collect", blocks, THREADS, *rules, cut, numbers, sharpe)
        _lap(device, lap, "ranking")
        _, feasible, told = (int(value) for value in device.get(cut))
        best = device.get(numbers, told).astype(np.int64)
        if told == feasible or distinct(combos[best]) >= wanted:
            break
        wanted = 2 * max(wanted, told)  # the same combo was drawn many times: look further down
    ranked = Ranked(best, device.get(sharpe, told), feasible)
    _lap(device, lap, "transfer")
    return ranked


@dataclass(frozen=True, eq=False)
class Shown:
    """screened; decisions: a DECISION array for each combo; work: WORK [K], how many steps each took."""

    screened: Screened
    decisions: list[NDArray[np.void]]
    work: NDArray[np.void]


def show(market: GpuMarket, combos: Combos, costs: Costs, leverage: float, *, blocks: int = 0) -> Shown:
    """Screen a few combos in one launch and tell every trade that was decided. Takes 16 bytes a possible trade."""
    combos = _accepted(market, combos, costs)
    run = _Run(market, costs, leverage, _edges(market, None))
    device, count = market.device, len(combos)
    room = max(len(points.at) for points in market.layout.points) + 1
    listed = device.empty(count * room * DECISION.itemsize, np.uint8)
    work = device.empty(count * WORK.itemsize, np.uint8)
    found = run.launch("screen_listing", combos, blocks, listed, np.int32(room), work)
    values, trades = device.get(found[0]), device.get(found[1])[:, 0]
    decisions = device.get(listed).view(DECISION).reshape(count, room)
    return Shown(
        Screened(values[:, 0].copy(), values[:, 1].copy(), values[:, 2].copy(), trades),
        [row[:many].copy() for row, many in zip(decisions, trades, strict=True)],
        device.get(work).view(WORK),
    )


def _accepted(market: GpuMarket, combos: Combos, costs: Costs) -> Combos:
    refuse_impossible(combos, costs, market.bars.base_minutes)
    if len(combos) and int(combos[:, api.STOP_LOSS].min()) == 0:
        raise BadConfig("the screen needs a stop_loss above 0", fix="simulate this configuration exactly instead")
    if not _inside(market.space, combos):
        rows_of(market.space, combos)  # which tells what is wrong, and takes its time
    return np.ascontiguousarray(combos, dtype=np.int32)


def _inside(space: Space, combos: Combos) -> bool:
    """The series of every combo are in the space, and so on the device: outside it a kernel would read anything."""
    if not len(combos):
        return True
    for column, (low, high) in ((api.FAST_PERIOD, space.fast_period), (api.SLOW_PERIOD, space.slow_period)):
        if combos[:, column].min() < low or combos[:, column].max() > high:
            return False
    for column, known in ((api.FAST_TF, space.fast_tf), (api.SLOW_TF, space.slow_tf)):
        if not np.logical_or.reduce([combos[:, column] == tf for tf in known]).all():
            return False
    return True


def _edges(market: GpuMarket, segments: Ints | None) -> Ints:
    edges = np.array([0, market.days], dtype=np.int64) if segments is None else segments
    if edges[0] != 0 or edges[-1] != market.days or np.any(np.diff(edges) <= 0):
        raise ValueError(f"segments must rise from 0 to the {market.days} days of the market")
    return edges


def _paced(count: int, pace: Pace, work: Callable[[slice], None]) -> Iterator[int]:
    """Call `work` on stretches of 0..count-1 at this pace; yields how many are done after each."""
    done = 0
    while done < count:
        size, began = min(pace.size, count - done), time.perf_counter()
        try:
            work(slice(done, done + size))
        except CudaOutOfMemory as error:
            pace.no_room(error)
            continue
        pace.took(size, time.perf_counter() - began)
        done += size
        yield done


def _lap(device: Device, lap: Lap | None, name: str) -> None:
    if lap:
        device.wait()
        lap(name)
