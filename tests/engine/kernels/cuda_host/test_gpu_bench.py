"""The benchmark of the GPU screen: its phases, and the work it counts."""

import numpy as np
import pytest

from btswarm.engine import bench_gpu as bench
from btswarm.engine.costs import Costs
from btswarm.engine.kernels import gpu
from btswarm.engine.strategies.mtf_ema import draw, space_for

from ...market import walk
from .device import HostDevice

SPACE = space_for("aggressive")
BARS = walk(days=30, seed=2)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's worth of measuring would take the shim minutes."""
    for name, value in {"READ_BYTES": 1 << 12, "ROUNDS": 2, "THREADS": 32, "BLOCKS": 2, "BATCH": 100}.items():
        monkeypatch.setattr(bench, name, value)


def test_every_second_belongs_to_a_phase_and_the_floor_is_what_was_counted(device: HostDevice) -> None:
    found = bench.bench_gpu(BARS, SPACE, 250, device)
    assert set(found["phases"]) == {"series", "generation", "events", "ranking", "transfer", "artifact"}
    assert found["seconds"] == pytest.approx(sum(found["phases"].values()), abs=1e-3)
    assert (found["backend"], found["device"], found["combos"]) == ("gpu", "host shim", 250)
    rates = found["read_bytes_per_s"], found["float64_per_s"]
    floor = max(found["bytes"] / rates[0], found["float64_operations"] / rates[1])
    assert found["floor_s"] == pytest.approx(floor, rel=1e-2)
    assert found["share_of_limit"] == pytest.approx(floor / found["seconds"], rel=0.05, abs=1e-3)


def test_the_work_that_is_counted_is_the_work_there_is(device: HostDevice) -> None:
    combos = draw(SPACE, 1, 0, 60)
    there = gpu.prepare(BARS, SPACE, device)
    shown = gpu.show(there, combos, Costs(), SPACE.leverage)
    work = shown.work
    blocks = {bank.minutes: points.blocks for bank, points in zip(there.layout.fast, there.layout.points, strict=True)}
    assert (work["groups"] == [-(-blocks[int(row[0])] // 32) + 1 for row in combos]).all()
    assert (work["blocks"] <= [blocks[int(row[0])] for row in combos]).all()
    assert (work["trades"] == shown.screened.trades).all()
    assert (work["bars"] >= work["trades"]).all()
    assert np.all(work["marks"] <= work["trades"] + there.days)
