"""The GPU's kernels, run on the CPU, decide every trade as the exact simulator does and mark the same days."""

from ctypes import CDLL
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btswarm.engine.bars import Bars
from btswarm.engine.costs import Costs
from btswarm.engine.kernels import cpu, gpu
from btswarm.engine.kernels.device import Device
from btswarm.engine.kernels.parity import DECISION, Decisions, around_widest_gap, decisions, parity
from btswarm.engine.strategies.api import Combos, Params, combos_of
from btswarm.engine.strategies.mtf_ema import MODES, Space, draw, space_for
from btswarm.state.errors import BadConfig

from ...market import walk
from ..drawn import costs_of_any_kind, markets, random_market
from ..markets import market as candles_of
from ..real import candles
from ..test_screen import EDGES, as_bytes
from ..test_screen_equals_exact import small_combos, small_space
from .device import HostDevice


def told(shown: gpu.Shown) -> list[Decisions]:
    """The decisions in the exact simulator's form."""
    return [np.array([tuple(one) for one in row], dtype=DECISION) for row in shown.decisions]


def assert_equals_cpu(found: cpu.Screened, wanted: cpu.Screened) -> None:
    """Counts and equity to the last bit; sums, which are added in another order, up to their last ones."""
    assert found.trades.tobytes() == wanted.trades.tobytes()
    assert found.total_return.tobytes() == wanted.total_return.tobytes()
    assert found.max_drawdown_daily.tobytes() == wanted.max_drawdown_daily.tobytes()
    if found.sums is not None and wanted.sums is not None:
        np.testing.assert_allclose(found.sums, wanted.sums, rtol=1e-12, atol=1e-13)
    if found.segment_trades is not None and wanted.segment_trades is not None:
        assert found.segment_trades.tobytes() == wanted.segment_trades.tobytes()


def assert_equals_all(device: Device, bars: Bars, space: Space, combos: Combos, costs: Costs) -> int:
    """Equal to the CPU screen with and without segments, decision by decision; returns the number of trades."""
    prepared, there = cpu.prepare(bars, space), gpu.prepare(bars, space, device)
    edges = np.unique(np.array([0, prepared.days // 3, prepared.days // 2, prepared.days], dtype=np.int64))
    for segments in (None, edges):
        wanted = cpu.screen(prepared, combos, costs, space.leverage, segments=segments)
        found = gpu.screen(there, combos, costs, space.leverage, segments=segments)
        assert_equals_cpu(found, wanted)
    shown = gpu.show(there, combos, costs, space.leverage)
    assert_equals_cpu(shown.screened, wanted)
    for row, listed, expected in zip(combos, told(shown), decisions(prepared, combos, costs, wanted), strict=True):
        assert listed.tobytes() == expected.tobytes(), f"{Params.from_row(row)}"
    return int(wanted.trades.sum())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bars=markets(most=400),
    seed=st.integers(0, 2**32 - 1),
    costs=costs_of_any_kind(),
    leverage=st.sampled_from([1.0, 3.0, 20.0]),
)
def test_any_small_market_is_decided_as_on_the_cpu(
    device: HostDevice, bars: Bars, seed: int, costs: Costs, leverage: float
) -> None:
    space = small_space(bars.base_minutes, leverage)
    assert_equals_all(device, bars, space, small_combos(space, seed, 12), costs)


@pytest.mark.parametrize("gaps", [0.0, 0.05])
def test_thousands_of_bars_of_ties_are_decided_as_on_the_cpu(device: HostDevice, gaps: float) -> None:
    space = small_space(5)
    bars = random_market(12, 4000, 5, gaps=gaps)
    assert assert_equals_all(device, bars, space, small_combos(space, 5, 60), Costs(0.0, 0.0, 0.0003)) > 1000


def test_equal_prices_never_cross(device: HostDevice) -> None:
    space = small_space(5)
    there = gpu.prepare(candles_of([100.0] * 500), space, device)
    found = gpu.screen(there, small_combos(space, 1, 20), Costs(), 2.0)
    assert found.trades.sum() == 0
    assert np.isnan(found.sharpe).all()


@pytest.mark.parametrize("length", [1, 2, 3, 31, 32, 33, 64])
def test_markets_around_the_width_of_a_warp_are_screened(device: HostDevice, length: int) -> None:
    space = small_space(5)
    assert_equals_all(device, random_market(length, length, 5), space, small_combos(space, length, 20), Costs())


def test_ruin_at_fills_ends_the_trading(device: HostDevice) -> None:
    space = small_space(60, leverage=3.0)
    bars, combos = random_market(3, 1500, 60, level=8), small_combos(space, 3, 60)
    found = gpu.screen(gpu.prepare(bars, space, device), combos, Costs(), space.leverage)
    assert (found.total_return == -1.0).sum() > 20
    assert_equals_cpu(found, cpu.screen(cpu.prepare(bars, space), combos, Costs(), space.leverage))


def test_ruin_at_daily_marks_ends_the_trading(device: HostDevice) -> None:
    """With stops wider than 1 / leverage equity is gone at a close long before a stop."""
    space = small_space(240, leverage=12.0)
    bars, combos = random_market(8, 3000, 240, level=30), small_combos(space, 8, 80)
    found = gpu.screen(gpu.prepare(bars, space, device), combos, Costs(funding=0.001), space.leverage)
    assert (found.total_return == -1.0).sum() > 60
    assert_equals_cpu(found, cpu.screen(cpu.prepare(bars, space), combos, Costs(funding=0.001), space.leverage))


SPACE = space_for("balanced")
BARS = walk(days=60, seed=4)


@pytest.fixture(scope="module")
def there(library: CDLL) -> gpu.GpuMarket:
    return gpu.prepare(BARS, SPACE, HostDevice(library))


@pytest.fixture(scope="module")
def combos() -> Combos:
    return draw(SPACE, 2, 0, 300)


@pytest.mark.parametrize("threads", [32, 64, 128])
@pytest.mark.parametrize("blocks", [1, 3, 500])
def test_the_shape_of_a_launch_changes_no_byte(
    there: gpu.GpuMarket, combos: Combos, blocks: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = gpu.screen(there, combos[:70], Costs(), 2.0, segments=EDGES)
    monkeypatch.setattr(gpu, "THREADS", threads)
    found = gpu.screen(there, combos[:70], Costs(), 2.0, segments=EDGES, blocks=blocks)
    assert as_bytes(found) == as_bytes(wanted)
    assert_equals_cpu(found, cpu.screen(cpu.prepare(BARS, SPACE), combos[:70], Costs(), 2.0, segments=EDGES))


def test_neither_does_the_size_of_launches_and_progress_is_told_after_each(
    there: gpu.GpuMarket, combos: Combos
) -> None:
    wanted = gpu.screen(there, combos, Costs(), 2.0)
    done: list[int] = []
    pace = gpu.Pace(size=128, most=128)
    found = gpu.screen(there, combos, Costs(), 2.0, pace=pace, on_batch=done.append)
    assert as_bytes(found) == as_bytes(wanted)
    assert done == [128, 256, 300]


def test_no_combos_give_empty_arrays(there: gpu.GpuMarket) -> None:
    found = gpu.screen(there, combos_of([]), Costs(), 2.0, segments=EDGES)
    assert found.sharpe.shape == (0,)
    assert found.sums is not None
    assert found.sums.shape == (0, 5, 4)


@pytest.mark.parametrize(
    ("params", "named"),
    [
        (Params(15, 5, 60, 20, 0.0, 0.1, 0.0, "both"), "needs a stop_loss"),
        (Params(15, 5, 60, 20, 0.0004, 0.1, 0.0, "both"), "twice the slippage"),
        (Params(15, 5, 90, 20, 0.05, 0.1, 0.0, "both"), "slow_tf is not in the space"),
        (Params(15, 4, 60, 20, 0.05, 0.1, 0.0, "both"), "fast_period lies outside the space's 5-50"),
    ],
)
def test_what_it_cannot_screen_is_refused(there: gpu.GpuMarket, params: Params, named: str) -> None:
    with pytest.raises(BadConfig, match=named):
        gpu.screen(there, combos_of([params]), Costs(), 2.0)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("symbol", "gap"), [("SOLUSDT", False), ("BTCUSDT", True)], ids=["gap-free", "with the halt"])
def test_on_real_candles_every_demand_is_met_and_every_trade_is_equal(
    device: HostDevice, market_data: Path, symbol: str, mode: str, gap: bool
) -> None:
    everything = candles(market_data, symbol)
    bars = around_widest_gap(everything, 100) if gap else everything.last_days(100)
    assert bars is not None
    space = space_for(mode)
    there = gpu.prepare(bars, space, device)
    shown: list[gpu.Shown] = []

    def screen(_market: object, combos: Combos, costs: Costs, leverage: float, *, threads: int) -> cpu.Screened:
        shown.append(gpu.show(there, combos, costs, leverage))
        return shown[0].screened

    found = parity(
        cpu.prepare(bars, space), 200, seed=17, min_trades=5, screen=screen, listing=lambda *_: told(shown[0])
    )
    assert found.missing_bars == (16 if gap else 0)
    assert found.failures() == []
    assert found.trades > 1500
    assert (found.trade_counts_equal, found.trades_equal, found.top_kept) == (1.0, 1.0, found.top)
    assert found.sharpe_difference["1.0"] < 1e-9
