"""What the screen asks of a GPU: memory, copies, launches. CuPy answers (cupy_device.py); in tests a host shim does."""

from pathlib import Path
from typing import Any, Protocol

from numpy.typing import DTypeLike, NDArray

from ...state.errors import BtswarmError, ExitCode, FailureClass

SOURCE = Path(__file__).with_name("screen.cu")
OPTIONS = ("-std=c++17", "-fmad=false")  # contraction would change the last bits of decisions

Buffer = Any
"""An array on the device, of which only the device knows more."""

Shape = int | tuple[int, ...]


class Device(Protocol):
    """One GPU, in use by this process. Work is queued in order; `get` and `wait` return when it is done."""

    name: str
    uuid: str

    def put(self, values: NDArray[Any]) -> Buffer:
        """A copy of `values` on the device. Raises CudaOutOfMemory."""

    def empty(self, shape: Shape, dtype: DTypeLike) -> Buffer:
        """Memory that holds anything. Raises CudaOutOfMemory."""

    def zeros(self, shape: Shape, dtype: DTypeLike) -> Buffer:
        """Raises CudaOutOfMemory."""

    def get(self, buffer: Buffer, count: int | None = None) -> NDArray[Any]:
        """The first `count` rows of a buffer, all by default."""

    def address(self, buffer: Buffer) -> int:
        """Where it lies on the device."""

    def launch(self, kernel: str, grid: tuple[int, int], threads: int, *arguments: Any) -> None:
        """Queue a kernel of screen.cu; arguments are buffers and numpy scalars of the very types it declares."""

    def wait(self) -> None:
        """Until all that was queued is done."""

    def free_bytes(self) -> int:
        """Memory that could still be had."""

    def used_mb(self) -> int:
        """Memory this process holds there, context aside."""


class CudaOutOfMemory(BtswarmError):
    """The device has too little memory left. `batch`: combos of the launch that found no room, 0 for the market."""

    code = ExitCode.CUDA_OOM
    failure = FailureClass.CUDA_OOM

    def __init__(self, message: str, *, fix: str = "", batch: int = 0) -> None:
        super().__init__(message, fix=fix)
        self.batch = batch


class CudaContextDead(BtswarmError):
    """A kernel failed in a way that no later call of this process survives."""

    code = ExitCode.CUDA_CONTEXT
    failure = FailureClass.CUDA_CONTEXT
