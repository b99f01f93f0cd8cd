"""The utilisation benchmark's arithmetic, its refusals and its picture."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from btswarm import cli
from btswarm.daemon.bench.picture import trace
from btswarm.daemon.bench.utilisation import Sample, figures, rates, scale, shares


def flat(ours: float, others: float, seconds: int) -> list[Sample]:
    """`ours`, `others`: CPUs used all the time."""
    return [Sample(float(at), ours * at, others * at, 2) for at in range(seconds + 1)]


def test_what_others_use_is_no_room_of_ours() -> None:
    assert [round(pct) for _, pct in shares(flat(1.2, 0.5, 60), 60.0, 2.0)] == [80]
    assert shares(flat(1.2, 0.5, 59), 60.0, 2.0) == []


def test_a_window_counts_once_it_lies_behind_the_first_minute() -> None:
    slow = [Sample(float(at), 2.0 * max(0, at - 55), 0.0, 2) for at in range(301)]
    found = figures(slow, 80, 2.0)
    assert (found["windows"], found["windows_held_pct"], found["held"], found["lowest_pct"]) == (181, 100.0, True, 100)
    assert not figures(flat(1.5, 0.0, 300), 80, 2.0)["held"]
    assert not figures([], 80, 2.0)["held"]


def test_changes_of_scale_are_counted_in_the_worst_hour() -> None:
    said: list[dict[str, Any]] = [{"kind": "scale.up", "ts": float(at)} for at in (0, 10, 3599, 3605, 9000)]
    assert scale(said) == {"changes": 5, "most_in_an_hour": 3, "allowed_an_hour": 30, "within": True}
    assert not scale([{"kind": "scale.down", "ts": float(at)} for at in range(31)])["within"]


def test_rates_are_of_finished_work() -> None:
    jobs = [{"job": "r1/A/b/prescreen", "spec": {"stage": "prescreen"}},
            {"job": "r1/A/b/prescreen.f0", "spec": {"stage": "prescreen", "volume": {"combos": 500}}},
            {"job": "r1/A/b/optimize.0", "spec": {"stage": "optimize"}},
            {"job": "r1/A/b/optimize.1", "spec": {"stage": "optimize"}}]  # fmt: skip
    said: list[dict[str, Any]] = [{"kind": "job.queued", "data": {"jobs": jobs}}]
    said += [{"kind": "job.finished", "subject": job["job"], "data": {"state": "done"}} for job in jobs]
    said.append({"kind": "job.finished", "subject": "r1/A/b/report", "data": {"state": "cancelled"}})
    assert rates(said, 100.0, 2000, 60) == {"jobs": 4, "rounds": 0, "combos_per_s": 25.0, "trials_per_s": 0.6}


def test_the_picture_is_well_formed_with_and_without_anything_to_show() -> None:
    for samples in ([], flat(1.2, 0.5, 400)):
        shown = {"windows": shares(samples, 60.0, 2.0), "seconds": shares(samples, 5.0, 2.0),
                 "workers": [(one.at, one.workers) for one in samples]}  # fmt: skip
        root = ET.fromstring(trace(shown, 80))
        assert root.tag.endswith("svg")
        assert len(root.findall("{*}path")) == (3 if samples else 0)


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["--minutes", "1"], 64),
        (["--target", "101"], 64),
        (["--trials", "0"], 64),
        (["--symbol", "SOL/"], 64),
        (["--data-path", "/nowhere"], 66),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_starts(
    argv: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", "utilisation", *argv]) == code
    assert capsys.readouterr().err.count("\n") == 1
