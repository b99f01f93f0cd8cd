"""A real device for the tests of this folder; elsewhere each of them is skipped with the reason."""

from ctypes import CDLL

import pytest

from btswarm.engine.kernels.device import Device
from btswarm.engine.screens import open_device
from btswarm.state.driver import trouble

from ..engine.kernels.cuda_host.conftest import library as library
from ..engine.kernels.cuda_host.device import HostDevice


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here needs a GPU."""
    for item in items:
        if item.path.parent.name == "gpu":
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(scope="session")
def usable() -> None:
    if why := trouble(0):
        pytest.skip(f"no GPU to test on: {why}")


@pytest.fixture(scope="session")
def device(usable: None) -> Device:
    return open_device(0)


@pytest.fixture
def host(library: CDLL) -> HostDevice:
    return HostDevice(library)
