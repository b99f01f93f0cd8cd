"""The suites: rows that are kept, counts that are right, and few certificates on markets that hold nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from scipy.stats import kstest

from btswarm.engine import bench_truth
from btswarm.engine.truth import suite
from btswarm.engine.truth.suite import Budget, Task, judge_market, rows_kept, run_suite, tasks_of
from btswarm.engine.truth.summary import randomised, summary
from btswarm.engine.validation.search_null import NullRun
from btswarm.state.errors import BadConfig, Stopped, StorageBroken

TINY = Budget(combos=40, trials=3, top_k=10, paths=10, permutations=3, pairs=8, exits=2, starts=1, rounds=1)
SMOKE_SEED, SMOKE_DAYS = 7, 330


def tasks(markets: int = 4) -> list[Task]:
    return tasks_of("null", markets, 5, 300, "balanced", "", TINY)


def row(task: Task, verdict: str = "REJECTED", p: float = 0.5) -> dict[str, Any]:
    nulls = {"permutation": {"p": p, "exceedances": 1, "markets": 3}}
    vetoes = ["pbo.pbo"] if verdict == "REJECTED" else []
    gates = {"deflated_sharpe.probability": 0.93, "pbo.pbo": 0.7 if vetoes else 0.2}
    head = {**task.key, "verdict": verdict, "p_search": p, "combined": p, "nulls": nulls, "seconds": 1.0}
    return head | {"vetoes": vetoes, "gates": gates}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """The pipeline is not run; which markets would have been."""
    seen: list[Task] = []

    def noted(task: Task) -> dict[str, Any]:
        seen.append(task)
        return row(task)

    monkeypatch.setattr(suite, "judge_market", noted)
    return seen


def test_a_market_goes_through_the_whole_pipeline_and_its_row_can_be_had_again() -> None:
    task = tasks()[1]
    found, again = judge_market(task), judge_market(task)
    assert found | {"seconds": 0} == again | {"seconds": 0}
    assert found["verdict"] in ("REJECTED", "INSUFFICIENT EVIDENCE", "CERTIFIED", suite.NOTHING)
    assert (found["family"], found["number"], found["mode"]) == ("gbm_drift", 0, "balanced")
    assert found["nulls"].keys() == {"permutation", "sign_flip"}
    assert 0 < found["p_search"] <= 1
    assert 0 < found["p_holdout"] <= 1


def test_markets_are_dealt_to_the_families_in_turn_and_null_ones_to_the_modes() -> None:
    found = tasks_of("null", 12, 5, 300, "", "", TINY)
    assert [task.family for task in found[:5]] == ["gbm", "gbm_drift", "garch_t5", "egarch_jumps_drift", "gbm"]
    assert [task.mode for task in found[::4]] == ["conservative", "balanced", "aggressive"]
    assert {task.mode for task in tasks_of("power", 12, 5, 300, "", "", TINY)} == {"balanced"}


def test_rows_are_kept_as_they_come_and_no_market_is_judged_twice(tmp_path: Path, judged: list[Task]) -> None:
    path, heard = tmp_path / "rows.jsonl", []

    def told(one: dict[str, Any]) -> None:
        heard.append(one)
        if len(heard) == 2:
            raise Stopped("stopped")

    with pytest.raises(Stopped):
        run_suite(tasks(), path, 1, told)
    assert len(rows_kept(path)) == 2
    run_suite(tasks(), path, 1, heard.append)
    assert judged == tasks()
    assert heard[2:] == rows_kept(path)


def test_a_row_of_another_budget_or_seed_is_not_taken_for_this_one(tmp_path: Path, judged: list[Task]) -> None:
    path = tmp_path / "rows.jsonl"
    run_suite(tasks(), path, 1, lambda one: None)
    run_suite(tasks_of("null", 4, 6, 300, "balanced", "", TINY), path, 1, lambda one: None)
    assert len(judged) == 8


def test_a_row_torn_by_a_crash_is_cut_off_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    whole = orjson.dumps(row(tasks()[0])) + b"\n"
    path.write_bytes(whole + b'{"suite": "nu')
    assert len(rows_kept(path)) == 1
    assert path.read_bytes() == whole
    path.write_bytes(b"{\n" + whole)
    with pytest.raises(StorageBroken, match="line 1 is no row"):
        rows_kept(path)


def test_the_summary_counts_by_family_and_bounds_the_rate() -> None:
    rows = [row(task) for task in tasks_of("null", 300, 5, 300, "", "", TINY)]
    for one in rows[:8]:
        one["verdict"] = "CERTIFIED"
    told = summary(rows)
    assert (told["markets"], told["certified"], told["allowed_for_5_percent"]) == (300, 8, 8)
    assert told["rate_below_at_95_percent"] < 0.048
    assert told["families"]["gbm"]["markets"] == 75
    assert sum(one["verdicts"].get("CERTIFIED", 0) for one in told["families"].values()) == 8


def test_the_summary_says_what_other_rules_would_have_certified() -> None:
    certified, vetoed, *others = [row(task) for task in tasks()]
    certified |= row(tasks()[0], "CERTIFIED", p=0.01)
    vetoed |= {"combined": 0.02}
    told = summary([certified, vetoed, *others])["rules"]["all"]
    assert (told["as it is"], told["the evidence alone"], told["without pbo.pbo"]) == (1, 2, 2)
    assert (told["deflated_sharpe.probability >= 0.9"], told["deflated_sharpe.probability >= 0.95"]) == (1, 0)


@pytest.mark.parametrize("stop_after", [5, 1000])
def test_a_p_value_spread_over_its_step_is_uniform_where_the_null_holds(stop_after: int) -> None:
    rng = np.random.default_rng(2)
    budget = {"stop_after": stop_after, "permutations": 99}
    found = []
    for _ in range(3000):
        run = NullRun("permutation", float(rng.random()), 99, stop_after)
        while not run.done:
            run.statistics.append(float(rng.random()))
        null = {"p": run.p, "exceedances": run.exceedances, "markets": len(run.statistics)}
        found.append(randomised(null, budget, float(rng.random())))
    assert kstest(found, "uniform").pvalue > 0.01


def test_the_command_refuses_what_cannot_work() -> None:
    for arguments in (["--markets", "0"], ["--days", "100"], ["--seed", "-1"], ["--mode", "wild"]):
        with pytest.raises(BadConfig):
            bench_truth.main(arguments)


@pytest.mark.slow
def test_of_twenty_markets_that_hold_nothing_at_most_two_are_certified(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    arguments = ["--markets", "20", "--seed", str(SMOKE_SEED), "--days", str(SMOKE_DAYS), "--trials", "10"]
    out = tmp_path / "rows.jsonl"
    assert bench_truth.main([*arguments, "--threads", "2", "--out", str(out), "--at-most", "2", "--json"]) == 0
    told = orjson.loads(capsysbinary.readouterr().out)
    assert told["markets"] == len(rows_kept(out)) == 20
    assert told["certified"] <= 2
