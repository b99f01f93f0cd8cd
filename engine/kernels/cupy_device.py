"""A GPU through CuPy: the one module that imports it, and only a lane with a GPU imports this one.

The kernels are compiled by NVRTC for the device at hand; CuPy keeps them in CUPY_CACHE_DIR, so that is done once.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import cupy
from cupy.cuda.compiler import CompileException
from cupy_backends.cuda.api.driver import CUDADriverError
from cupy_backends.cuda.api.runtime import CUDARuntimeError
from numpy.typing import DTypeLike, NDArray

from ...state.driver import EXTRAS, uuid_of
from ...state.errors import BtswarmError, GpuUnavailable
from .device import OPTIONS, SOURCE, Buffer, CudaContextDead, CudaOutOfMemory, Shape

OUT_OF_MEMORY = 2
GONE = {
    35: "the driver is too old for this CuPy",
    46: "another process has it to itself (compute mode Exclusive_Process), or it is being reset",
    100: "the driver sees no GPU",
    101: "there is no such GPU",
    802: "the system is not ready to use it",
    803: "the driver's kernel module and libraries are of different versions",
}
"""CUDA's errors that say the device cannot be used, and what is meant."""

FIX = "use --engine cpu, or --gpu -1"


class CupyDevice:
    """GPU `index` of those that CUDA_VISIBLE_DEVICES shows. Raises GpuUnavailable, with the reason."""

    def __init__(self, index: int) -> None:
        try:
            self._device = cupy.cuda.Device(index)
            self._device.use()
            self._pool = cupy.get_default_memory_pool()
            facts = cupy.cuda.runtime.getDeviceProperties(index)
            cupy.cuda.runtime.memGetInfo()  # the context is made here, and an exclusive device refuses
            self._kernels = cupy.RawModule(code=SOURCE.read_text(), options=OPTIONS, backend="nvrtc")
            self._kernels.compile()
        except (CUDARuntimeError, CUDADriverError) as error:
            why = GONE.get(error.status, _first_line(error))
            raise GpuUnavailable(f"GPU {index} cannot be used: {why}", fix=FIX) from error
        except (CompileException, ImportError, OSError, RuntimeError) as error:  # no NVRTC, or an old one
            raise GpuUnavailable(
                f"the kernels cannot be compiled for GPU {index}: {_first_line(error)}", fix=f"install anew: {EXTRAS}"
            ) from error
        self.name = facts["name"].decode()
        self.uuid = uuid_of(index)
        self.processors = int(facts["multiProcessorCount"])
        self._done = cupy.cuda.Event(block=True, disable_timing=True)  # waiting must not burn a core

    def put(self, values: NDArray[Any]) -> Buffer:
        with _told():
            return cupy.asarray(values)

    def empty(self, shape: Shape, dtype: DTypeLike) -> Buffer:
        with _told():
            return cupy.empty(shape, dtype)

    def zeros(self, shape: Shape, dtype: DTypeLike) -> Buffer:
        with _told():
            return cupy.zeros(shape, dtype)

    def get(self, buffer: Buffer, count: int | None = None) -> NDArray[Any]:
        self.wait()
        with _told():
            found: NDArray[Any] = buffer[:count].get()
        return found

    def address(self, buffer: Buffer) -> int:
        return int(buffer.data.ptr)

    def launch(self, kernel: str, grid: tuple[int, int], threads: int, *arguments: Any) -> None:
        with _told():
            self._kernels.get_function(kernel)(grid, (threads,), arguments)

    def wait(self) -> None:
        with _told():
            self._done.record()
            self._done.synchronize()

    def free_bytes(self) -> int:
        with _told():
            return int(cupy.cuda.runtime.memGetInfo()[0]) + int(self._pool.free_bytes())

    def used_mb(self) -> int:
        return int(self._pool.total_bytes()) >> 20


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """CUDA's errors as ours."""
    try:
        yield
    except cupy.cuda.memory.OutOfMemoryError as error:
        raise CudaOutOfMemory(_first_line(error)) from error
    except (CUDARuntimeError, CUDADriverError) as error:
        raise said_by_cuda(int(error.status), _first_line(error)) from error


def said_by_cuda(status: int, text: str) -> BtswarmError:
    """What an error of a call means once there is a context."""
    if status == OUT_OF_MEMORY:
        return CudaOutOfMemory(text)
    if status in GONE:
        return GpuUnavailable(f"the GPU is gone: {GONE[status]}", fix=FIX)
    return CudaContextDead(
        f"CUDA failed: {text}", fix="start anew; if it happens again, look for an Xid in the kernel log"
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
