"""The main job: stages in order behind their gates, and a run that is interrupted goes on where it was."""

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from btswarm.engine import rounds
from btswarm.engine.artifacts import PHASE0, read_phase0
from btswarm.engine.backend import Backend
from btswarm.engine.ledger import Ledger
from btswarm.engine.plan import Plan
from btswarm.engine.split import split
from btswarm.state import files
from btswarm.state.errors import BadConfig, BadData, CannotWrite, InputGone, NoPermission
from btswarm.state.models.rounds import Summary

from .market import walk
from .runs import DAYS, Watching, candles, go, lane, only, plan, reused, stopped_in, write_candles

STAGES = ["preflight", "prescreen", "optimize", "validate", "report"]
ALL_REUSED = dict.fromkeys(STAGES, True)
BEST = ("best_sharpe", "best_returns", "lowest_drawdown", "best_winrate", "best_robust")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return candles(tmp_path_factory.mktemp("candles"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[Plan, Summary]:
    """One whole run, to be looked at and not to be touched."""
    wanted = plan(tmp_path_factory.mktemp("finished"), data)
    return wanted, go(wanted)


@pytest.fixture
def copied(tmp_path: Path, finished: tuple[Plan, Summary]) -> Plan:
    """The finished run's folders, to be damaged."""
    wanted, _ = finished
    shutil.copytree(wanted.results, tmp_path / "results", symlinks=True)
    shutil.copytree(wanted.ledger.parent, tmp_path / "state")
    return replace(wanted, results=tmp_path / "results", ledger=tmp_path / "state" / wanted.ledger.name)


def test_a_run_goes_through_all_stages_and_leaves_the_documented_layout(finished: tuple[Plan, Summary]) -> None:
    wanted, told = finished
    outcome = only(told)
    assert (outcome.state, outcome.code, told.exit_code, told.complete) == ("done", 0, 0, True)
    assert [one.stage for one in outcome.stages] == STAGES
    assert not any(reused(outcome).values())
    folder = lane(wanted)
    assert Path(outcome.folder) == folder
    for name in ("preflight.json", PHASE0, "all_trials.json", "validation.json", "run.log", "stages.json"):
        assert (folder / name).is_file(), name
    for best in BEST:
        for name in ("config.json", "metrics.json", "trades.csv", "tearsheet.html"):
            assert (folder / best / name).is_file(), (best, name)
    assert (folder.parent.parent / "summary.json").is_file()
    assert not list(wanted.results.rglob(".tmp-*"))


def test_the_best_round_is_published_as_a_link_that_survives_a_move(copied: Plan) -> None:
    link = copied.results / "optimizations" / "SOLUSDT" / "balanced"
    assert link.is_symlink()
    assert not os.path.isabs(os.readlink(link))
    assert (link / "best_robust" / "config.json").read_bytes() == (
        lane(copied) / "best_robust" / "config.json"
    ).read_bytes()


def test_the_summary_says_verdict_configuration_and_the_three_periods(finished: tuple[Plan, Summary]) -> None:
    outcome = only(finished[1])
    assert outcome.verdict == "UNCERTIFIED"
    assert "nothing is proven" in outcome.meaning
    assert outcome.words.startswith("EMA ")
    assert outcome.training is not None
    assert outcome.training.trades is not None
    assert outcome.training.trades >= 30
    assert outcome.walk_forward is not None
    assert outcome.holdout is not None
    assert outcome.published
    assert Path(outcome.tearsheet).is_file()
    assert 0 < len(outcome.gates_failed) <= outcome.gates


def test_the_log_holds_the_lines_that_are_searched_for_and_how_each_stage_ended(
    finished: tuple[Plan, Summary],
) -> None:
    log = (lane(finished[0]) / "run.log").read_text()
    assert "Batch 1/1 60 combos" in log
    assert "Loaded Phase0 seed: SOLUSDT/balanced n=10 source=" in log
    for stage in STAGES:
        assert f" {stage}: " in log
    assert log.index("Loaded Phase0 seed") < log.index(" optimize: ")


def test_searching_stages_are_in_the_ledger_with_their_volume(finished: tuple[Plan, Summary]) -> None:
    entries = Ledger(finished[0].ledger).entries()
    searched = [(entry.stage, entry.volume) for entry in entries if entry.kind == "search"]
    assert searched == [("prescreen", 60), ("optimize", 6)]
    assert sum(entry.kind == "look" for entry in entries) == 1
    assert not any(entry.kind == "exposure" for entry in entries)


def test_the_artifacts_know_training_days_only(finished: tuple[Plan, Summary]) -> None:
    cut = split(walk("2023-01-01", DAYS, minutes=15))
    assert read_phase0(lane(finished[0]) / PHASE0).header.data.last < cut.train_to


def test_the_same_plan_again_computes_nothing_and_says_how_to_search_on(copied: Plan) -> None:
    before = {path: path.stat().st_mtime_ns for path in lane(copied).rglob("*.json")}
    told = go(copied, display := Watching())
    assert reused(only(told)) == ALL_REUSED
    assert (told.round, told.exit_code) == (1, 0)
    assert any("--new-round" in note for note in told.notes)
    assert sum("done before" in line for line in display.said) == len(STAGES)
    assert {path: path.stat().st_mtime_ns for path in lane(copied).rglob("*.json")} == before
    assert only(told).training is not None


def test_a_new_round_searches_on_with_a_fresh_seed_and_is_published_only_if_it_is_better(copied: Plan) -> None:
    first = only(go(copied))
    told = go(copied, new_round=True)
    outcome = only(told)
    assert (told.round, told.seed) == (2, 1)
    assert read_phase0(lane(copied, 2) / PHASE0).header.seed == 1
    assert first.score is not None
    assert outcome.score is not None
    assert outcome.published == (outcome.score > first.score)
    link = copied.results / "optimizations" / "SOLUSDT" / "balanced"
    assert link.resolve() == (lane(copied, 2) if outcome.published else lane(copied)).resolve()


@pytest.mark.parametrize(
    ("damage", "again"),
    [
        (PHASE0, "prescreen"),
        ("preflight.json", "preflight"),
        ("all_trials.json", "optimize"),
        ("best_robust/trades.csv", "optimize"),
        ("validation.json", "validate"),
        ("best_sharpe/tearsheet.html", "report"),
    ],
)
def test_a_damaged_artifact_is_made_again_and_nothing_else(copied: Plan, damage: str, again: str) -> None:
    path = lane(copied) / damage
    path.write_bytes(path.read_bytes()[:-20])
    outcome = only(go(copied))
    assert outcome.state == "done"
    expected = {stage: stage != again for stage in STAGES}
    if again == "optimize":
        expected["report"] = False  # its pages lay in the folders that were written anew
    assert reused(outcome) == expected


def test_other_candles_under_the_same_name_are_another_round(copied: Plan, tmp_path: Path) -> None:
    grown = candles(tmp_path / "grown", DAYS + 10)
    told = go(replace(copied, data=str(grown)))
    assert told.round == 2
    assert not any(reused(only(told)).values())


def test_a_plan_that_was_interrupted_for_another_one_is_gone_on_with(tmp_path: Path, data: Path) -> None:
    one, other = plan(tmp_path, data), plan(tmp_path, data, modes=("conservative",))
    assert stopped_in(one, "prescreen", "exact").round == 1
    assert stopped_in(other, "prescreen", "exact").round == 2
    told = stopped_in(one, "optimize", "trial")
    assert told.round == 1
    assert reused(only(told)) == {"preflight": True, "prescreen": False, "optimize": False}


@pytest.mark.parametrize(
    ("stage", "phase"), [("preflight", "load"), ("prescreen", "exact"), ("optimize", "trial"), ("validate", "fold")]
)
def test_stopped_anywhere_it_goes_on_where_it_was(tmp_path: Path, data: Path, stage: str, phase: str) -> None:
    wanted = plan(tmp_path, data)
    told = stopped_in(wanted, stage, phase)
    outcome = only(told)
    assert (outcome.state, outcome.code, told.exit_code, told.complete) == ("interrupted", 75, 75, False)
    assert outcome.stages[-1].stage == stage
    assert not (wanted.results / "optimizations").exists()
    again = only(go(wanted))
    assert again.state == "done"
    assert reused(again) == {name: STAGES.index(name) < STAGES.index(stage) for name in STAGES}


def test_what_was_waiting_behind_a_stop_is_told_as_waiting(tmp_path: Path, data: Path) -> None:
    told = stopped_in(plan(tmp_path, data, modes=("balanced", "aggressive")), "prescreen", "exact")
    assert [one.state for one in told.outcomes] == ["interrupted", "waiting"]
    assert told.exit_code == 75


def test_trials_that_were_told_before_a_stop_are_kept(tmp_path: Path, data: Path) -> None:
    wanted = plan(tmp_path, data)
    stopped_in(wanted, "optimize", "trial")
    journal = (lane(wanted) / "study.journal").read_bytes()
    go(wanted)
    assert (lane(wanted) / "study.journal").read_bytes().startswith(journal)


def test_one_market_that_cannot_be_used_does_not_stop_the_other(tmp_path: Path) -> None:
    folder = candles(tmp_path / "data")
    candles(tmp_path / "data", 60, symbol="BTCUSDT")
    told = go(plan(tmp_path, folder, symbols=("BTC", "ETH", "SOL")))
    short, missing, good = told.outcomes
    assert (short.state, short.code, [one.stage for one in short.stages]) == ("closed", 1, ["preflight"])
    assert "days" in short.message
    assert (missing.symbol, missing.state, missing.code) == ("ETHUSDT", "failed", 65)
    assert good.state == "done"
    assert (told.exit_code, told.complete) == (1, False)


def test_too_few_days_for_a_verdict_are_told_with_what_would_be_needed(tmp_path: Path) -> None:
    outcome = only(go(plan(tmp_path, candles(tmp_path / "data", 200))))
    assert (outcome.state, outcome.verdict) == ("done", "INSUFFICIENT EVIDENCE")
    assert "at least 300 whole days are needed" in outcome.meaning
    assert outcome.holdout is None


def test_a_space_without_a_feasible_combo_closes_the_gate_for_good(tmp_path: Path, data: Path) -> None:
    wanted = plan(tmp_path, data, space={"balanced": {"max_drawdown": 0.0001}})
    told = go(wanted)
    outcome = only(told)
    assert (outcome.state, outcome.code, told.exit_code) == ("closed", 1, 1)
    assert "none of 60 combos" in outcome.message
    assert outcome.fix
    assert told.complete
    again = go(wanted)
    assert (only(again).state, reused(only(again))) == ("closed", {"preflight": True, "prescreen": True})
    assert not (wanted.results / "optimizations").exists()


def test_an_excerpt_that_trains_on_hold_out_days_enters_which_of_them_it_saw(tmp_path: Path) -> None:
    wanted = plan(tmp_path, candles(tmp_path / "data", 420), last_days=DAYS)
    assert only(go(wanted)).state == "done"
    entries = Ledger(wanted.ledger).entries()
    exposed = {(entry.stage, entry.holdout_from, entry.holdout_to) for entry in entries if entry.kind == "exposure"}
    days = walk("2023-01-01", 420, minutes=15)
    usual, own = split(days), split(days.last_days(DAYS))
    assert usual.holdout.first < own.train.stop
    bounds = (usual.holdout.first_iso, replace(own.train).last_iso)
    assert exposed == {("prescreen", *bounds), ("optimize", *bounds)}


def test_nothing_is_written_when_there_is_nothing_to_run_on(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "SOLUSDT-5m.csv"
    broken.write_text("timestamp,open\n1,2\n")
    for wanted, error in (
        (plan(tmp_path, tmp_path / "nowhere"), InputGone),
        (plan(tmp_path, tmp_path / "empty"), BadData),
        (plan(tmp_path, broken), BadData),
        (plan(tmp_path, broken, modes=("reckless",)), BadConfig),
        (plan(tmp_path, broken, space={"balanced": {"stop_loss": (9, 1)}}), BadConfig),
        (plan(tmp_path, broken, last_days=0.0), BadConfig),
    ):
        with pytest.raises(error):
            go(wanted)
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "state").exists()


def test_a_second_run_in_the_same_folder_is_refused_with_the_holders_pid(tmp_path: Path, data: Path) -> None:
    wanted = plan(tmp_path, data)
    with rounds.only_run(wanted.results), pytest.raises(NoPermission, match=rf"pid {os.getpid()}\)"):
        go(wanted)
    assert not (wanted.results / "rounds").exists()


class FullDisk:
    """Refuses every write once `left` bytes are written."""

    def __init__(self, left: int) -> None:
        self.left = left
        self._write = files._write_all

    def __call__(self, descriptor: int, data: Any) -> None:
        self.left -= len(data)
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._write(descriptor, data)


@pytest.mark.parametrize("left", [30_000, 120_000, 400_000])
def test_a_full_disk_ends_the_run_with_a_clear_line_and_costs_nothing_that_was_done(
    tmp_path: Path, data: Path, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = plan(tmp_path, data, modes=("balanced", "conservative"))
    with monkeypatch.context() as full:
        full.setattr(files, "_write_all", FullDisk(left))
        told = go(wanted)
    failed = next(one for one in told.outcomes if one.state != "done")
    assert (failed.state, failed.code, told.exit_code) == ("failed", 73, 73)
    assert "no space left" in failed.message
    assert told.outcomes[-1].state in ("waiting", "failed")
    for path in wanted.results.rglob("*.json"):
        orjson.loads(path.read_bytes())
    again = go(wanted)
    assert [one.state for one in again.outcomes] == ["done", "done"]
    done_before = [one.stage for one in failed.stages[:-1]]
    kept = next(one for one in again.outcomes if one.mode == failed.mode)
    assert all(reused(kept)[stage] for stage in done_before)


def test_a_disk_that_is_full_from_the_start_is_refused(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_write_all", FullDisk(100))
    with pytest.raises(CannotWrite, match="no space left"):
        go(plan(tmp_path, data))


def test_old_rounds_go_but_never_the_published_one(tmp_path: Path, data: Path) -> None:
    wanted = plan(tmp_path, data, keep_rounds=1)
    scores = [only(go(wanted, new_round=True)).score or 0.0 for _ in range(3)]
    published = max(range(3), key=lambda at: (scores[at], -at)) + 1
    there = {int(path.name) for path in (wanted.results / "rounds").iterdir()}
    assert there == {published, 3}


def test_a_backend_that_had_to_be_chosen_is_said_in_the_summary(copied: Plan) -> None:
    told = go(replace(copied, backend=Backend("cpu", -1, "no GPU here")))
    assert "no GPU here" in told.notes
    assert reused(only(told)) == ALL_REUSED


@pytest.mark.slow
def test_without_candles_the_invented_market_is_used_and_every_output_says_so(tmp_path: Path) -> None:
    told = go(plan(tmp_path, "synthetic", symbols=()))
    assert told.synthetic
    outcome = only(told)
    assert outcome.symbol == "SYNTH"
    folder = lane(plan(tmp_path, "synthetic"), symbol="SYNTH")
    assert read_phase0(folder / PHASE0).header.data.synthetic
    assert "synthetic" in (folder / "best_robust" / "tearsheet.html").read_text().lower()


def test_candles_of_two_markets_share_nothing_but_the_round(tmp_path: Path) -> None:
    folder = candles(tmp_path / "data")
    write_candles(folder, walk("2023-01-01", DAYS, minutes=15, symbol="BTCUSDT", seed=3))
    wanted = plan(tmp_path, folder, symbols=("SOL", "BTC"))
    told = go(wanted)
    assert [(one.symbol, one.state) for one in told.outcomes] == [("SOLUSDT", "done"), ("BTCUSDT", "done")]
    hashes = {read_phase0(lane(wanted, symbol=name) / PHASE0).header.data.sha256 for name in ("SOLUSDT", "BTCUSDT")}
    assert len(hashes) == 2
