"""The p-value of the search: its arithmetic, its power, and that neither threads nor interruptions change it."""

import math
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from btswarm.engine.bars import Bars
from btswarm.engine.costs import Costs
from btswarm.engine.kernels import cpu
from btswarm.engine.validation import search_null as module
from btswarm.engine.validation.permutation import Kind, Source, null_market
from btswarm.engine.validation.search_null import CHECKPOINT, NullRun, SearchNull, search_null
from btswarm.engine.validation.selection import Effort, Selection
from btswarm.state.errors import BadConfig, Stopped

from ..market import walk
from .case import COSTS, SPACE, market

EFFORT = Effort(pairs=20, exits=4, starts=3, rounds=2)
SELECTION = Selection.fixed(SPACE, COSTS, 30, EFFORT)
BARS = market(200)


def found(bars: Bars = BARS, count: int = 8, stop_after: int = 1000, threads: int = 1) -> SearchNull:
    return search_null(bars, SELECTION, count, stop_after=stop_after, threads=threads)


def statistics(one: SearchNull) -> list[list[float]]:
    return [run.statistics for run in one.runs]


# the p-value


@pytest.mark.parametrize(
    ("values", "wanted", "stop_after", "p"),
    [
        ([0.1, 0.2, 0.3], 3, 10, 1 / 4),
        ([0.1, 1.0, 0.3], 3, 10, 2 / 4),  # a tie counts against
        ([2.0, 0.1, 2.0], 9, 2, 2 / 3),  # stopped: h / l
        ([2.0, 0.1], 9, 2, math.nan),  # not done
        ([-math.inf] * 4, 4, 10, 1 / 5),
    ],
)
def test_the_p_value_counts_those_that_reach_the_observed(
    values: list[float], wanted: int, stop_after: int, p: float
) -> None:
    run = NullRun("permutation", 1.0, wanted, stop_after, values)
    assert run.p == pytest.approx(p, nan_ok=True)


def test_without_a_combo_of_enough_trades_every_null_market_does_as_well() -> None:
    flat = np.full(len(BARS), 5.0)
    constant = replace(BARS, open=flat, high=flat, low=flat, close=flat)
    one = found(constant, count=12, stop_after=10)
    assert one.observed == -math.inf
    assert one.p == 1.0
    assert [len(run.statistics) for run in one.runs] == [10, 10]


def test_the_larger_of_both_nulls_counts_and_none_wanted_is_no_p_value() -> None:
    runs = (NullRun("permutation", 1.0, 4, 10, [0.0, 2.0, 2.0, 0.0]), NullRun("sign_flip", 1.0, 4, 10, [0.0] * 4))
    assert SearchNull(1.0, runs).p == 3 / 5
    assert math.isnan(search_null(BARS, SELECTION, 0).p)


def test_a_market_whose_order_explains_everything_is_found() -> None:
    trend = np.repeat(np.where(np.arange(50) % 2 == 0, 0.004, -0.004), len(BARS) // 50 + 1)[: len(BARS)]
    level = np.exp(np.cumsum(trend))
    o, h, low, c = (one * level for one in BARS.columns[:4])
    one = found(replace(BARS, open=o, high=np.maximum(h, c), low=np.minimum(low, c), close=c), count=19)
    assert one.p == 1 / 20


# the selection


def test_the_statistic_is_the_best_of_the_screen_moved_to_the_best_around_it() -> None:
    real = cpu.prepare(BARS, SPACE)
    screened = cpu.screen(real, SELECTION.combos, COSTS, SPACE.leverage)
    best = np.nanmax(np.where(screened.trades >= 30, screened.sharpe, np.nan))
    still = Selection.fixed(SPACE, COSTS, 30, Effort(20, 4, 3, 0))
    assert still.best(real) == best
    assert SELECTION.best(real) > best
    assert Selection.fixed(SPACE, COSTS, 10_000, EFFORT).best(real) == -math.inf


def test_the_combos_are_the_same_ones_for_everybody() -> None:
    again = Selection.fixed(SPACE, COSTS, 30, EFFORT)
    assert np.array_equal(again.combos, SELECTION.combos)
    assert len(np.unique(SELECTION.combos[:, :4], axis=0)) <= 20
    assert len(Selection.fixed(SPACE, COSTS, 30).combos) == 20_000


def test_a_space_that_does_not_fit_the_bars_is_refused() -> None:
    with pytest.raises(BadConfig, match="no multiple"):
        found(walk("2022-01-01", 30, minutes=120))
    with pytest.raises(BadConfig, match="twice the slippage"):
        search_null(BARS, Selection.fixed(SPACE, Costs(0.0005, 0.02), 30, EFFORT), 2)


# threads and interruptions


def test_threads_change_nothing() -> None:
    one, three = found(), found(threads=3)
    assert statistics(one) == statistics(three)
    assert one.observed == three.observed


def test_stopping_early_is_decided_in_the_order_of_the_markets_whatever_runs_ahead() -> None:
    everything = found(count=12)
    for threads in (1, 4):
        early = found(count=12, stop_after=2, threads=threads)
        for run, full in zip(early.runs, everything.runs, strict=True):
            assert run.statistics == full.statistics[: len(run.statistics)]
            assert run.exceedances == 2
            assert run.statistics[-1] >= run.observed
            assert run.p == 2 / len(run.statistics)


def test_the_number_of_markets_changes_none_of_them() -> None:
    few, many = found(count=3), found(count=6)
    for a, b in zip(statistics(few), statistics(many), strict=True):
        assert b[:3] == a


def stop_at(number: int) -> Callable[[int], None]:
    def heard(done: int) -> None:
        if done >= number:
            raise Stopped("stopped")

    return heard


def test_stopped_and_begun_again_it_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / CHECKPOINT
    with pytest.raises(Stopped):
        search_null(BARS, SELECTION, 8, stop_after=1000, checkpoint=path, on_market=stop_at(11))
    computed: list[tuple[str, int]] = []

    def noted(source: Source, kind: Kind, number: int) -> Bars:
        computed.append((kind, number))
        return null_market(source, kind, number)

    monkeypatch.setattr(module, "null_market", noted)
    again = search_null(BARS, SELECTION, 8, stop_after=1000, checkpoint=path)
    assert computed == [("sign_flip", number) for number in range(4, 9)]
    assert statistics(again) == statistics(found())


def test_a_checkpoint_of_other_candles_or_a_damaged_one_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    search_null(market(190), SELECTION, 2, checkpoint=path)
    assert statistics(search_null(BARS, SELECTION, 2, checkpoint=path)) == statistics(found(count=2))
    for text in (b"{", b"[]", b'{"key": 1}', path.read_bytes().replace(b'"observed":', b'"observed":true,"x":')):
        path.write_bytes(text)
        assert statistics(search_null(BARS, SELECTION, 2, checkpoint=path)) == statistics(found(count=2))


KILLED = """
import os, signal, sys
from pathlib import Path
from btswarm.tests.engine.validation.test_search_null import BARS, SELECTION, search_null
def die(done):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
search_null(BARS, SELECTION, 8, stop_after=1000, checkpoint=Path(sys.argv[1]), on_market=die)
"""


def test_kill_9_leaves_a_checkpoint_from_which_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert b'"permutation":[' in path.read_bytes()
    again = search_null(BARS, SELECTION, 8, stop_after=1000, checkpoint=path)
    assert statistics(again) == statistics(found())
