"""What a launch submits: the file's plan, over it what the command line says, refused before anything is started."""

import os
from pathlib import Path
from typing import Any

import pytest

from btswarm import cli
from btswarm.daemon.commands.launch import _parser, plan_of
from btswarm.daemon.wishes import refuse_incomplete
from btswarm.state.config import load
from btswarm.state.errors import BadConfig, GpuUnavailable
from btswarm.state.plans import identity, overlay

FILE = """\
roots = { root = "root" }
plan = { symbols = ["SOL"], data_path = "candles" }
volume = { combos = 5000 }
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RESULTS_ROOT", "STATE_ROOT", "LOGS_ROOT", "KNOWLEDGE_ROOT", "BTSWARM_CONFIG", "SWARM_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "candles").mkdir()
    (tmp_path / "btswarm.toml").write_text(FILE)
    return tmp_path


def plan(*argv: str) -> dict[str, Any]:
    return plan_of(_parser().parse_args(list(argv)), load())


def test_the_file_s_plan_is_launched_as_it_stands(host: Path) -> None:
    assert plan() == {"plan": {"symbols": ["SOL"], "data_path": str(host / "candles")}, "volume": {"combos": 5000}}


@pytest.mark.usefixtures("host")
def test_the_command_line_wins_key_by_key() -> None:
    made = plan("--symbol=BTC,ETH", "--symbol=SOL,BTC", "--mode", "balanced", "--trials", "9", "--fee", "0.001",
                "--allow", "gaps", "--gpu", "-1", "--rounds", "2", "--data-path", "more")  # fmt: skip
    assert made["plan"] == {"symbols": ["BTC", "ETH", "SOL"], "modes": ["balanced"], "allow": ["gaps"],
                            "engine": "cpu", "rounds": 2, "data_path": os.path.abspath("more")}  # fmt: skip
    assert (made["volume"], made["costs"]) == ({"combos": 5000, "trials": 9}, {"fee": 0.001})
    assert overlay(load().config, made).plan.engine == "cpu"


def test_an_invented_market_stands_in_only_where_no_candles_are_named(host: Path) -> None:
    assert plan("--synthetic")["plan"]["data_path"] == str(host / "candles")
    (host / "btswarm.toml").unlink()
    assert plan("--synthetic")["plan"] == {"data_path": "synthetic"}
    with pytest.raises(BadConfig, match="names no data"):
        refuse_incomplete(overlay(load().config, plan()))


@pytest.mark.usefixtures("host")
def test_a_search_is_the_same_however_much_of_it_is_written_out() -> None:
    config = load().config
    said = plan("--mode", "conservative,balanced,aggressive", "--trials", "200")
    assert identity(overlay(config, {})) == identity(overlay(config, said))
    assert identity(overlay(config, {})) != identity(overlay(config, plan("--trials", "201")))


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("argv", "error"),
    [(["--engine=gpu"], GpuUnavailable), (["--gpu=0"], GpuUnavailable), (["--engine=cpu", "--gpu=0"], BadConfig)],
)
def test_an_engine_that_cannot_be_had_or_contradicts_itself_is_refused(argv: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        plan(*argv)


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--symbol", "SOL/"], 64, "plan.symbols"),
        (["--symbol", "SOL,SOLUSDT"], 64, "one market twice"),
        (["--trials", "0"], 64, "volume.trials"),
        (["--mode", "bold"], 64, "plan.modes"),
        (["--data-path", "/nowhere"], 66, "/nowhere"),
        (["--gpu", "1"], 69, "GPU 1"),
        (["--gpu", "many"], 2, "invalid int"),
        (["--data-path", ""], 64, "--data-path is empty"),
    ],
)
def test_a_plan_that_would_be_refused_starts_nothing(
    host: Path, argv: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if code == 2:
        with pytest.raises(SystemExit) as usage:
            cli.main(["launch", *argv])
        assert usage.value.code == 2
    else:
        assert cli.main(["launch", *argv]) == code
    assert words in capsys.readouterr().err
    assert not (host / "root").exists()


def test_without_data_nothing_is_started(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "btswarm.toml").write_text('roots = { root = "root" }\n')
    assert cli.main(["launch", "--symbol", "SOL"]) == 64
    assert capsys.readouterr().err.count("\n") == 1
    assert not (host / "root").exists()


def test_a_disabled_swarm_runs_the_plan_in_the_foreground(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_ENABLED", "false")
    called: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, argv: called.append(argv))
    cli.main(["launch", "--symbol=SOL", "--gpu=-1", "--trials=7", "--allow=gaps"])
    assert called[0][3:] == ["btswarm", "run", "--trials=7", "--gpu=-1", "--symbol=SOL", "--allow=gaps"]
    assert not (host / "root").exists()


@pytest.mark.parametrize("command", ["start", "ensure"])
@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ('{ symbols = ["SOL"] }', 64),
        ('{ data_path = "candles" }', 64),
        ('{ symbols = ["SOL"], data_path = "gone" }', 66),
        ("{ min_trades = 29 }", 64),
    ],
)
def test_nothing_is_started_on_a_plan_that_cannot_begin(
    host: Path, command: str, plan: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "btswarm.toml").write_text(f'roots = {{ root = "root" }}\nplan = {plan}\n')
    assert cli.main([command, "--via", "keep"]) == code
    assert capsys.readouterr().err.count("\n") == 1
    assert not (host / "root").exists()


def test_a_disabled_swarm_is_not_started_by_ensure(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWARM_ENABLED", "false")
    assert cli.main(["ensure", "--via", "keep"]) == 0
    assert "no daemon is started" in capsys.readouterr().out
    assert not (host / "root").exists()
