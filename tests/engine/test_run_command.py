"""`btswarm run` as a person or a script meets it: real processes, killed, stopped and started again."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from btswarm.engine.commands import prescreen as prescreen_command
from btswarm.engine.commands import run as run_command
from btswarm.engine.commands.run import display_of, plan_of
from btswarm.engine.reporters import JsonLines, Plain, Quiet
from btswarm.state.config import load
from btswarm.state.errors import BadConfig, BadData, CannotWrite, GpuUnavailable, InputGone

from .runs import COMMAND, candles, command, config_file, document, environment, start, until

LANE = Path("results/rounds/1/fg/SOLUSDT/balanced")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return candles(tmp_path_factory.mktemp("candles"))


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=180)
    return process.returncode, out, err


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    root = psutil.Process(process.pid)
    return [root, *root.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=30)
    return all(one.status() == psutil.STATUS_ZOMBIE for one in alive)


def logged(home: Path, text: str) -> Callable[[], bool]:
    path = home / LANE / "run.log"
    return lambda: path.is_file() and text in path.read_text()


def told(home: Path, trials: int) -> Callable[[], bool]:
    """So many trials are in the journal."""
    path = home / LANE / "study.journal"
    return lambda: path.is_file() and path.read_text().count('"state":1') >= trials


def trials(home: Path) -> dict[str, Any]:
    return document((home / LANE / "all_trials.json").read_text())


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_it_ends_with_everything_and_orphans_nobody(
    tmp_path: Path, data: Path
) -> None:
    arguments = command(tmp_path, data, "--json")
    moments = [
        lambda: (tmp_path / "results" / ".run.lock").exists(),
        logged(tmp_path, " preflight: "),
        logged(tmp_path, "Loaded Phase0 seed"),
        told(tmp_path, 40),
        logged(tmp_path, " optimize: "),
    ]
    for moment in moments:
        process = start(arguments, tmp_path)
        until(moment, process)
        processes = family(process)
        process.kill()
        finish(process)
        assert gone(processes)
        for path in (tmp_path / "results").rglob("*.json"):
            if ".workers" not in path.parts:
                json.loads(path.read_bytes())
    code, out, err = finish(start(arguments, tmp_path))
    assert code == 0, err
    summary = document(out)
    assert (summary["round"], summary["complete"]) == (1, True)
    stages = {one["stage"]: one["reused"] for one in summary["outcomes"][0]["stages"]}
    assert (stages["preflight"], stages["prescreen"], stages["optimize"]) == (True, True, True)
    assert trials(tmp_path)["header"]["told"] == 60
    assert len(list((tmp_path / "results" / "rounds").iterdir())) == 1
    assert not list((tmp_path / "results").rglob(".tmp-*"))
    looks = [line for line in (tmp_path / "state" / "search_ledger.jsonl").read_text().splitlines() if '"look"' in line]
    assert len(looks) == 1


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_after_ctrl_c_the_same_command_goes_on(tmp_path: Path, data: Path) -> None:
    arguments = command(tmp_path, data, "--workers", "2", trials=1000)  # enough to be met at work
    process = start(arguments, tmp_path)
    until(told(tmp_path, 10), process)
    workers = [one for one in family(process)[1:] if "btswarm.engine.worker" in one.cmdline()]
    assert len(workers) == 2
    workers[0].kill()
    until(logged(tmp_path, "ended with signal SIGKILL: started again"), process)
    processes = family(process)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 75
    assert "INTERRUPTED" in out
    assert "SIGINT: stopping" in err
    assert "Traceback" not in err
    assert gone(processes)
    code, out, err = finish(start(arguments, tmp_path))
    assert code == 0, err
    assert "prescreen: 300 combos" in err
    assert "done before" in err
    assert "UNCERTIFIED" in out
    assert trials(tmp_path)["header"]["told"] == 1000


@pytest.mark.slow
def test_a_second_run_in_the_same_folder_is_refused_while_the_first_goes_on(tmp_path: Path, data: Path) -> None:
    arguments = command(tmp_path, data, trials=5000)  # enough to be met at work
    first = start(arguments, tmp_path)
    until(logged(tmp_path, " preflight: "), first)
    code, out, err = finish(start(arguments, tmp_path))
    assert code == 77
    assert out == ""
    assert f"another run (pid {first.pid})" in err.splitlines()[-1]
    assert first.poll() is None
    first.terminate()
    assert finish(first)[0] == 75


@pytest.mark.slow
def test_a_file_size_limit_is_met_with_a_clear_line_and_code_73(tmp_path: Path, data: Path) -> None:
    text = 'ulimit -f 100; exec "$@"'
    arguments = command(tmp_path, data, trials=10)
    code, out, err = finish(start(["bash", "-c", text, "bash", *arguments], tmp_path))
    assert code == 73, err
    assert "cannot be written (File too large)" in out
    assert "Traceback" not in err
    code, out, err = finish(start(arguments, tmp_path))
    assert code == 0, err


def test_json_is_one_document_on_stdout_and_progress_is_on_stderr(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    options = ["--data-path", str(data), "--symbol", "sol/usdt", "--mode", "balanced", "--threads", "1"]
    volume = ["--prescreen", "60", "--trials", "5", "--paths", "5", "--config", str(config_file(tmp_path))]
    assert run_command.main([*options, *volume, "--json", "--progress", "json"]) == 0
    captured = capsys.readouterr()
    summary = document(captured.out)
    assert (summary["exit_code"], summary["outcomes"][0]["symbol"]) == (0, "SOLUSDT")
    events = [json.loads(line) for line in captured.err.splitlines()]
    assert {"say", "begin", "phase", "step", "line", "end"} <= {event["event"] for event in events}
    assert run_command.main([*options, *volume, "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "SOLUSDT balanced  UNCERTIFIED" in captured.out
    assert "training" in captured.out
    assert "hold-out" in captured.out
    assert "--new-round" in captured.out


@pytest.mark.slow
def test_on_a_terminal_there_are_bars_and_the_cursor_comes_back(tmp_path: Path, data: Path) -> None:
    reader, terminal = pty.openpty()
    arguments = command(tmp_path, data, "--threads", "1", trials=5, combos=60)
    process = subprocess.Popen(
        arguments, env=environment(tmp_path) | {"TERM": "xterm"}, cwd=tmp_path, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    seen = b""
    while chunk := read_terminal(reader):
        seen += chunk
    assert process.wait(timeout=60) == 0
    text = seen.decode()
    assert "━" in text
    assert "screening" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")
    assert "UNCERTIFIED" in text


def read_terminal(reader: int) -> bytes:
    try:
        return os.read(reader, 65536)
    except OSError:  # how Linux says that nobody is left at the other end
        return b""


def parsed(home: Path, *arguments: str) -> Any:
    return plan_of(run_command._parser().parse_args(arguments), load(None, environment(home), home))


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "btswarm.toml").write_text(
        '[plan]\nsymbols = ["SOLUSDT"]\nmodes = ["balanced"]\ndata_path = "candles"\ntrain_days = 365\n'
        "[volume]\ntrials = 7\npaths = 11\n[costs]\nfee = 0.001\n[space.balanced]\nleverage = 1.5\n"
        "[results]\nkeep_rounds = 2\n"
    )
    found = parsed(tmp_path)
    assert (found.symbols, found.modes, found.data) == (("SOLUSDT",), ("balanced",), str(tmp_path / "candles"))
    assert (found.volume.trials, found.volume.paths, found.volume.combos) == (7, 11, 250_000)
    assert (found.costs.fee, found.train_days, found.keep_rounds) == (0.001, 365, 2)
    assert found.space_of("balanced").leverage == 1.5
    found = parsed(
        tmp_path, "--symbol", "BTC,ETH", "--symbol", "BTC", "--mode", "aggressive", "--trials", "9", "--fee", "0"
    )
    assert (found.symbols, found.modes) == (("BTC", "ETH"), ("aggressive",))
    assert (found.volume.trials, found.volume.paths, found.costs.fee) == (9, 11, 0)


def test_failures_that_are_accepted_add_up(tmp_path: Path) -> None:
    (tmp_path / "btswarm.toml").write_text('[plan]\nallow = ["flat", "gaps"]\n')
    assert parsed(tmp_path, "--allow", "gaps", "--allow", "days").allow == ("flat", "gaps", "days")


def test_a_study_on_a_database_without_its_driver_is_refused_before_the_screen(tmp_path: Path) -> None:
    (tmp_path / "btswarm.toml").write_text('[storage]\nstudy = "mysql+nothing://host/name"\n')
    with pytest.raises(BadConfig, match=r"nothing"):
        parsed(tmp_path).check()


def test_with_nothing_given_the_market_is_invented_and_all_modes_are_searched(tmp_path: Path) -> None:
    found = parsed(tmp_path)
    assert (found.synthetic, found.symbols) == (True, ())
    assert found.modes == ("conservative", "balanced", "aggressive")
    assert found.results == tmp_path / "results"
    assert found.ledger == tmp_path / "state" / "search_ledger.jsonl"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--prescreen", "0"], BadConfig),
        (["--trials", "0"], BadConfig),
        (["--paths", "-1"], BadConfig),
        (["--seed", "-1"], BadConfig),
        (["--threads", "0"], BadConfig),
        (["--mode", "reckless"], BadConfig),
        (["--fee", "2"], BadConfig),
        (["--last-days", "-3"], BadConfig),
        (["--last-days", "nan"], BadConfig),
        (["--last-days", "inf"], BadConfig),
        (["--seed", str(2**63)], BadConfig),
        (["--prescreen", str(2**70)], BadConfig),
        (["--allow", "gap"], BadConfig),
        (["--allow", "order"], BadConfig),
        (["--engine", "cpu", "--gpu", "0"], BadConfig),
        (["--gpu", "0"], GpuUnavailable),
        (["--engine", "gpu"], GpuUnavailable),
        (["--data-path", "/nowhere"], InputGone),
        (["--data-path", ".", "--symbol", "SOL"], BadData),
        (["--data-path", "."], BadConfig),
    ],
)
def test_what_is_refused_is_refused_before_anything_is_written(
    tmp_path: Path, arguments: list[str], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        run_command.main([*arguments, "--quiet"])
    assert not list(tmp_path.iterdir())


def test_a_results_folder_that_cannot_be_written_is_refused_by_name(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    options = ["--data-path", str(data), "--symbol", "SOL", "--quiet", "--config", str(config_file(tmp_path))]
    with pytest.raises(CannotWrite, match="/proc/results"):
        run_command.main([*options, "--results", "/proc/results"])


def test_how_progress_is_shown_can_be_chosen() -> None:
    def shown(*arguments: str) -> type:
        return type(display_of(run_command._parser().parse_args(arguments)))

    assert shown("--quiet") is Quiet
    assert shown("--progress", "none") is Quiet
    assert shown("--progress", "plain") is Plain
    assert shown("--progress", "json") is JsonLines
    assert shown("--progress", "bars").__name__ == "Bars"


def test_prescreen_alone_leaves_the_artifact_where_it_is_told_and_prints_it(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    options = ["--data-path", str(data), "--symbol", "SOL", "--combos", "80", "--top-k", "5", "--seed", "3"]
    assert prescreen_command.main([*options, "--threads", "1", "--out", str(tmp_path / "out"), "--json"]) == 0
    found = document(capsys.readouterr().out)
    assert (found["header"]["seed"], found["header"]["volume"], len(found["rows"])) == (3, 80, 5)
    assert document((tmp_path / "out" / "phase0_top500.json").read_text()) == found
    assert prescreen_command.main([*options, "--threads", "1", "--out", str(tmp_path / "out"), "--quiet"]) == 0
    assert "SOLUSDT balanced: 80 combos" in capsys.readouterr().out
    for wrong in (["--combos", "0"], ["--top-k", "0"], ["--threads", "0"], ["--mode", "x"], ["--seed", "-1"]):
        with pytest.raises(BadConfig):
            prescreen_command.main([*options, "--out", str(tmp_path / "never"), *wrong, "--quiet"])
    assert not (tmp_path / "never").exists()


def test_help_needs_no_numerics(tmp_path: Path) -> None:
    text = "import sys; from btswarm.cli import main\ntry: main(['run', '--help'])\nexcept SystemExit: pass\n"
    text += "print([name for name in ('numba', 'optuna', 'polars', 'rich', 'pydantic') if name in sys.modules])"
    done = subprocess.run([COMMAND[0], "-P", "-c", text], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--new-round" in done.stdout
