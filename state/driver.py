"""Whether a GPU can be used, asked of the NVIDIA driver itself: it makes no CUDA context and takes no memory there."""

import ctypes
import importlib.util
from importlib.metadata import PackageNotFoundError, version

LIBRARY = "libcuda.so.1"
WHEELS = {"cupy-cuda12x": 12_000, "cupy-cuda13x": 13_000}
"""What each of them needs of the driver, as the driver says it: 1000 major + 10 minor."""

EXTRAS = "pip install 'btswarm[cuda12]' or 'btswarm[cuda13]'"
COMPUTE_MODE, MAJOR, MINOR = 20, 75, 76
PROHIBITED = 2
OLDEST = (7, 5)
NO_DEVICE = 100


def trouble(index: int, library: str = LIBRARY) -> str:
    """Why GPU `index` cannot be used, in a few words; empty if nothing is known against it.

    Whether another process has it to itself shows only when a context is made.
    """
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return f"there is no NVIDIA driver here ({LIBRARY})"
    if code := driver.cuInit(0):
        return "the driver sees no GPU" if code == NO_DEVICE else f"the NVIDIA driver does not start (error {code})"
    count = _asked(driver.cuDeviceGetCount)
    if index >= count:
        return f"there {'is' if count == 1 else 'are'} only {count}, numbered from 0" if count else "there is none"
    return _too_old(driver, index) or without_cupy(_asked(driver.cuDriverGetVersion))


def _too_old(driver: ctypes.CDLL, index: int) -> str:
    device = _asked(driver.cuDeviceGet, index)
    mode, *capability = (_asked(driver.cuDeviceGetAttribute, what, device) for what in (COMPUTE_MODE, MAJOR, MINOR))
    if mode == PROHIBITED:
        return "its compute mode is Prohibited (nvidia-smi -c 0 as root allows it)"
    if tuple(capability) < OLDEST:
        return f"its compute capability is {capability[0]}.{capability[1]}, at least {OLDEST[0]}.{OLDEST[1]} is needed"
    return ""


def uuid_of(index: int, library: str = LIBRARY) -> str:
    """As nvidia-smi writes it: GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx; empty if the driver does not tell."""
    driver = ctypes.CDLL(library)
    raw = ctypes.create_string_buffer(16)
    if driver.cuInit(0) or driver.cuDeviceGetUuid(raw, _asked(driver.cuDeviceGet, index)):
        return ""
    digits = raw.raw.hex()
    return "GPU-" + "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def without_cupy(driver_version: int) -> str:
    """Why CuPy cannot be used with a driver of this version; empty if it can."""
    if importlib.util.find_spec("cupy") is None:
        return f"CuPy is not installed ({EXTRAS})"
    needed = [least for wheel, least in WHEELS.items() if _installed(wheel)]
    if needed and driver_version < min(needed):
        return f"the driver knows CUDA {_release(driver_version)}, CuPy here is made for CUDA {_release(min(needed))}"
    return ""


def _installed(wheel: str) -> bool:
    try:
        version(wheel)
    except PackageNotFoundError:
        return False
    return True


def _release(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _asked(function: "ctypes._NamedFuncPointer", *arguments: int) -> int:
    """The number a driver function writes into its first argument; 0 when it fails."""
    value = ctypes.c_int(0)
    function(ctypes.byref(value), *arguments)
    return value.value
