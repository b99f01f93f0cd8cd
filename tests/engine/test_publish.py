"""The published view: swapped in one step, and only for what is better or of newer candles."""

import os
from pathlib import Path
from typing import Any

import pytest

from btswarm.engine.publish import is_published, publish, published_rounds
from btswarm.state.errors import CannotWrite
from btswarm.state.models.artifacts import CostFacts, DataFacts
from btswarm.state.models.trials import AllTrials, SearchFacts, SeedFacts, TrialRow, TrialsHeader


def round_of(results: Path, number: int, score: float | None, **changes: Any) -> Path:
    """A round whose best_robust has this score; `changes`: of its candles or its space."""
    facts: dict[str, Any] = {"sha256": "a", "last": 100} | {k: v for k, v in changes.items() if k in ("sha256", "last")}
    data = DataFacts(symbol="S", rows=9, first=0, base_minutes=5, source="", synthetic=False, **facts)
    search = SearchFacts(
        symbol="S",
        mode="balanced",
        strategy="mtf_ema",
        space={},
        space_sha256=changes.get("space", "s"),
        data=data,
        costs=CostFacts(fee=0.0, slippage=0.0, funding=0.0),
        leverage=1,
        max_drawdown=0.5,
        min_trades=30,
        neighbours=65,
        folds=5,
        seed=number,
        versions={},
    )
    header = TrialsHeader(search=search, study="x", seeds=SeedFacts(), told=1, feasible=1, export="e")
    trials = [TrialRow(number=7, state="complete", params={}, score=score, feasible=True)]
    folder = results / "rounds" / str(number) / "fg" / "S" / "balanced"
    folder.mkdir(parents=True)
    found = AllTrials(header=header, best={"best_robust": 7}, trials=trials)
    (folder / "all_trials.json").write_bytes(found.model_dump_json().encode())
    return folder


def offer(results: Path, folder: Path) -> bool:
    return publish(results, folder, "S", "balanced")


def test_the_first_round_is_published_whatever_its_score(tmp_path: Path) -> None:
    folder = round_of(tmp_path, 1, -3.0)
    assert offer(tmp_path, folder)
    assert is_published(tmp_path, folder, "S", "balanced")
    assert published_rounds(tmp_path) == {1}
    assert os.readlink(tmp_path / "optimizations" / "S" / "balanced") == "../../rounds/1/fg/S/balanced"


@pytest.mark.parametrize(
    ("score", "changes", "wins"),
    [
        (1.1, {}, True),
        (1.0, {}, False),
        (0.9, {}, False),
        (0.1, {"sha256": "b", "last": 200}, True),
        (9.9, {"sha256": "b", "last": 50}, False),
        (0.1, {"space": "other"}, True),
        (None, {}, False),
    ],
)
def test_a_later_round_wins_by_its_score_on_the_same_question_else_by_newer_candles(
    tmp_path: Path, score: float | None, changes: dict[str, Any], wins: bool
) -> None:
    first, second = round_of(tmp_path, 1, 1.0), round_of(tmp_path, 2, score, **changes)
    assert offer(tmp_path, first)
    assert offer(tmp_path, second) is wins
    assert published_rounds(tmp_path) == {2 if wins else 1}
    assert not list((tmp_path / "optimizations").rglob(".*"))


def test_a_round_that_is_gone_loses_to_any_other(tmp_path: Path) -> None:
    first = round_of(tmp_path, 1, 5.0)
    offer(tmp_path, first)
    (first / "all_trials.json").unlink()
    assert offer(tmp_path, round_of(tmp_path, 2, 1.0))


def test_a_folder_that_somebody_put_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "optimizations" / "S" / "balanced").mkdir(parents=True)
    with pytest.raises(CannotWrite, match="no link"):
        offer(tmp_path, round_of(tmp_path, 1, 1.0))


def test_a_round_without_a_score_is_never_published(tmp_path: Path) -> None:
    assert not offer(tmp_path, round_of(tmp_path, 1, None))
    assert not (tmp_path / "optimizations").exists()
