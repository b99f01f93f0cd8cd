"""The kernels compiled once per session; where there is no g++, a skip that says so."""

import shutil
from ctypes import CDLL

import pytest

from .device import HostDevice, compiled


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> CDLL:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++ to compile the GPU's kernels for the CPU")
    return compiled(compiler, tmp_path_factory.mktemp("cuda_host"))


@pytest.fixture
def device(library: CDLL) -> HostDevice:
    return HostDevice(library)
