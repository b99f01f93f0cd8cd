"""A CPU lane never loads CUDA, though CuPy and a driver are there: shown by what a real prescreen has mapped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from btswarm.state.errors import ExitCode

from ..state.test_driver import library as library
from .test_worker import data as data
from .test_worker import job_file, prescreen

LANE = """
import json, sys
from btswarm.engine import worker
code = worker.main([sys.argv[1]])
mapped = {line.split()[-1].rsplit("/", 1)[-1] for line in open("/proc/self/maps") if "/" in line}
print(json.dumps({"code": code, "mapped": sorted(mapped), "modules": sorted(sys.modules)}))
"""
CUPY = "import ctypes; ctypes.CDLL('libcuda.so.1')\n"
CUDA = ("libcuda", "libcudart", "libnvrtc", "libnvidia", "cupy", "pynvml")


@pytest.fixture
def host(tmp_path: Path, library: str) -> dict[str, str]:
    """The environment of a machine with a driver and a CuPy that uses it."""
    site, drivers = tmp_path / "site", tmp_path / "drivers"
    (site / "cupy").mkdir(parents=True)
    (site / "cupy" / "__init__.py").write_text(CUPY)
    drivers.mkdir()
    shutil.copy(library, drivers / "libcuda.so.1")
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "LD_LIBRARY_PATH": str(drivers)}


def lane(home: Path, data: Path, gpu: int, host: dict[str, str]) -> dict[str, Any]:
    path = job_file(home, prescreen(home, data, gpu=gpu))
    done = subprocess.run(
        [sys.executable, "-c", LANE, str(path)], env=host, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
    return found


def of_cuda(names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(CUDA)]


def test_a_cpu_lane_has_nothing_of_cuda_mapped_or_imported(tmp_path: Path, data: Path, host: dict[str, str]) -> None:
    found = lane(tmp_path, data, -1, host)
    assert found["code"] == ExitCode.OK
    assert any("libc.so" in name for name in found["mapped"])
    assert of_cuda(found["mapped"]) == of_cuda(found["modules"]) == []


def test_a_gpu_lane_on_the_same_machine_has(tmp_path: Path, data: Path, host: dict[str, str]) -> None:
    found = lane(tmp_path, data, 0, host)
    assert found["code"] == ExitCode.GPU_LOST  # this CuPy is hollow
    assert of_cuda(found["mapped"]) == ["libcuda.so.1"]
