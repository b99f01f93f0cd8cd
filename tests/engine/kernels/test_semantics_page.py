"""The worked examples of docs/SEMANTICS.md are what the simulators do."""

import csv
from pathlib import Path

import pytest

from btswarm.engine.bars import MINUTE_MS, Bars
from btswarm.engine.costs import Costs
from btswarm.engine.indicators import ema
from btswarm.engine.strategies.api import Params
from btswarm.engine.timeframes import windows

from ..market import ms
from .markets import Simulate, market, trades_of

PAGE = Path(__file__).parents[3] / "docs" / "SEMANTICS.md"
START = ms("2024-01-01")
Rows = list[dict[str, str]]


def tables() -> list[Rows]:
    """The blocks of comma-separated values of the page, in order."""
    blocks = PAGE.read_text().split("```csv\n")[1:]
    return [list(csv.DictReader(block.split("```")[0].splitlines())) for block in blocks]


def clock(time: int) -> str:
    minutes = (time - START) // MINUTE_MS
    return f"{minutes // 60:02}:{minutes % 60:02}"


def test_windows_of_the_page_are_known_where_it_says() -> None:
    rows = tables()[0]
    slots = [int(row["opens"][:2]) * 12 + int(row["opens"][3:]) // 5 for row in rows]
    bars = market([float(row["close"]) for row in rows], slots=slots)
    found = windows(bars, 15)
    for bar, row in enumerate(rows):
        known = [f"{clock(found.start[w])}={found.close[w]:g}" for w in range(len(found)) if found.known[w] == bar]
        assert " ".join(known) == row["windows known from its close on"]
    assert windows(bars.slice(1, 6), 15).start.tolist() == [START + 15 * MINUTE_MS, START + 30 * MINUTE_MS]
    assert windows(bars.slice(0, 5), 15).known.tolist() == [2, 2, 5]  # there is no bar 5


def example() -> Bars:
    columns = ("open", "high", "low", "close")
    candles = [(float(row["open"]), float(row["high"]), float(row["low"]), float(row["close"])) for row in tables()[1]]
    assert list(tables()[1][0])[1:5] == list(columns)
    return market(candles)


def test_averages_and_sides_of_the_example_are_those_written_down() -> None:
    average = ema(example().close, 2)
    for bar, row in list(enumerate(tables()[1]))[1:]:
        assert f"{average[bar]:.3f}" == row["average"]
        assert row["side"] == ("+1" if float(row["close"]) > average[bar] else "-1")


def test_trades_of_the_example_are_those_written_down(simulate: Simulate) -> None:
    configuration = Params(5, 1, 5, 2, 0.05, 0.1, 0.0, "both")
    found = trades_of(simulate(example(), configuration, Costs(0.0005, 0.0002), 2.0))
    equity = 1.0
    assert len(found) == len(tables()[2])
    for trade, row in zip(found, tables()[2], strict=True):
        assert [str(value) for value in trade[:3]] == [row["entry"], row["exit"], row["side"]]
        assert [f"{value:.6f}" for value in trade[3:6]] == [row["entry_price"], row["exit_price"], row["net_return"]]
        assert trade.reason == row["reason"]
        equity *= 1.0 + trade.net_return
        assert f"{equity:.6f}" == row["equity after"]
        opened = tables()[1][trade.entry]["what happens"]
        assert f"at {trade.entry_price:.4f}" in opened or "the data ends" in opened
        if "stop " in opened and trade.entry < 10:
            assert f"stop {trade.entry_price * (1 - trade.side * 0.05):.6f}" in opened
    assert PAGE.read_text().count("take 111.122220") == 1
    assert found[0].exit_price == pytest.approx(111.12222)
