"""How fast a prescreen on a GPU is: it is told, not demanded."""

from collections.abc import Callable
from pathlib import Path

from btswarm.engine.bench_gpu import bench_gpu
from btswarm.engine.kernels.device import Device
from btswarm.engine.strategies.mtf_ema import space_for

from ..engine.kernels.real import candles


def test_the_benchmark_accounts_for_all_its_time(
    device: Device, market_data: Path, record_property: Callable[[str, object], None]
) -> None:
    bars = candles(market_data, "SOLUSDT").last_days(730)
    found = bench_gpu(bars, space_for("aggressive"), 250_000, device)
    for name, value in found.items():
        record_property(name, value)
    assert 0.0 < found["share_of_limit"] <= 1.0
