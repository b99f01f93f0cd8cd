"""The scripts set up a bare machine once, and never touch what is not theirs. A fake uv stands in for the installer."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from .checkout import CHECKOUT

UV = """#!/bin/bash
echo "$@" >>"$FAKE_UV/calls"
case $1 in
venv)
    folder=${*: -1}
    mkdir -p "$folder/bin"
    printf '#!/bin/bash\\n[[ $1 == -c ]] || echo ran "$@"\\n' >"$folder/bin/python"
    chmod +x "$folder/bin/python"
    ;;
pip) [[ ! -e $FAKE_UV/fails ]] || { echo "no such package"; exit 1; } ;;
esac
"""

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not installed")


@dataclass(frozen=True)
class Host:
    folder: Path

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    def start(self, script: str, *arguments: str, venv: Path | None = None) -> "subprocess.Popen[str]":
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environ = {**os.environ, "PATH": path, "FAKE_UV": str(self.folder), "VENV_PATH": str(venv or self.venv)}
        command = [str(CHECKOUT / "scripts" / script), *arguments]
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, script: str, *arguments: str, venv: Path | None = None) -> tuple[int, str, str]:
        process = self.start(script, *arguments, venv=venv)
        out, err = process.communicate()
        return process.returncode, out, err

    def calls(self, word: str) -> list[str]:
        path = self.folder / "calls"
        return [line for line in path.read_text().splitlines() if line.split()[0] == word] if path.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(UV)
    uv.chmod(0o755)
    return Host(tmp_path)


def test_the_first_call_sets_up_and_the_next_ones_do_not(host: Host) -> None:
    code, out, err = host.run("backtest-optimize", "--symbol", "a b")
    assert (code, out) == (0, "ran -P -m btswarm run --symbol a b\n")
    assert "setting up" in err
    code, out, err = host.run("backtest-optimize")
    assert (code, out, err) == (0, "ran -P -m btswarm run\n", "")
    assert len(host.calls("pip")) == 1
    assert "--constraint constraints.txt" in host.calls("pip")[0]


def test_parallel_gives_the_plan_to_the_swarm_and_has_an_invented_market_for_want_of_candles(host: Host) -> None:
    host.run("backtest-optimize")
    code, out, err = host.run("backtest-optimize", "--symbol", "SOL, BTC", "--parallel", "--gpu", "-1")
    assert (code, out, err) == (0, "ran -P -m btswarm launch --synthetic --symbol SOL, BTC --gpu -1\n", "")


def test_an_environment_for_tests_runs_the_program_but_not_the_other_way_round(host: Host) -> None:
    host.run("backtest-optimize")
    assert host.run("test", "-x")[1] == "ran -m pytest -x\n"
    assert "--group dev" in host.calls("pip")[-1]
    host.run("backtest-optimize")
    assert len(host.calls("pip")) == 2


def test_two_at_once_set_up_once(host: Host) -> None:
    both = [host.start("backtest-optimize") for _ in range(2)]
    assert [process.communicate()[0] for process in both] == ["ran -P -m btswarm run\n"] * 2
    assert len(host.calls("pip")) == 1


def test_a_half_built_environment_is_made_anew(host: Host) -> None:
    (host.folder / "fails").touch()
    code, _out, err = host.run("backtest-optimize")
    assert code == 69
    assert "no such package" in err
    (host.venv / "torn").touch()
    (host.folder / "fails").unlink()
    assert host.run("backtest-optimize")[0] == 0
    assert len(host.calls("venv")) == 2
    assert not (host.venv / "torn").exists()


def test_somebody_s_own_environment_is_installed_into_and_never_cleared(host: Host) -> None:
    subprocess.run([host.folder / "bin" / "uv", "venv", host.venv], env={**os.environ, "FAKE_UV": str(host.folder)})
    (host.venv / "theirs").touch()
    for fails in (True, False):
        (host.folder / "fails").touch() if fails else (host.folder / "fails").unlink()
        code, _out, _err = host.run("backtest-optimize", venv=host.venv / "bin" / "activate")
        assert (code == 0) is not fails
        assert (host.venv / "theirs").exists()
    assert len(host.calls("venv")) == 1


def test_a_folder_that_is_no_environment_is_refused_and_left_alone(host: Host) -> None:
    host.venv.mkdir()
    (host.venv / "thesis.txt").write_text("years of work")
    code, _out, err = host.run("backtest-optimize")
    assert code == 64
    assert "VENV_PATH" in err
    assert (host.venv / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "script", ["scripts/environment", "scripts/backtest-optimize", "scripts/test", "scripts/soak", ".ci/run"]
)
def test_each_script_is_valid_bash(script: str) -> None:
    subprocess.run(["bash", "-n", CHECKOUT / script], check=True)
