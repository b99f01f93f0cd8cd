"""The preflight: every check is there with its figure, failures stop the search unless they are allowed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from btswarm.engine import preflight
from btswarm.engine.artifacts import PREFLIGHT, read_model
from btswarm.engine.backtest import Backtest
from btswarm.engine.bars import Bars
from btswarm.engine.candles.read import Raw, of_bars, read_raw
from btswarm.engine.checks import host
from btswarm.engine.checks.host import available_mb, disk_check, gpu_check, memory_check, needed_mb, trades_check
from btswarm.engine.kernels import exact
from btswarm.engine.preflight import ALLOWABLE, CHECKS, Request, check_all, refuse_unknown, run
from btswarm.engine.progress import Silent
from btswarm.engine.strategies.mtf_ema import DEFAULTS
from btswarm.state.errors import BadConfig, BtswarmError, CannotWrite, GateFailed, GpuUnavailable
from btswarm.state.models.jobs import Job
from btswarm.state.models.preflight import Check, PreflightReport

from .candles.raws import LATER, changed, rows_of, without
from .market import walk


@pytest.fixture(scope="module")
def bars() -> Bars:
    return walk(days=400, minutes=15)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(job="j", stage="preflight", symbol="SOLUSDT", mode="aggressive", out_dir=str(tmp_path / "out"))


def checked(raw: Raw, request: Request | None = None) -> dict[str, Check]:
    return {check.name: check for check in report_of(raw, request).checks}


def report_of(raw: Raw, request: Request | None = None) -> PreflightReport:
    return check_all(raw, request or Request(mode="balanced"), Silent(), now_ms=LATER)


def test_every_check_is_there_in_order_with_a_figure(bars: Bars) -> None:
    report = report_of(of_bars(bars))
    assert tuple(check.name for check in report.checks) == CHECKS
    assert all(check.figure is not None and check.limit is not None for check in report.checks)
    assert report.passed
    assert {check.name for check in report.checks if check.status != "pass"} == {"gpu"}


def test_the_report_says_what_was_looked_at(bars: Bars) -> None:
    report = report_of(of_bars(replace(bars, source="candles.csv")))
    assert (report.v, report.symbol, report.mode) == (1, "SOLUSDT", "balanced")
    assert report.data.model_dump() == {
        "path": "candles.csv",
        "sha256": bars.sha256,
        "rows": len(bars),
        "first": bars.time[0],
        "last": bars.time[-1],
        "base_minutes": 15,
        "synthetic": False,
    }


def test_an_invented_market_is_called_so(bars: Bars) -> None:
    data = report_of(of_bars(replace(bars, source="anything", synthetic=True))).data
    assert (data.path, data.synthetic) == ("synthetic", True)


def test_rows_that_can_be_mended_fail_and_are_computed_with_all_the_same(bars: Bars) -> None:
    raw = of_bars(bars)
    found = checked(rows_of(raw, 1, 0, *range(1, len(raw))))
    assert (found["order"].status, found["duplicates"].status) == ("fail", "fail")
    assert (found["timeframes"].status, found["min_trades"].status) == ("pass", "pass")


def test_rows_that_cannot_be_mended_are_not_computed_with(bars: Bars) -> None:
    found = checked(changed(of_bars(bars), "close", 7, np.nan))
    assert found["values"].status == "fail"
    assert (found["timeframes"].status, found["min_trades"].status) == ("skip", "skip")


def test_a_failure_that_the_plan_allows_is_shown_and_passes(bars: Bars) -> None:
    gap = without(of_bars(bars), *range(5000, 5100))
    assert not report_of(gap).passed
    report = report_of(gap, Request(mode="balanced", allow=("gaps",)))
    [allowed] = [check for check in report.checks if check.allowed]
    assert (allowed.name, allowed.status) == ("gaps", "fail")
    assert report.passed
    assert report.failures() == []


def test_only_what_can_be_computed_with_may_be_allowed() -> None:
    refuse_unknown(ALLOWABLE)
    with pytest.raises(BadConfig, match="no preflight check 'gap'"):
        refuse_unknown(["gap"])
    for name in set(CHECKS) - set(ALLOWABLE):
        with pytest.raises(BadConfig, match="cannot be allowed"):
            refuse_unknown([name])


def test_an_unknown_mode_is_refused(bars: Bars) -> None:
    with pytest.raises(BadConfig, match="unknown mode"):
        report_of(of_bars(bars), Request(mode="greedy"))


def test_the_stage_leaves_its_artifact(bars: Bars, job: Job) -> None:
    [path] = run(job, bars, Silent())
    assert path == Path(job.out_dir) / PREFLIGHT
    assert read_model(path, PreflightReport).passed


def test_a_failed_stage_leaves_its_artifact_and_closes_the_gate(job: Job) -> None:
    short = walk(days=60, minutes=15)
    with pytest.raises(GateFailed, match=r"preflight of SOLUSDT: days: 60.0 days, at least 90") as failed:
        run(job, short, Silent())
    assert failed.value.fix
    assert not read_model(Path(job.out_dir) / PREFLIGHT, PreflightReport).passed
    run(job, short, Silent(), allow=("days",))


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["disk"], CannotWrite),
        (["memory"], BadConfig),
        (["gpu"], GpuUnavailable),
        (["disk", "gaps"], GateFailed),
        (["days", "gaps"], GateFailed),
    ],
)
def test_the_host_s_failures_are_told_from_the_data_s(bars: Bars, names: list[str], kind: type[BtswarmError]) -> None:
    report = report_of(of_bars(bars))
    for check in report.checks:
        check.status = "fail" if check.name in names else "pass"
    with pytest.raises(kind):
        preflight.refuse(report)


def test_a_full_disk_is_a_failure_of_the_host(bars: Bars, job: Job) -> None:
    with pytest.raises(CannotWrite, match="MiB free at"):
        run(job, bars, Silent(), floor_mb=2**40)


def test_the_disk_is_measured_where_the_results_will_be(tmp_path: Path) -> None:
    check = disk_check(tmp_path / "not" / "yet", 1)
    assert check.status == "pass"
    assert str(tmp_path) in check.message
    assert not (tmp_path / "not").exists()
    assert disk_check(tmp_path, 2**40).status == "fail"


@pytest.mark.parametrize(("free", "status"), [(10**6, "pass"), (600, "warn"), (100, "fail")])
def test_memory_is_held_against_what_the_search_takes(free: int, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "available_mb", lambda: free)
    check = memory_check(10_000, 300_000, DEFAULTS["balanced"])
    assert (check.status, check.figure) == (status, free)
    assert check.limit == needed_mb(10_000, 300_000, DEFAULTS["balanced"])


def test_needed_memory_grows_with_the_bars() -> None:
    small, large = (needed_mb(rows, 300_000, DEFAULTS["balanced"]) for rows in (100_000, 400_000))
    assert 400 < small < large < 1500


def test_a_control_group_s_limit_counts(tmp_path: Path) -> None:
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("104857600\n")
    (group / "memory.current").write_text("52428800\n")
    assert available_mb(tmp_path) == 50
    (group / "memory.max").write_text("max\n")
    assert available_mb(tmp_path) > 50


@pytest.mark.parametrize(
    ("engine", "gpu", "status"),
    [
        ("auto", None, "warn"),
        ("cpu", None, "pass"),
        ("auto", -1, "pass"),
        ("gpu", None, "fail"),
        ("auto", 0, "fail"),
        ("gpu", 1, "fail"),
    ],
)
def test_no_gpu_is_a_warning_unless_one_was_asked_for(
    engine: str, gpu: int | None, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("btswarm.engine.backend.gpu_missing", lambda _gpu: "there is none")
    assert gpu_check(engine, gpu).status == status


def test_a_gpu_that_can_be_used_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("btswarm.engine.backend.gpu_missing", lambda _gpu: "")
    assert gpu_check("auto", None).status == "pass"
    assert gpu_check("auto", 0).status == "pass"


def test_wishes_that_contradict_each_other_are_refused(bars: Bars) -> None:
    with pytest.raises(BadConfig, match="contradict"):
        gpu_check("cpu", 0)


def test_trades_are_counted_on_training_bars_alone(bars: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    simulate = exact.simulate

    def spy(given: Bars, *rest: Any) -> Backtest:
        seen.append(int(given.time[-1]))
        return simulate(given, *rest)

    monkeypatch.setattr(exact, "simulate", spy)
    check = trades_check(bars, DEFAULTS["aggressive"], 30)
    assert check.detail["sample"] == len(seen) > 10
    assert max(seen) < int(bars.time[-1]) - 80 * 86_400_000


def test_few_trades_are_a_warning_and_asking_for_too_few_fails(bars: Bars) -> None:
    short = walk(days=40, minutes=15)
    assert trades_check(short, DEFAULTS["conservative"], 30).status == "warn"
    assert trades_check(bars, DEFAULTS["conservative"], 29).status == "fail"


def test_trades_that_cannot_be_counted_are_not_counted() -> None:
    assert trades_check(walk(days=2, minutes=15), DEFAULTS["balanced"], 30).status == "skip"
    assert trades_check(walk(days=400, minutes=7 * 60), DEFAULTS["balanced"], 30).status == "skip"


def test_the_real_candles_get_the_verdicts_of_their_description(market_data: Path) -> None:
    found = checked(read_raw(market_data, "SOL"), Request(mode="conservative"))
    assert {name for name, check in found.items() if check.status == "warn"} == {"gaps", "flat", "gpu"}
    assert not [name for name, check in found.items() if check.status == "fail"]
    assert (found["gaps"].figure, found["gaps"].detail["missing"]) == (80, 16)
    assert (found["flat"].figure, found["flat"].detail["bars"]) == (70, 14)
    assert found["timeframes"].figure == 3


def test_many_small_gaps_fail_by_their_share(market_data: Path) -> None:
    raw = read_raw(market_data / "bad" / "UNITTEST_BTC-1m-many-small-gaps.feather")
    found = checked(raw, Request(mode="conservative"))
    assert (found["gaps"].status, found["gaps"].unit) == ("fail", "%")
    assert found["gaps"].detail == {
        "gaps": 538,
        "missing": 717,
        "missing_pct": pytest.approx(4.98, abs=0.01),
        "longest_min": 7,
    }
    assert found["days"].status == "fail"
