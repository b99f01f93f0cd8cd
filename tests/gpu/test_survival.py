"""Memory that runs out for real, two lanes on one device, and what a killed worker leaves behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from btswarm.engine.costs import Costs
from btswarm.engine.kernels import gpu
from btswarm.engine.kernels.device import CudaOutOfMemory, Device
from btswarm.engine.strategies.mtf_ema import draw, space_for

from ..engine import test_worker
from ..engine.market import walk
from ..engine.runs import until
from ..engine.test_worker import data as data

SPACE = space_for("aggressive")
BARS = walk(days=60, seed=9)
RESERVE = 64 << 20
MANY = 200_000


def fill(device: Device, leave: int) -> list[Any]:
    """Take the device's memory but for about `leave` bytes."""
    held = []
    size = max(device.free_bytes() - leave, 0)
    while size >= 1 << 20:
        try:
            held.append(device.empty(size, "u1"))
        except CudaOutOfMemory:
            size //= 2
        size = min(size, max(device.free_bytes() - leave, 0))
    return held


def test_out_of_memory_is_met_with_smaller_launches_and_is_over_when_memory_is_back(device: Device) -> None:
    combos, there = draw(SPACE, 3, 0, MANY), gpu.prepare(BARS, SPACE, device)
    wanted = gpu.screen(there, combos, Costs(), 3.0)
    held = fill(device, leave=8 << 20)
    pace = gpu.Pace(size=len(combos))
    found = gpu.screen(there, combos, Costs(), 3.0, pace=pace)
    assert pace.most < gpu.MOST
    assert found.sharpe.tobytes() == wanted.sharpe.tobytes()
    del held
    assert gpu.screen(there, combos, Costs(), 3.0).sharpe.tobytes() == wanted.sharpe.tobytes()


def test_a_market_for_which_there_is_no_room_is_refused(device: Device) -> None:
    held = fill(device, leave=1 << 20)
    with pytest.raises(CudaOutOfMemory, match="the market takes"):
        gpu.prepare(walk(days=400, seed=1), SPACE, device)
    del held
    gpu.prepare(BARS, SPACE, device)


def lane(home: Path, data: Path, combos: int) -> subprocess.Popen[str]:
    job = test_worker.prescreen(
        home, data, gpu=0, volume={"combos": combos, "batch": 4096, "top_k": 10}, out_dir=str(home / "out")
    )
    return test_worker.started(test_worker.job_file(home, job))


def progress(home: Path) -> dict[str, Any]:
    path = home / "worker" / "progress.json"
    found: dict[str, Any] = orjson.loads(path.read_bytes()) if path.exists() else {}
    return found


def screening(home: Path) -> bool:
    return progress(home).get("phase") == "batch" and progress(home).get("step", 0) > 0


@pytest.mark.usefixtures("usable")
def test_two_lanes_on_one_gpu_both_leave_what_one_leaves(tmp_path: Path, data: Path) -> None:
    homes = [tmp_path / name for name in ("one", "two", "alone")]
    lanes = [lane(home, data, 200_000) for home in homes[:2]]
    assert [process.wait(300) for process in lanes] == [0, 0]
    assert lane(homes[2], data, 200_000).wait(300) == 0
    rows = [orjson.loads((home / "out" / "phase0_top500.json").read_bytes())["rows"] for home in homes]
    assert rows[0] == rows[1] == rows[2]


def test_the_memory_of_a_worker_that_is_killed_comes_back(device: Device, tmp_path: Path, data: Path) -> None:
    before = device.free_bytes()
    process = lane(tmp_path, data, 50_000_000)
    until(lambda: screening(tmp_path) or process.poll() is not None)
    assert process.poll() is None
    assert device.free_bytes() < before
    process.kill()
    process.wait()
    until(lambda: device.free_bytes() >= before - RESERVE)


@pytest.mark.usefixtures("usable")
def test_the_sanitizer_finds_nothing(tmp_path: Path) -> None:
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        pytest.skip("there is no compute-sanitizer here")
    script = (
        "from btswarm.tests.gpu.test_survival import BARS, SPACE\n"
        "from btswarm.engine.screens import open_device\nfrom btswarm.engine.kernels import gpu\n"
        "from btswarm.engine.costs import Costs\nfrom btswarm.engine.strategies.mtf_ema import draw\n"
        "there = gpu.prepare(BARS, SPACE, open_device(0))\ncombos = draw(SPACE, 3, 0, 200)\n"
        "gpu.screen(there, combos, Costs(), 3.0)\nlist(gpu.rank(there, combos, Costs(), 20, 5))\n"
        "gpu.show(there, combos[:20], Costs(), 3.0)\n"
    )
    for check in ("memcheck", "racecheck", "initcheck", "synccheck"):
        done = subprocess.run(
            [tool, "--tool", check, "--error-exitcode", "9", sys.executable, "-c", script],
            env={**os.environ, "CUPY_CACHE_DIR": str(tmp_path)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{check}: {done.stdout[-3000:]}"
