"""What is asked of the NVIDIA driver before a GPU is used, against a driver that answers as it is told."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from btswarm.state import driver
from btswarm.state.driver import trouble, uuid_of, without_cupy

SOURCE = Path(__file__).with_name("fake_libcuda.c")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a driver that answers as it is told")
    path = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(path), str(SOURCE)], check=True)
    return str(path)


@pytest.fixture(autouse=True)
def _cupy_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "without_cupy", lambda _version: "")


def test_without_a_driver_that_is_what_is_said(tmp_path: Path) -> None:
    assert trouble(0, str(tmp_path / "libcuda.so.1")) == "there is no NVIDIA driver here (libcuda.so.1)"


@pytest.mark.parametrize(
    ("told", "index", "said"),
    [
        ("", 0, ""),
        ("count 4", 3, ""),
        ("init 100", 0, "the driver sees no GPU"),
        ("init 803", 0, "the NVIDIA driver does not start (error 803)"),
        ("count 0", 0, "there is none"),
        ("count 1", 1, "there is only 1, numbered from 0"),
        ("count 2", 7, "there are only 2, numbered from 0"),
        ("mode 2", 0, "its compute mode is Prohibited (nvidia-smi -c 0 as root allows it)"),
        ("major 7 minor 0", 0, "its compute capability is 7.0, at least 7.5 is needed"),
        ("major 7 minor 5", 0, ""),
        ("mode 3", 0, ""),  # exclusive: fine as long as nobody else is there, which shows later
    ],
)
def test_what_is_wrong_with_a_gpu_is_said_in_a_few_words(
    library: str, told: str, index: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA", told)
    assert trouble(index, library) == said


def test_the_uuid_of_a_device_is_written_as_the_driver_s_tools_do(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA", "count 2")
    assert uuid_of(1, library) == "GPU-10111213-1415-1617-1819-1a1b1c1d1e1f"
    monkeypatch.setenv("FAKE_CUDA", "uuid 801")
    assert uuid_of(0, library) == ""


def test_the_driver_s_own_version_is_what_cupy_is_held_against(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA", "version 12020")
    monkeypatch.setattr(driver, "without_cupy", lambda version: f"asked with {version}")
    assert trouble(0, library) == "asked with 12020"


@pytest.mark.parametrize(
    ("installed", "version", "said"),
    [
        (["cupy-cuda12x"], 12020, ""),
        (["cupy-cuda12x"], 13000, ""),
        (["cupy-cuda12x"], 11080, "the driver knows CUDA 11.8, CuPy here is made for CUDA 12.0"),
        (["cupy-cuda13x"], 12090, "the driver knows CUDA 12.9, CuPy here is made for CUDA 13.0"),
        (["cupy-cuda13x"], 13000, ""),
        ([], 12020, ""),  # a CuPy built from source: it says itself what it needs
    ],
)
def test_a_cupy_that_is_too_new_for_the_driver_is_told(
    installed: list[str], version: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    monkeypatch.setattr(driver, "_installed", lambda wheel: wheel in installed)
    assert without_cupy(version) == said


def test_without_cupy_the_extras_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert without_cupy(13000) == "CuPy is not installed (pip install 'btswarm[cuda12]' or 'btswarm[cuda13]')"
