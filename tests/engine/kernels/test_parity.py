"""The comparison of a screen with the exact simulator: it tells the truth, and it catches a screen that does not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from btswarm.engine import bench_parity
from btswarm.engine.bars import DAY_MS, Bars
from btswarm.engine.costs import Costs
from btswarm.engine.kernels import cpu, exact
from btswarm.engine.kernels.cpu import Screened
from btswarm.engine.kernels.market import Market
from btswarm.engine.kernels.parity import (
    DECISION,
    DEMANDS,
    Parity,
    Screen,
    around_widest_gap,
    decisions,
    parity,
    same_decisions,
)
from btswarm.engine.strategies.api import Combos, Params
from btswarm.engine.strategies.mtf_ema import draw, space_for
from btswarm.state.errors import BadConfig, GateFailed

from ..market import walk

SPACE = space_for("aggressive")


@pytest.fixture(scope="module")
def prepared() -> Market:
    return cpu.prepare(walk(days=90, seed=8), SPACE)


def test_the_demands_are_written_in_one_table() -> None:
    table = {demand.figure: (demand.at_least, demand.at_most) for demand in DEMANDS}
    assert table == {
        "trade_counts_equal": (0.999, np.inf),
        "trades_equal": (0.99, np.inf),
        "sharpe_within_1e_3": (0.997, np.inf),
        "sharpe_difference_995": (-np.inf, 2e-4),
        "top_missed_too_many": (-np.inf, 0),
    }


def test_the_screen_of_this_machine_meets_them_all(prepared: Market) -> None:
    found = parity(prepared, 600, seed=1, min_trades=1)
    assert found.failures() == []
    assert (found.combos, found.top, found.margin, found.top_kept) == (600, 60, 2, 60)
    assert (found.bars, found.missing_bars, found.mode, found.symbol) == (90 * 288, 0, "aggressive", "SOLUSDT")
    assert found.trades > 10_000


def spoiled(change: Any) -> Screen:
    """The CPU's screen with its answer changed."""

    def screen(*args: Any, **kwargs: Any) -> Screened:
        screened = cpu.screen(*args, **kwargs)
        return replace(screened, **change(screened))

    return screen


def fails(prepared: Market, change: Any) -> list[str]:
    found = parity(prepared, 500, seed=1, min_trades=1, screen=spoiled(change))
    return [line.split(": ")[1].split(" is ")[0] for line in found.failures()]


def test_a_screen_that_loses_a_trade_in_one_of_a_hundred_combos_is_caught(prepared: Market) -> None:
    def change(s: Screened) -> dict[str, Any]:
        trades = s.trades.copy()
        trades[np.flatnonzero(trades > 5)[::50]] -= 1
        return {"trades": trades}

    assert fails(prepared, change) == ["trade_counts_equal", "trades_equal"]


def test_a_screen_whose_sharpe_is_a_little_off_everywhere_is_caught(prepared: Market) -> None:
    def change(s: Screened) -> dict[str, Any]:
        return {"sharpe": s.sharpe + 3e-4}

    assert fails(prepared, change) == ["sharpe_difference_995"]


def test_a_screen_whose_sharpe_is_far_off_in_few_combos_is_caught(prepared: Market) -> None:
    def change(s: Screened) -> dict[str, Any]:
        off = s.sharpe.copy()
        off[np.argsort(np.nan_to_num(off, nan=-99.0))[-3:]] -= 99.0
        return {"sharpe": off}

    assert fails(prepared, change) == ["sharpe_within_1e_3", "sharpe_difference_995", "top_missed_too_many"]


def test_a_sharpe_that_is_undefined_on_one_side_only_is_no_agreement(prepared: Market) -> None:
    def change(s: Screened) -> dict[str, Any]:
        off = s.sharpe.copy()
        off[::100] = np.nan
        return {"sharpe": off}

    assert "sharpe_within_1e_3" in fails(prepared, change)
    assert "sharpe_difference_995" in fails(prepared, change)


def test_the_decisions_listed_are_the_trades_of_the_exact_simulator(prepared: Market) -> None:
    combos: Combos = draw(SPACE, 4, 0, 30)
    screened = cpu.screen(prepared, combos, Costs(), 3.0)
    for row, listed in zip(combos, decisions(prepared, combos, Costs(), screened), strict=True):
        backtest = exact.simulate(prepared.bars, Params.from_row(row), Costs(), 3.0)
        for name in DECISION.names or ():
            assert listed[name].tolist() == backtest.trades[name].tolist()
        assert same_decisions(listed, backtest)
        if len(listed):
            for name in DECISION.names or ():
                other = listed.copy()
                other[name][0] += 1
                assert not same_decisions(other, backtest)
            assert not same_decisions(listed[:-1], backtest)


def with_gap(bars: Bars, first: int, last: int) -> Bars:
    """Without the bars first..last-1."""
    kept = np.r_[0:first, last : len(bars)]
    columns = {name: getattr(bars, name)[kept] for name in ("time", "open", "high", "low", "close", "volume")}
    return Bars(bars.symbol, bars.base_ms, **columns)


def test_the_widest_gap_comes_to_lie_in_the_middle() -> None:
    bars = with_gap(with_gap(walk(days=40), 5000, 5016), 100, 103)
    around = around_widest_gap(bars, 10)
    assert around is not None
    assert round((around.time[-1] + around.base_ms - around.time[0]) / DAY_MS, 1) == 10.1
    assert int(np.argmax(np.diff(around.time))) == pytest.approx(len(around) / 2, abs=2)
    assert around_widest_gap(walk(days=5), 2) is None
    assert around_widest_gap(walk(days=5).slice(0, 1), 2) is None


class TestCommand:
    @pytest.fixture
    def bars(self, monkeypatch: pytest.MonkeyPatch) -> Bars:
        bars = with_gap(walk(days=70, seed=6), 3000, 3016)
        monkeypatch.setattr(bench_parity, "load_data", lambda options: bars)
        return bars

    def test_it_compares_every_mode_on_the_last_days_and_around_the_gap(
        self, bars: Bars, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert bench_parity.main(["--combos", "40", "--last-days", "20", "--json"]) == 0
        rows = orjson.loads(capfd.readouterr().out)
        assert [(row["mode"], row["missing_bars"]) for row in rows] == [
            (mode, missing) for missing in (0, 16) for mode in ("conservative", "balanced", "aggressive")
        ]
        assert {tuple(row["failures"]) for row in rows} == {()}

    def test_the_gap_is_not_looked_at_twice(self, bars: Bars, capfd: pytest.CaptureFixture[str]) -> None:
        assert bench_parity.main(["--combos", "10", "--last-days", "70", "--mode", "balanced"]) == 0
        assert capfd.readouterr().out.count("all demands met") == 1

    def test_a_demand_that_is_not_met_is_a_failed_check(self, bars: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
        def wrong(*args: Any, **kwargs: Any) -> Parity:
            return replace(parity(*args, **kwargs), trades_equal=0.9)

        monkeypatch.setattr(bench_parity, "parity", wrong)
        with pytest.raises(GateFailed, match=r"SOLUSDT balanced: trades_equal is 0\.9, demanded at least 0\.99"):
            bench_parity.main(["--combos", "10", "--last-days", "20", "--mode", "balanced"])

    @pytest.mark.parametrize("option", [["--combos", "0"], ["--threads", "-1"], ["--mode", "wild"]])
    def test_what_makes_no_sense_is_refused(self, bars: Bars, option: list[str]) -> None:
        with pytest.raises(BadConfig):
            bench_parity.main(option)


@pytest.mark.slow
def test_the_command_reads_real_candles(market_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--data-path", str(market_data), "--symbol", "BTC", "--combos", "20", "--last-days", "30"]
    assert bench_parity.main([*options, "--mode", "conservative"]) == 0
    told = capfd.readouterr().out
    assert "16 missing" in told
    assert told.count("all demands met") == 2
