"""The shim tells what a GPU would only punish, and the records of Python are those of the kernels."""

from ctypes import CDLL

import numpy as np
import pytest

from btswarm.engine.kernels import layout

from .device import POISON, HostDevice


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        ("part_at_a_barrier", "3 of 32 threads reach a block's barrier"),
        ("part_in_a_warp", "a warp parted: 3 lanes exchange, 0 at a block's barrier, 29 done"),
    ],
)
def test_threads_that_part_are_told(device: HostDevice, kernel: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        device.launch(kernel, (1, 1), 32, device.zeros(1, np.int32))


def test_blocks_of_broken_warps_are_refused(device: HostDevice) -> None:
    with pytest.raises(AssertionError, match="whole warps"):
        device.launch("read_shared", (1, 1), 33, device.zeros(1, np.int32))


def test_shared_memory_is_poison_at_the_start_of_every_block(device: HostDevice) -> None:
    out = device.zeros(1, np.uint32)
    device.launch("read_shared", (3, 1), 32, out)  # the first thread of the last block wrote last, or a later thread
    assert out[0] in (7, int.from_bytes(bytes([POISON] * 4), "little"))
    one = device.zeros(1, np.uint32)
    device.launch("read_shared", (1, 1), 32, one)
    assert one[0] == out[0]


@pytest.mark.parametrize("name", ["Series", "Grid", "Market"])
def test_records_are_as_long_here_as_there(library: CDLL, name: str) -> None:
    assert getattr(layout, name.upper()).itemsize == library.host_size_of(name.encode())
