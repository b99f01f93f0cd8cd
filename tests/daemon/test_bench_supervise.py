"""The benchmark of the supervisor: what it refuses, what it works out, and that a small one comes to its end."""

import random

import orjson
import pytest

from btswarm import cli
from btswarm.daemon.bench import hangs
from btswarm.daemon.bench.figures import percentile, ratio, spread
from btswarm.daemon.bench.targets import targets


@pytest.mark.parametrize(
    "argv",
    [
        ["--only", "crash,nothing"],
        ["--copies", "0"],
        ["--kills", "-1"],
        ["--kills", "100", "--swarms", "1", "--copies", "2"],
    ],
)
def test_what_cannot_be_measured_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "supervise", *argv]) == 64
    assert capsys.readouterr().err.startswith("btswarm: --")


def test_an_unknown_option_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", "supervise", "--faster"])
    assert stop.value.code == 2


@pytest.mark.parametrize("name", cli.SWARM_BENCHES)
def test_each_benchmark_of_the_swarm_is_reached_through_the_front_door(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", name, "--help"])
    assert stop.value.code == 0
    assert f"usage: btswarm bench {name}" in capsys.readouterr().out


def test_a_small_run_counts_every_kill_on_both_sides(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    argv = ["--only", "crash,leaks", "--copies", "3", "--kills", "4", "--swarms", "1", "--json"]
    assert cli.main(["bench", "supervise", *argv]) == 0
    parts = orjson.loads(capfdbinary.readouterr().out)["parts"]
    assert [parts["crash"][side]["n"] for side in ("btswarm", "reference", "floor")] == [4, 4, 4]
    assert parts["crash"]["ratio"]["median"] > 0
    assert parts["leaks"]["btswarm"]["leaked"] == 0


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(one) for one in range(1, 101)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]
    assert percentile([], 0.5) is None
    assert spread([0.001, 0.002, 0.003])["median_ms"] == 2.0
    assert ratio(3.0, 0.0) is None


def test_a_figure_that_was_not_measured_is_not_judged() -> None:
    judged = {row["figure"]: row["met"] for row in targets({"idle": {"rss_mb": 50.0, "cpu_pct": 0.6}})}
    assert judged == {"idle.rss_mb": True, "idle.cpu_pct": False}


def test_a_command_that_ends_at_once_starts_on_its_credits_and_then_ever_more_seldom() -> None:
    def mean(span_s: float) -> float:
        return sum(hangs._starts(span_s, random.Random(seed)) for seed in range(200)) / 200

    assert hangs._starts(0.05, random.Random(0)) >= 6  # the first start, and one for each of five credits
    assert mean(60) < mean(600) < mean(60) + 9 + 12  # a credit a minute, and the jitter's starts
