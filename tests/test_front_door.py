"""`btswarm`: light, clear about what it does not know, and every failure one line and a documented code."""

import ast
import errno
import os
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from btswarm import __version__, cli
from btswarm.state.errors import BadData, ExitCode

from .checkout import CHECKOUT

HEAVY = {
    *("arch", "jinja2", "matplotlib", "numba", "numpy", "optuna", "orjson", "pandas", "polars", "pydantic", "rich"),
    *("scipy", "sqlalchemy", "statsmodels", "structlog"),
}

Given = Callable[[Callable[[list[str]], int]], None]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Given:
    """Installs a command `given` that does what the test says."""
    monkeypatch.setenv("LOGS_ROOT", str(tmp_path / "logs"))
    monkeypatch.delenv(cli.SHOW_TRACEBACK, raising=False)

    def install(main: Callable[[list[str]], int]) -> None:
        module = types.ModuleType("btswarm.engine.commands.given")
        module.main = main  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(cli.COMMANDS, "given", cli.Command("engine.commands.given", "a test's command"))

    return install


def raising(error: BaseException) -> Callable[[list[str]], int]:
    def main(_argv: list[str]) -> int:
        raise error

    return main


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_pay_for_no_heavy_import(argument: str) -> None:
    script = f"import sys; from btswarm.cli import main; main([{argument!r}]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stderr.split())


@pytest.mark.parametrize("command", cli.COMMANDS.values(), ids=cli.COMMANDS)
def test_each_command_of_the_table_has_a_module_with_a_main(command: cli.Command) -> None:
    path = CHECKOUT / (command.module.replace(".", "/") + ".py")
    functions = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    assert "main" in functions


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert f"usage: btswarm {name}" in capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"  {name} " in said
        assert command.help in said


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"btswarm {__version__}\n"


def test_python_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "btswarm", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"btswarm {__version__}\n"


def test_an_unknown_command_is_a_usage_error_that_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["optimise"]) == ExitCode.USAGE
    assert capsys.readouterr().err == "btswarm: unknown command 'optimise'; did you mean optimize?\n"
    assert cli.main(["xyzzy"]) == ExitCode.USAGE
    assert "btswarm --help" in capsys.readouterr().err


def test_no_command_is_a_usage_error_that_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "usage: btswarm" in shown.err


def test_a_command_gets_its_arguments_and_gives_its_code(given: Given) -> None:
    seen: list[list[str]] = []

    def main(argv: list[str]) -> int:
        seen.append(argv)
        return 1

    given(main)
    assert cli.main(["given", "--json", "x"]) == 1
    assert seen == [["--json", "x"]]


@pytest.mark.parametrize(
    ("arguments", "what"), [(["--data-path", ""], "--data-path"), (["--data-path= "], "--data-path"), (["x", ""], "")]
)
def test_an_empty_argument_is_refused_before_a_default_takes_its_place(
    given: Given, capsys: pytest.CaptureFixture[str], arguments: list[str], what: str
) -> None:
    given(lambda _: pytest.fail("the command ran"))
    assert cli.main(["given", *arguments]) == ExitCode.BAD_CONFIG
    assert capsys.readouterr().err.startswith(f"btswarm: {what or 'an argument'} is empty; ")


def test_a_refusal_is_one_line_and_its_code(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    given(raising(BadData("x.csv: row 7\nhas no price", fix="remove it")))
    assert cli.main(["given"]) == ExitCode.BAD_DATA
    assert capsys.readouterr().err == "btswarm: x.csv: row 7 has no price; remove it\n"


def test_an_interrupt_says_how_to_go_on(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    given(raising(KeyboardInterrupt()))
    assert cli.main(["given"]) == ExitCode.STOPPED
    assert "run the same command again" in capsys.readouterr().err


def test_out_of_memory_is_told_apart_from_a_bug(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    given(raising(MemoryError()))
    assert cli.main(["given"]) == ExitCode.HOST_OOM
    assert "out of memory" in capsys.readouterr().err


def test_a_bug_is_one_line_that_names_where_the_traceback_lies(
    given: Given, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given(raising(ZeroDivisionError("oh\nno")))
    assert cli.main(["given", "--x"]) == ExitCode.BUG
    said = capsys.readouterr().err
    (log,) = (tmp_path / "logs").iterdir()
    assert said.count("\n") == 1
    assert str(log) in said
    kept = log.read_text()
    assert "Traceback (most recent call last)" in kept
    assert "'--x'" in kept


def test_a_bug_is_told_even_where_no_log_can_be_written(
    given: Given, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOGS_ROOT", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "file" / "below"))
    given(raising(ZeroDivisionError()))
    assert cli.main(["given"]) == ExitCode.BUG
    assert cli.SHOW_TRACEBACK in capsys.readouterr().err


def test_the_traceback_is_shown_to_who_asks_for_it(
    given: Given, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cli.SHOW_TRACEBACK, "1")
    given(raising(BadData("bad")))
    assert cli.main(["given"]) == ExitCode.BAD_DATA
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, ExitCode.CANNOT_WRITE), (errno.EACCES, ExitCode.PERMISSION), (errno.EISDIR, ExitCode.BUG)],
)
def test_the_machine_s_refusals_are_no_bugs(given: Given, number: int, code: ExitCode) -> None:
    given(raising(OSError(number, os.strerror(number), "/some/file")))
    assert cli.main(["given"]) == code


def test_a_reader_that_left_is_no_reason_to_complain() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "btswarm", "--help"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == cli.READER_LEFT
    assert done.stderr == ""
