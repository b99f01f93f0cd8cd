"""A prescreen on a GPU leaves what one on the CPU leaves, finds room for itself, and never turns to the CPU."""

from ctypes import CDLL
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from btswarm.engine import prescreen, screens, worker
from btswarm.engine.costs import Costs
from btswarm.engine.kernels import cpu, gpu
from btswarm.engine.kernels.device import CudaContextDead, CudaOutOfMemory
from btswarm.engine.ranking import Ranking, distinct, feasible
from btswarm.engine.strategies.mtf_ema import draw, space_for
from btswarm.state.errors import ExitCode, GpuUnavailable, Stopped
from btswarm.state.models.artifacts import Phase0
from btswarm.state.models.jobs import Exit

from ... import test_prescreen, test_worker
from ...market import walk
from ...test_prescreen import Heard, job_for
from ...test_worker import data as data
from .device import HostDevice

BARS, SPACE, COMBOS, LEAST = test_prescreen.BARS, test_prescreen.SPACE, 400, 40


def on(device: HostDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every GPU is this one."""
    monkeypatch.setattr(prescreen, "open_device", lambda _index: device)


def screened(folder: Path, heard: Heard | None = None, **options: Any) -> Phase0:
    (path,) = prescreen.run(job_for(folder, combos=COMBOS, **options), BARS, heard or Heard())
    return Phase0.model_validate(orjson.loads(path.read_bytes()))


def rows(found: Phase0) -> list[tuple[int, dict[str, Any], dict[str, Any]]]:
    return [(row.combo, row.params, row.metrics) for row in found.rows]


def test_the_rows_are_those_of_the_cpu_and_it_says_where_it_ran(
    device: HostDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(device, monkeypatch)
    wanted, found = screened(tmp_path / "cpu"), screened(tmp_path / "gpu", gpu=0)
    assert rows(found) == rows(wanted)
    assert [row.screened_sharpe for row in found.rows] == pytest.approx([r.screened_sharpe for r in wanted.rows], 1e-9)
    assert (found.header.backend, wanted.header.backend) == ("gpu", "cpu")
    assert found.header.feasible == wanted.header.feasible


def test_half_a_screen_goes_on_on_the_gpu_and_not_on_the_cpu(
    device: HostDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(device, monkeypatch)
    whole = screened(tmp_path / "whole", gpu=0)
    for then, begins_at in ((0, 200), (-1, 0)):
        with pytest.raises(Stopped):
            screened(tmp_path / "half", Heard(stop_at=250), gpu=0)
        heard = Heard()
        found = screened(tmp_path / "half", heard, gpu=then)
        assert heard.started[0] == begins_at
        assert rows(found) == rows(whole)


@pytest.mark.parametrize("wanted", [1, 7, 60, 5000])
def test_the_ranking_is_that_of_the_cpu_though_most_combos_were_drawn_many_times(
    device: HostDevice, wanted: int
) -> None:
    narrow = space_for("aggressive", {
        "fast_period": [5, 6], "slow_period": [20, 21], "fast_tf": [15], "slow_tf": [60, 120],
        "stop_loss": [300, 301], "take_profit": [600, 601], "trailing_stop": [200, 200], "max_drawdown": 0.9,
    })  # fmt: skip
    bars = walk(days=40, seed=3)
    combos = draw(narrow, 4, 0, 400)
    assert distinct(combos) < 70
    here, there = cpu.prepare(bars, narrow), gpu.prepare(bars, narrow, device)
    expected, found = Ranking(wanted), Ranking(wanted)
    one = cpu.screen(here, combos, Costs(), narrow.leverage)
    expected.add(0, combos, one, feasible(one, narrow, 5))
    for done, part in gpu.rank(there, combos, Costs(), wanted, 5, distinct=distinct, pace=gpu.Pace(130, 130)):
        found.fold(part.numbers, combos[part.numbers], part.sharpe, part.feasible, done)
    assert found.numbers.tolist() == expected.numbers.tolist()
    assert (found.feasible, found.done) == (expected.feasible, 400)


def test_only_those_that_may_be_among_the_best_leave_the_device(device: HostDevice) -> None:
    combos = draw(SPACE, 7, 0, 1500)
    there = gpu.prepare(BARS, SPACE, device)
    ((done, found),) = gpu.rank(there, combos, Costs(), 30, 10, pace=gpu.Pace(size=4096))
    one = cpu.screen(cpu.prepare(BARS, SPACE), combos, Costs(), SPACE.leverage)
    best = np.sort(one.sharpe[feasible(one, SPACE, 10)])[::-1]
    assert done == 1500
    assert found.feasible == len(best)
    assert 30 <= len(found.numbers) < 300
    np.testing.assert_allclose(np.sort(found.sharpe)[::-1], best[: len(found.sharpe)], rtol=1e-9)


# room and time


def test_launches_that_find_no_room_are_halved_and_nothing_of_it_shows(
    library: CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "AIM_S", 1e9)
    combos, roomy, full = draw(SPACE, 7, 0, 600), HostDevice(library), HostDevice(library)
    wanted = gpu.screen(gpu.prepare(BARS, SPACE, roomy), combos, Costs(), SPACE.leverage)
    there = gpu.prepare(BARS, SPACE, full)
    full.limit = full.held + 300 * 100
    pace = gpu.Pace(size=600)
    found = gpu.screen(there, combos, Costs(), SPACE.leverage, pace=pace)
    assert found.sharpe.tobytes() == wanted.sharpe.tobytes()
    assert pace.size == pace.most == 300
    assert [blocks for name, blocks, _ in full.launches if name == "screen"] == [75, 75]
    assert full.held <= full.limit


def test_when_the_smallest_launch_finds_no_room_it_is_told_with_its_size(library: CDLL) -> None:
    full = HostDevice(library)
    there = gpu.prepare(BARS, SPACE, full)
    full.limit = full.held + 1000
    with pytest.raises(CudaOutOfMemory, match="no memory left for 128 combos") as found:
        gpu.screen(there, draw(SPACE, 7, 0, 600), Costs(), SPACE.leverage)
    assert (found.value.code, found.value.batch) == (ExitCode.CUDA_OOM, 128)


def test_a_market_that_does_not_fit_is_told_with_its_size(library: CDLL) -> None:
    with pytest.raises(CudaOutOfMemory, match=r"the market takes \d+ MB of GPU memory") as found:
        gpu.prepare(BARS, SPACE, HostDevice(library, limit=1 << 20))
    assert found.value.batch == 0


@pytest.mark.parametrize(
    ("size", "combos", "seconds", "then"),
    [
        (4096, 4096, 0.001, 16384),  # short: four times as many
        (4096, 4096, 0.025, 8192),  # as many as the time allows
        (65536, 65536, 0.5, 6553),  # long: at once fewer
        (128, 128, 60.0, 128),  # but never none
        (65536, 100, 1e-9, 65536),  # the rest of a batch tells little
        (1 << 18, 1 << 18, 0.001, 1 << 18),
    ],
)
def test_the_next_launch_is_as_long_as_a_display_bears(size: int, combos: int, seconds: float, then: int) -> None:
    pace = gpu.Pace(size)
    pace.took(combos, seconds)
    assert pace.size == then


def test_memory_does_not_grow_with_the_number_of_combos(library: CDLL) -> None:
    peaks = []
    for count in (200, 700):
        device = HostDevice(library)
        there = gpu.prepare(BARS, SPACE, device)
        for _ in gpu.rank(there, draw(SPACE, 7, 0, count), Costs(), 30, 10, pace=gpu.Pace(128, 128)):
            pass
        peaks.append(device.most)
    assert peaks[1] < peaks[0] + 100_000


# the worker


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "listen", lambda _worker: None)


def last_word(home: Path, data: Path, **changes: Any) -> Exit:
    path = test_worker.job_file(home, test_worker.prescreen(home, data, gpu=0, **changes))
    code = worker.main([str(path)])
    found = test_worker.last_word(path)
    assert found.code == code
    return found


def test_a_worker_out_of_gpu_memory_ends_with_72_and_the_batch(
    library: CDLL, tmp_path: Path, data: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = HostDevice(library)

    def fill(_kernel: str) -> None:  # by the first one all of the market is there
        device.limit = device.held

    device.before_launch = fill
    on(device, monkeypatch)
    found = last_word(tmp_path, data)
    assert (found.code, found.class_, found.batch) == (72, "cuda_oom", gpu.LEAST)


def test_a_worker_whose_context_dies_ends_with_76(
    device: HostDevice, tmp_path: Path, data: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(kernel: str) -> None:
        if kernel == "screen":
            raise CudaContextDead("CUDA failed: an illegal memory access was encountered")

    device.before_launch = fail
    on(device, monkeypatch)
    found = last_word(tmp_path, data)
    assert (found.code, found.class_) == (76, "cuda_context")


def test_a_worker_tells_what_it_took_of_the_gpu(
    device: HostDevice, tmp_path: Path, data: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(device, monkeypatch)
    found = last_word(tmp_path, data)
    assert (found.code, found.batch) == (0, None)
    assert found.peak_gpu_mb > 0


def test_without_a_gpu_the_job_ends_with_69_and_one_line(
    tmp_path: Path, data: Path, here: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "gpu_missing", lambda _index: "there is no NVIDIA driver here (libcuda.so.1)")
    found = last_word(tmp_path, data)
    assert (found.code, found.class_, found.artifacts) == (69, "gpu_lost", [])
    assert found.message == "GPU 0 cannot be used: there is no NVIDIA driver here (libcuda.so.1)"
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_cupy_that_does_not_load_is_a_gpu_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "gpu_missing", lambda _index: "")
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(GpuUnavailable, match="CuPy does not load"):
        screens.open_device(0)
