"""The wheel is the checkout's rooms, no more and no less."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from .checkout import CHECKOUT, ROOMS, files, modules

SHIPPED = (".py", ".cu", ".css", ".html", ".j2", ".js", ".svg", ".service", ".slice", ".conf")
OPTIONAL = {"cupy", "cupy_backends", "pynvml", "libtmux"}
FRONT_DOOR = {"__init__.py", "__main__.py", "cli.py", "py.typed"}


def belonging() -> set[str]:
    """What a user needs of the checkout, by the folder and the kind of file."""
    rooms = {name for name in files() if name.split("/")[0] in (*ROOMS, "systemd") and name.endswith(SHIPPED)}
    return {f"btswarm/{name}" for name in FRONT_DOOR | rooms}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the build leaves nothing in the checkout and takes nothing that git does not know."""
    pytest.importorskip("setuptools", minversion="77", reason="the build backend is not installed")
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, copy / name, follow_symlinks=False)
    build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(out)], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_holds_what_git_says_belongs_in_it_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}
    assert held == belonging()


def test_the_wheel_installs_one_command_and_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        assert archive.read(names["entry_points.txt"]).decode().split() == [
            "[console_scripts]",
            "btswarm",
            "=",
            "btswarm.cli:main",
        ]
    assert "LICENSE" in names


def test_every_sub_package_is_listed() -> None:
    listed = set(project()["tool"]["setuptools"]["packages"])
    there = {".".join(("btswarm", *Path(name).parent.parts)) for name in modules()} | {"btswarm.systemd"}
    assert listed == there


def test_every_folder_of_python_files_is_a_package() -> None:
    folders = {Path(name).parent for name in modules(tests=True)}
    assert [
        str(folder) for folder in sorted(folders) if f"{folder}/__init__.py".removeprefix("./") not in files()
    ] == []


def test_the_base_install_needs_no_cuda() -> None:
    names = " ".join(project()["project"]["dependencies"])
    assert "cupy" not in names
    assert "cuda" not in names


def test_each_dependency_has_one_exact_version_to_set_up_from() -> None:
    lines = (CHECKOUT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(pin.count("==") == 1 and "@" not in pin and "/" not in pin for pin in pins)
    pinned = {pin.split("==")[0].lower().replace("_", "-") for pin in pins}
    assert required() <= pinned


def test_what_is_imported_is_what_is_declared() -> None:
    trees = [ast.parse((CHECKOUT / name).read_text()) for name in modules()]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    foreign = {name.split(".")[0] for name in named} - sys.stdlib_module_names
    assert foreign - OPTIONAL - {"llvmlite", "pydantic_core"} == required()  # halves of numba and pydantic


def required() -> set[str]:
    return {re.split(r"[<>=]", requirement)[0] for requirement in project()["project"]["dependencies"]}


def project() -> dict[str, dict[str, dict[str, list[str]]]]:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
