"""What workers left, as the daemon sees it: counted, ranked, and what changed."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from btswarm.daemon.background import Background, Errand
from btswarm.daemon.housekeeping import Keep
from btswarm.daemon.plan_shelf import PlanShelf
from btswarm.daemon.probes.artifacts import ROWS, Shelf
from btswarm.state.errors import StorageBroken
from btswarm.state.models.validation import Validation
from btswarm.state.paths import Roots
from btswarm.state.results import ROUNDS

KEEP = Keep({}, frozenset(), 1 << 20, 5, frozenset())


def figure(value: float | None) -> dict[str, Any]:
    return {"value": value, "reason": "" if value is not None else "too few"}


def validation(**changes: Any) -> dict[str, Any]:
    """The fields of validation.json that are read."""
    made: dict[str, Any] = {
        "v": 1, "symbol": "SOLUSDT", "mode": "balanced", "verdict": "UNCERTIFIED",
        "p_search": figure(None), "p_holdout": figure(None), "candidate": {"id": "aa"},
        "training": {"sharpe": 1.5, "total_return": 0.4, "max_drawdown_daily": 0.1, "total_trades": 80},
        "walk_forward_rolling": {"figures": {"sharpe": figure(0.6)}},
        "deflated_sharpe": {"figures": {"probability": figure(0.5)}},
        "holdout": {"figures": {"sharpe": figure(0.9), "total_return": figure(0.1)}},
    }  # fmt: skip
    return {**made, **changes}


def put(root: Path, number: int, name: str, body: Any, *, lane: str = "main", market: str = "SOLUSDT") -> Path:
    path = root / ROUNDS / str(number) / lane / market / "balanced" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body if isinstance(body, bytes) else orjson.dumps(body))
    return path


def test_the_fields_that_are_read_are_those_of_the_model() -> None:
    assert set(validation()) <= set(Validation.model_fields)


def test_artifacts_are_counted_by_kind_and_what_is_new_is_told_once(tmp_path: Path) -> None:
    put(tmp_path, 1, "preflight.json", {})
    shelf = Shelf(tmp_path)
    assert shelf.look().artifacts.changed == ()
    new = put(tmp_path, 1, "phase0_top500.json", {})
    page = put(tmp_path, 1, "best_robust/tearsheet.html", b"<html>")
    found = shelf.look({1})
    assert found.artifacts.counts == {"phase0": 1, "preflight": 1, "tearsheet": 1}
    assert found.artifacts.changed == (str(page), str(new))
    assert shelf.look({1}).artifacts.changed == ()


def test_rounds_at_rest_are_read_again_only_with_everything(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    put(tmp_path, 1, "preflight.json", {})
    shelf.look()
    put(tmp_path, 1, "all_trials.json", {})
    assert shelf.look({2}).artifacts.counts == {"preflight": 1}
    assert shelf.look(everything=True).artifacts.counts == {"preflight": 1, "trials": 1}


def test_a_round_that_was_removed_is_counted_no_more(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = put(tmp_path, 1, "preflight.json", {})
    shelf.look()
    path.unlink()
    assert shelf.look({1}).artifacts.counts == {}


def test_the_leaderboard_ranks_by_verdict_and_then_by_what_was_not_searched(tmp_path: Path) -> None:
    put(tmp_path, 1, "validation.json", validation(candidate={"id": "a"}))
    put(tmp_path, 2, "validation.json", validation(candidate={"id": "b"}, verdict="CERTIFIED"))
    better = {"figures": {"probability": figure(0.8)}}
    put(tmp_path, 3, "validation.json", validation(candidate={"id": "c"}, deflated_sharpe=better))
    tempting = {"figures": {"sharpe": figure(9.9), "total_return": figure(3.0)}}
    put(tmp_path, 4, "validation.json", validation(candidate={"id": "d"}, holdout=tempting, verdict="REJECTED"))
    found = Shelf(tmp_path).look()
    assert [row.round for row in found.leaderboard] == [2, 3, 1, 4]
    assert found.certified == {2}
    row = found.leaderboard[0]
    assert (row.symbol, row.mode, row.name, row.metrics["walk_forward_sharpe"]) == (
        "SOLUSDT", "balanced", "best_robust", 0.6,
    )  # fmt: skip


def test_one_configuration_has_one_row_that_of_its_newest_round(tmp_path: Path) -> None:
    for number in (1, 2):
        put(tmp_path, number, "validation.json", validation())
    assert [row.round for row in Shelf(tmp_path).look().leaderboard] == [2]


def test_an_undefined_figure_ranks_last_and_is_null(tmp_path: Path) -> None:
    none = {"figures": {"probability": figure(None)}}
    put(tmp_path, 1, "validation.json", validation(candidate={"id": "a"}, deflated_sharpe=none))
    put(tmp_path, 2, "validation.json", validation(candidate={"id": "b"}))
    rows = Shelf(tmp_path).look().leaderboard
    assert [row.metrics["deflated_sharpe"] for row in rows] == [0.5, None]


def test_there_are_at_most_fifty_rows(tmp_path: Path) -> None:
    for n in range(ROWS + 5):
        put(tmp_path, 1, "validation.json", validation(candidate={"id": str(n)}), market=f"S{n}USDT")
    assert len(Shelf(tmp_path).look().leaderboard) == ROWS


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"training": 3}', orjson.dumps({"v": 1})])
def test_what_is_no_validation_is_told_and_hides_nothing_else(tmp_path: Path, body: bytes) -> None:
    put(tmp_path, 1, "validation.json", body)
    put(tmp_path, 2, "validation.json", validation())
    shelf = Shelf(tmp_path)
    found = shelf.look()
    assert [row.round for row in found.leaderboard] == [2]
    assert len(found.faults) == 1
    assert "is no validation" in found.faults[0]
    assert shelf.look().faults == ()  # once is enough


def test_a_link_among_the_rounds_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", 1, "preflight.json", {})
    lane = tmp_path / ROUNDS / "1"
    lane.mkdir(parents=True)
    (lane / "main").symlink_to(tmp_path / "elsewhere" / ROUNDS / "1" / "main")
    assert Shelf(tmp_path).look().artifacts.counts == {}


def roots(root: Path) -> Roots:
    return Roots(root, root, root / "state", root / "logs", root / "docs", None)


def test_the_caretaker_tells_what_changed_once_and_what_it_threw_away_once(tmp_path: Path) -> None:
    for folder in ("state/workers/cpu000@1", "logs"):
        (tmp_path / folder).mkdir(parents=True)
    caretaker = Background(roots(tmp_path), PlanShelf(tmp_path / "state"))
    caretaker.do(Errand(1e9, 10.0, KEEP))
    new = put(tmp_path, 1, "preflight.json", {})
    keep = Keep({"cpu000": 9}, frozenset(), 1 << 20, 5, frozenset({1}))
    caretaker.do(Errand(1e9, 20.0, keep, sweep=True))
    caretaker.do(Errand(1e9, 30.0, keep))
    found = caretaker.findings()
    assert (found.artifacts.changed, found.mono) == ((str(new),), 30.0)
    assert caretaker.findings().artifacts.changed == ()
    assert caretaker.swept().workers == 1
    assert not caretaker.swept()


def test_the_newest_round_on_the_disk_is_known_before_anybody_looked(tmp_path: Path) -> None:
    put(tmp_path, 12, "round.json", {}, lane="fg")
    assert Background(roots(tmp_path), PlanShelf(tmp_path)).findings().artifacts.newest == 12


def test_a_ledger_that_cannot_be_believed_is_a_fault_of_the_findings(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "search_ledger.jsonl").write_text("{}\n")
    caretaker = Background(roots(tmp_path), PlanShelf(tmp_path / "state"))
    caretaker.do(Errand(1e9, 10.0, KEEP))
    assert "line 1 is no entry" in caretaker.findings().faults[0]


PLAN = {"plan": {"symbols": ["SOLUSDT"]}}


def test_a_plan_is_found_again_under_its_name(tmp_path: Path) -> None:
    name = PlanShelf(tmp_path).put(PLAN)
    assert PlanShelf(tmp_path).find(name) == PLAN


def test_a_plan_that_was_edited_or_removed_is_refused(tmp_path: Path) -> None:
    name = PlanShelf(tmp_path).put(PLAN)
    path = tmp_path / "plans" / f"{name}.json"
    path.write_text("{}")
    with pytest.raises(StorageBroken, match="was edited"):
        PlanShelf(tmp_path).find(name)
    path.unlink()
    with pytest.raises(StorageBroken, match="cannot be read"):
        PlanShelf(tmp_path).find(name)


def test_the_plan_in_force_is_written_again_and_older_ones_go(tmp_path: Path) -> None:
    shelf = PlanShelf(tmp_path)
    old = shelf.put({"plan": {"symbols": ["BTCUSDT"]}})
    name = shelf.put(PLAN)
    (tmp_path / "plans" / f"{name}.json").write_text("{}")
    assert shelf.tidy(name) == []
    assert [path.stem for path in (tmp_path / "plans").iterdir()] == [name]
    assert PlanShelf(tmp_path).find(name) == PLAN
    assert old != name


def test_a_plan_that_is_just_being_launched_is_not_tidied_away(tmp_path: Path) -> None:
    shelf = PlanShelf(tmp_path)
    name = shelf.put(PLAN)
    shelf.tidy("")
    assert PlanShelf(tmp_path).find(name) == PLAN
