"""On a real GPU the kernels do what they do on the CPU, bit for bit, whatever the shape of a launch."""

from pathlib import Path

import numpy as np
import pytest

from btswarm.engine.bars import Bars
from btswarm.engine.costs import Costs
from btswarm.engine.kernels import cpu, gpu
from btswarm.engine.kernels.device import Device
from btswarm.engine.kernels.parity import around_widest_gap, parity
from btswarm.engine.strategies.api import Combos
from btswarm.engine.strategies.mtf_ema import MODES, draw, space_for

from ..engine.kernels.cuda_host.device import HostDevice
from ..engine.kernels.cuda_host.test_gpu_screen import assert_equals_all, assert_equals_cpu, told
from ..engine.kernels.drawn import random_market
from ..engine.kernels.real import candles
from ..engine.kernels.test_screen import EDGES, as_bytes
from ..engine.kernels.test_screen_equals_exact import small_combos, small_space
from ..engine.market import walk

SPACE = space_for("aggressive")
BARS = walk(days=60, seed=9)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("base", [1, 5, 60, 1440])
def test_random_small_markets_are_decided_as_on_the_cpu(device: Device, seed: int, base: int) -> None:
    space, bars = small_space(base, leverage=3.0), random_market(seed, 1 + 97 * seed, base)
    assert_equals_all(device, bars, space, small_combos(space, seed, 200), Costs(funding=0.0003))


def test_the_device_and_the_host_shim_agree_to_the_last_bit(device: Device, host: HostDevice) -> None:
    combos = draw(SPACE, 3, 0, 300)
    one = gpu.screen(gpu.prepare(BARS, SPACE, device), combos, Costs(), 3.0, segments=EDGES)
    other = gpu.screen(gpu.prepare(BARS, SPACE, host), combos, Costs(), 3.0, segments=EDGES)
    assert as_bytes(one) == as_bytes(other)


@pytest.mark.parametrize("threads", [32, 64, 128])
@pytest.mark.parametrize("blocks", [0, 1, 7, 5000])
def test_the_shape_of_a_launch_changes_no_byte(
    device: Device, blocks: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    combos, there = draw(SPACE, 3, 0, 5000), gpu.prepare(BARS, SPACE, device)
    wanted = gpu.screen(there, combos, Costs(), 3.0, segments=EDGES)
    monkeypatch.setattr(gpu, "THREADS", threads)
    assert as_bytes(gpu.screen(there, combos, Costs(), 3.0, segments=EDGES, blocks=blocks)) == as_bytes(wanted)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("symbol", ["SOLUSDT", "BTCUSDT"])
@pytest.mark.parametrize("gap", [False, True], ids=["gap-free", "with the halt"])
def test_five_thousand_combos_on_real_candles_trade_as_in_the_exact_simulator(
    device: Device, market_data: Path, symbol: str, mode: str, gap: bool
) -> None:
    everything = candles(market_data, symbol)
    bars = around_widest_gap(everything, 730) if gap else everything.last_days(730)
    assert bars is not None
    found, listed = compared(device, bars, mode, 5000)
    assert found == []
    assert listed > 100_000


def compared(device: Device, bars: Bars, mode: str, count: int) -> tuple[list[str], int]:
    """(demands that are not met, trades)."""
    space = space_for(mode)
    there = gpu.prepare(bars, space, device)
    shown: list[gpu.Shown] = []

    def screen(_market: object, combos: Combos, costs: Costs, leverage: float, *, threads: int) -> cpu.Screened:
        parts = (combos[start : start + 250] for start in range(0, len(combos), 250))  # a listing: a megabyte a combo
        shown.extend(gpu.show(there, part, costs, leverage) for part in parts)
        return gpu.screen(there, combos, costs, leverage)

    found = parity(
        cpu.prepare(bars, space), count, seed=17, screen=screen,
        listing=lambda *_: [one for part in shown for one in told(part)],
    )  # fmt: skip
    assert (found.trade_counts_equal, found.trades_equal) == (1.0, 1.0)
    return found.failures(), found.trades


def test_whole_streams_are_screened_as_on_the_cpu(device: Device, market_data: Path) -> None:
    bars = candles(market_data, "SOLUSDT").last_days(730)
    combos = draw(SPACE, 5, 0, 20_000)
    found = gpu.screen(gpu.prepare(bars, SPACE, device), combos, Costs(), 3.0)
    wanted = cpu.screen(cpu.prepare(bars, SPACE), combos, Costs(), 3.0, threads=8)
    assert_equals_cpu(found, wanted)
    np.testing.assert_allclose(found.sharpe, wanted.sharpe, rtol=1e-9)
