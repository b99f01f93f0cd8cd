"""The benchmark of the permutation test: times and counts, and nothing that tells how the data did."""

import orjson
import pytest

from btswarm.engine import bench_permute
from btswarm.engine.commands import bench
from btswarm.engine.strategies import mtf_ema
from btswarm.state.errors import BadConfig

from ..market import walk


def test_it_measures_null_markets_and_says_nothing_of_the_data(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    arguments = ["permute", "--last-days", "20", "--markets", "3", "--pairs", "4", "--exits", "2", "--threads", "2"]
    assert bench.main([*arguments, "--json"]) == 0
    told = orjson.loads(capsysbinary.readouterr().out)
    assert (told["combos"], told["null_markets"], told["threads"], told["bars"]) == (8, 3, 2, 20 * 288)
    assert told["seconds"] > 0
    assert told["peak_memory_mb"] > 0
    assert not [name for name in told if "sharpe" in name or "statistic" in name]


def test_a_whole_test_is_what_its_null_markets_take() -> None:
    told = bench_permute.measure(walk(days=10), mtf_ema.space_for("balanced"), 2, 3, 2, 1)
    assert told["minutes_of_a_whole_test"] == pytest.approx(told["seconds"] / 2 * 398 / 60, abs=0.02)


def test_what_cannot_be_measured_is_refused() -> None:
    for arguments in (["--markets", "0"], ["--pairs", "0"], ["--mode", "wild"]):
        with pytest.raises(BadConfig):
            bench_permute.main(arguments)
