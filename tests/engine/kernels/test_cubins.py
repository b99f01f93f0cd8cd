"""The kernels compile for every generation of GPUs since Turing, and fit: registers and spills are bounded."""

import ctypes
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from btswarm.engine.kernels.device import OPTIONS, SOURCE

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
REGISTERS = {"screen": 96, "screen_listing": 128, "build_series": 64, "build_bounds": 64}
"""At most; 96 let five blocks of 128 threads live on a processor. All others: 40."""

SPILLED_BYTES = {"screen": 64, "screen_listing": 64}
"""At most, stored and loaded each; all others none."""

FOUND = re.compile(
    r"entry function '(?P<kernel>\w+)' for 'sm_(?P<architecture>\d+)'.*?(?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers",
    re.DOTALL,
)


def by_nvcc(folder: Path) -> str:
    """What ptxas says of all architectures, in one run."""
    codes = [word for one in ARCHITECTURES for word in ("-gencode", f"arch=compute_{one},code=sm_{one}")]
    output = folder / "screen.fatbin"
    command = ["nvcc", *OPTIONS, "--fatbin", *codes, "--threads", "2", "-Xptxas", "-v", "-o", str(output), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert output.stat().st_size > 100_000
    return done.stdout + done.stderr


def nvrtc() -> ctypes.CDLL | None:
    """NVRTC out of NVIDIA's wheel."""
    for name in ("nvidia.cuda_nvrtc", "nvidia.cu13"):
        spec = importlib.util.find_spec(name) if importlib.util.find_spec("nvidia") else None
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for library in sorted(Path(folder).glob("lib/libnvrtc.so.*")):
                return ctypes.CDLL(str(library))
    return None


def by_nvrtc(library: ctypes.CDLL) -> str:
    logs = []
    for architecture in ARCHITECTURES:
        program = ctypes.c_void_p()
        source = SOURCE.read_bytes()
        assert library.nvrtcCreateProgram(ctypes.byref(program), source, b"screen.cu", 0, None, None) == 0
        words = [*OPTIONS, f"-arch=sm_{architecture}", "--ptxas-options=-v"]
        options = (ctypes.c_char_p * len(words))(*(word.encode() for word in words))
        code = library.nvrtcCompileProgram(program, len(words), options)
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        library.nvrtcDestroyProgram(ctypes.byref(program))
        assert code == 0, log.value.decode()
        logs.append(log.value.decode())
    return "\n".join(logs)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """By nvcc, else by NVRTC."""
    if shutil.which("nvcc"):
        return by_nvcc(tmp_path_factory.mktemp("cubins"))
    library = nvrtc()
    if library is None:
        pytest.skip("there is neither nvcc nor NVIDIA's NVRTC wheel to compile for a GPU")
    return by_nvrtc(library)


@pytest.mark.slow
def test_every_kernel_compiles_for_every_architecture_within_its_bounds(
    said: str, record_property: Callable[[str, object], None]
) -> None:
    kernels = set(
        re.findall(r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(', SOURCE.read_text())
    )
    assert {"screen", "screen_listing", "build_series", "rank_cut"} < kernels
    found = list(figures(said))
    assert {(kernel, architecture) for kernel, architecture, *_ in found} == {
        (kernel, architecture) for kernel in kernels for architecture in ARCHITECTURES
    }
    for kernel, architecture, registers, spilled in found:
        record_property(f"{kernel}.sm_{architecture}", f"{registers} registers, {spilled} bytes spilled")
        assert registers <= REGISTERS.get(kernel, 40), f"{kernel} on sm_{architecture}"
        assert spilled <= SPILLED_BYTES.get(kernel, 0), f"{kernel} on sm_{architecture}"


def figures(said: str) -> Iterator[tuple[str, int, int, int]]:
    """(kernel, architecture, registers, bytes spilled)."""
    for one in FOUND.finditer(said):
        spilled = max(int(one["stores"]), int(one["loads"]))
        yield one["kernel"], int(one["architecture"]), int(one["registers"]), spilled


def test_contraction_is_off() -> None:
    assert "-fmad=false" in OPTIONS
