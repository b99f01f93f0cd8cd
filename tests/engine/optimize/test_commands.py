"""`btswarm optimize` and `btswarm bench optimize` as they are called."""

import json
from pathlib import Path
from typing import Any

import pytest

from btswarm.cli import main
from btswarm.engine.artifacts import ALL_TRIALS, BEST
from btswarm.engine.ledger import Ledger
from btswarm.state.config import load as load_settings

from ..market import walk
from ..runs import write_candles

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with some training days before its hold-out."""
    return write_candles(tmp_path_factory.mktemp("candles"), walk(days=150, seed=3))


@pytest.fixture
def optimize(candles: Path, tmp_path: Path) -> Any:
    """`btswarm optimize` of eight trials, with further arguments; the exit code."""

    def called(*more: str) -> int:
        given = [
            "--data-path",
            str(candles),
            "--mode",
            "aggressive",
            "--out",
            str(tmp_path / "out"),
            "--progress",
            "none",
        ]
        return main(["optimize", *given, "--trials", "8", *more])

    return called


def last_line(captured: Captured) -> str:
    return captured.readouterr().err.splitlines()[-1]


def test_it_leaves_the_artifacts_prints_a_summary_and_enters_the_search(
    optimize: Any, tmp_path: Path, capsys: Captured
) -> None:
    assert optimize("--no-seeds") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("SOLUSDT aggressive: 8 trials, ")
    assert [line.split()[0] for line in printed.splitlines()[1:]] == list(BEST)
    assert all((tmp_path / "out" / name).exists() for name in (ALL_TRIALS, *BEST))
    (entry,) = Ledger(load_settings().roots.ledger).entries()
    assert (entry.kind, entry.stage, entry.volume) == ("search", "optimize", 8)


def test_what_is_not_given_is_what_is_configured(optimize: Any, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[costs]\nfee = 0.002\nslippage = 0.001\n[volume]\ntop_k = 1\n")
    own = ("--config", str(tmp_path / "own.toml"))
    assert optimize("--no-seeds", "--slippage", "0.0003", *own) == 0
    found = json.loads((tmp_path / "out" / ALL_TRIALS).read_bytes())["header"]["search"]["costs"]
    assert (found["fee"], found["slippage"]) == (0.002, 0.0003)
    assert main(["prescreen", "--combos", "50", "--out", str(tmp_path), "--quiet", *own]) == 0
    phase0 = json.loads((tmp_path / "phase0_top500.json").read_bytes())
    assert (phase0["header"]["costs"]["fee"], len(phase0["rows"])) == (0.002, 1)


def test_json_is_the_artifact(optimize: Any, tmp_path: Path, capsys: Captured) -> None:
    assert optimize("--no-seeds", "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / ALL_TRIALS).read_bytes())


def test_it_begins_at_what_prescreen_left_in_the_same_folder(
    optimize: Any, candles: Path, tmp_path: Path, capsys: Captured
) -> None:
    given = ["--data-path", str(candles), "--mode", "aggressive", "--out", str(tmp_path / "out"), "--progress", "none"]
    assert main(["prescreen", *given, "--combos", "300", "--top-k", "20"]) == 0
    assert optimize("--progress", "plain") == 0
    assert "Loaded Phase0 seed: SOLUSDT/aggressive n=" in capsys.readouterr().err


def test_without_seeds_it_says_where_it_looked_and_what_to_do(optimize: Any, tmp_path: Path, capsys: Captured) -> None:
    assert optimize() == 66
    said = last_line(capsys)
    assert str(tmp_path / "out") in said
    assert "--no-seeds" in said
    assert optimize("--phase0-seed-dirs", f"{tmp_path}/a,{tmp_path}/b") == 66
    assert f"{tmp_path}/a, {tmp_path}/b" in last_line(capsys)


@pytest.mark.parametrize(
    "more",
    [
        ("--gpu", "0"),
        ("--workers", "0"),
        ("--trials", "0"),
        ("--seed", "-1"),
        ("--seed", str(2**64)),
        ("--last-days", "nan"),
        ("--last-days", "inf"),
        ("--storage", "sqlite://"),
        ("--storage", "memory"),
        ("--mode", "reckless"),
    ],
)
def test_what_is_refused_is_refused_in_one_line(optimize: Any, capsys: Captured, more: tuple[str, str]) -> None:
    assert optimize("--no-seeds", *more) == 64
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_no_feasible_trial_is_exit_one_with_the_reason(
    optimize: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    config = tmp_path / "btswarm.toml"
    config.write_text("plan = { min_trades = 5000 }\n")
    assert optimize("--no-seeds", "--config", str(config)) == 1
    assert "none of 8 trials" in last_line(capsys)


def test_a_damaged_study_is_exit_74_and_can_be_repaired(optimize: Any, tmp_path: Path, capsys: Captured) -> None:
    assert optimize("--no-seeds") == 0
    journal = tmp_path / "out" / "study.journal"
    raw = journal.read_bytes()
    journal.write_bytes(raw[: len(raw) // 2] + b"#" + raw[len(raw) // 2 + 1 :])
    assert optimize("--no-seeds", "--trials", "9") == 74
    assert "--repair-study" in last_line(capsys)
    assert optimize("--repair-study") == 0
    assert "study.journal.broken1" in capsys.readouterr().out
    assert optimize("--no-seeds", "--trials", "9") == 0
    assert json.loads((tmp_path / "out" / ALL_TRIALS).read_bytes())["header"]["told"] == 9


@pytest.mark.slow
def test_several_workers_do_the_same_work(optimize: Any, tmp_path: Path) -> None:
    assert optimize("--no-seeds", "--workers", "2", "--trials", "20") == 0
    assert json.loads((tmp_path / "out" / ALL_TRIALS).read_bytes())["header"]["told"] == 20


def test_bench_gives_times_and_counts_and_enters_nothing(candles: Path, capsys: Captured) -> None:
    assert main(["bench", "optimize", "--data-path", str(candles), "--trials", "12", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["trials"], found["workers"], found["storage"]) == (12, 1, "auto")
    assert found["trials_per_s"] == pytest.approx(12 / found["seconds"], rel=0.01)
    assert found["phases"].keys() == {"sampler_ms", "storage_ms", "evaluate_ms"}
    assert all(value > 0 for value in found["phases"].values())
    assert not {"sharpe", "score", "metrics", "best"} & found.keys()
    assert not load_settings().roots.ledger.exists()


@pytest.mark.parametrize(
    ("what", "option"),
    [
        ("optimize", "--trials=0"),
        ("optimize", "--workers=0"),
        ("screen", "--combos=0"),
        ("screen", "--threads=0"),
        ("parity", "--combos=0"),
        ("parity", "--threads=100000"),
        *((what, seed) for what in ("optimize", "screen", "parity") for seed in ("--seed=-1", f"--seed={2**64}")),
    ],
)
def test_bench_refuses_nothing_to_do_and_seeds_that_are_none(candles: Path, what: str, option: str) -> None:
    assert main(["bench", what, "--data-path", str(candles), option]) == 64
