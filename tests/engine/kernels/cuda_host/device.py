"""A device for the screen that runs its kernels on the CPU: the same source, compiled by g++ with cuda_host.h."""

import ctypes
import mmap
import subprocess
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from btswarm.engine.kernels import device as room
from btswarm.engine.kernels.device import CudaOutOfMemory, Shape

HERE = Path(__file__).parent
KERNELS = Path(room.__file__).parent
POISON = 0xFB
PAGE = mmap.PAGESIZE
PROT_NONE = 0
FLAGS = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-fPIC", "-shared"]


def compiled(compiler: str, folder: Path) -> ctypes.CDLL:
    """host.cpp as a library."""
    library = folder / "screen_host.so"
    command = [compiler, *FLAGS, f"-I{KERNELS}", str(HERE / "host.cpp"), "-o", str(library)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    loaded = ctypes.CDLL(str(library))
    loaded.host_launch.restype = ctypes.c_char_p
    loaded.host_size_of.restype = ctypes.c_size_t
    return loaded


class HostDevice:
    """Every buffer ends at a page nobody may touch, and begins as poison. `limit`: bytes that may be held at once."""

    name = "host shim"
    uuid = "HOST-0"

    def __init__(self, library: ctypes.CDLL, limit: int = 1 << 40) -> None:
        self.library, self.limit = library, limit
        self.held = self.most = 0
        self.launches: list[tuple[str, int, int]] = []
        """Name, blocks and threads of each."""
        self.before_launch: Callable[[str], None] = lambda kernel: None

    def put(self, values: NDArray[Any]) -> NDArray[Any]:
        buffer = self.empty(values.shape, values.dtype)
        buffer[...] = values
        return buffer

    def empty(self, shape: Shape, dtype: DTypeLike) -> NDArray[Any]:
        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        if self.held + size > self.limit:
            raise CudaOutOfMemory(f"{size} bytes asked for, {self.limit - self.held} are free")
        pages = -(-max(size, 1) // PAGE)
        memory = mmap.mmap(-1, (pages + 1) * PAGE)
        whole = np.frombuffer(memory, dtype=np.uint8)
        whole[: pages * PAGE] = POISON
        _forbid(whole.ctypes.data + pages * PAGE)
        first = (pages * PAGE - size) // 8 * 8
        buffer = whole[first : first + size].view(kind).reshape(shape)
        self.held += size
        self.most = max(self.most, self.held)
        weakref.finalize(buffer, self._freed, size)
        return buffer

    def _freed(self, size: int) -> None:
        self.held -= size

    def zeros(self, shape: Shape, dtype: DTypeLike) -> NDArray[Any]:
        buffer = self.empty(shape, dtype)
        buffer[...] = 0
        return buffer

    def get(self, buffer: NDArray[Any], count: int | None = None) -> NDArray[Any]:
        return buffer[:count].copy()

    def address(self, buffer: NDArray[Any]) -> int:
        return int(buffer.ctypes.data)

    def launch(self, kernel: str, grid: tuple[int, int], threads: int, *arguments: Any) -> None:
        self.before_launch(kernel)
        self.launches.append((kernel, grid[0] * grid[1], threads))
        values = [self._argument(one) for one in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        said = self.library.host_launch(kernel.encode(), *grid, threads, pointers)
        if said is not None:
            raise AssertionError(f"{kernel}: {said.decode()}")

    def _argument(self, one: Any) -> Any:
        if isinstance(one, np.ndarray):
            return ctypes.c_uint64(self.address(one))
        return {np.int32: ctypes.c_int32, np.float64: ctypes.c_double}[type(one)](one.item())

    def wait(self) -> None:
        pass

    def free_bytes(self) -> int:
        return self.limit - self.held

    def used_mb(self) -> int:
        return self.held >> 20


def _forbid(page: int) -> None:
    assert ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(page), PAGE, PROT_NONE) == 0
