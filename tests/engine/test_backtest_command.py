"""`btswarm backtest`: the JSON it promises, what it refuses, and that nobody sees the hold-out without an entry."""

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from btswarm.engine.bars import Bars
from btswarm.engine.commands import backtest
from btswarm.engine.costs import Costs
from btswarm.engine.kernels.exact import simulate
from btswarm.engine.ledger import Ledger
from btswarm.engine.metrics import NAMES, jsonable, metrics
from btswarm.engine.split import split
from btswarm.engine.strategies.api import Params
from btswarm.state.errors import BadConfig, InputGone
from btswarm.state.models.ledger import Entry

from .market import walk

HOUR = 60
FIRST = Params(60, 5, 120, 20, 0.02, 0.05, 0.0, "both")
SECOND = Params(60, 8, 240, 30, 0.0, 0.1, 0.03, "long")
TRADE_KEYS = {"entry_time", "exit_time", "side", "entry_price", "exit_price", "net_return", "reason"}


def candles(days: float) -> Bars:
    return walk("2021-01-01", days, minutes=HOUR)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_ROOT", str(tmp_path / "state"))
    (tmp_path / "params.json").write_bytes(orjson.dumps([FIRST.as_dict(), SECOND.as_dict()]))
    return tmp_path


def arguments(folder: Path, bars: Bars, *more: str) -> list[str]:
    columns = dict(zip(("open", "high", "low", "close", "volume"), bars.columns, strict=True))
    path = folder / "SOLUSDT-1h.parquet"
    pl.DataFrame({"timestamp": bars.time, **columns}).write_parquet(path)
    return ["--params-file", str(folder / "params.json"), "--data-path", str(path), "--json", *more]


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads(capsys.readouterr().out)
    return found


def entered(folder: Path) -> list[Entry]:
    return Ledger(folder / "state" / "search_ledger.jsonl").entries()


# what it prints


def test_it_prints_one_object_per_configuration_in_order_with_metrics_and_trades(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = candles(120)
    options = ("--trades", "--fee", "0.001", "--slippage", "0.0003", "--leverage", "2", "--funding", "0.0001")
    assert backtest.main(arguments(folder, bars, *options)) == 0
    found = said(capsys)
    assert [one["params"] for one in found] == [FIRST.as_dict(), SECOND.as_dict()]
    for one, params in zip(found, (FIRST, SECOND), strict=True):
        run = simulate(bars, params, Costs(0.001, 0.0003, 0.0001), 2.0)
        assert one["metrics"] == jsonable(metrics(run))
        assert tuple(one["metrics"]) == NAMES
        assert len(one["trades"]) == len(run.trades) > 0
        for trade, row in zip(one["trades"], run.trades, strict=True):
            assert trade.keys() == TRADE_KEYS
            assert (trade["entry_time"], trade["exit_time"]) == tuple(bars.time[[row["entry"], row["exit"]]])
            assert (trade["net_return"], trade["side"]) == (row["net_return"], row["side"])


def test_without_trades_asked_for_there_are_none_and_what_is_undefined_is_null(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest.main(arguments(folder, candles(1), "--to", "2021-01-01")) == 0
    for one in said(capsys):
        assert one.keys() == {"params", "metrics"}
        assert one["metrics"]["total_trades"] == 0
        assert one["metrics"]["sharpe"] is None


def test_what_cannot_be_simulated_is_refused_by_name(folder: Path) -> None:
    bars = candles(5)
    for options, error, named in (
        (("--leverage", "0"), BadConfig, "leverage"),
        (("--fee", "0.5"), BadConfig, "fee"),
        (("--slippage", "0.015"), BadConfig, "stop_loss"),
        (("--params-file", str(folder / "none.json")), InputGone, "none.json"),
    ):
        with pytest.raises(error, match=named):
            backtest.main(arguments(folder, bars, *options))
    (folder / "params.json").write_bytes(orjson.dumps([FIRST.as_dict(), {**SECOND.as_dict(), "fast_tf": 90}]))
    with pytest.raises(BadConfig, match="fast_tf 90 is no multiple"):
        backtest.main(arguments(folder, bars))


# who sees the hold-out


def test_results_on_hold_out_days_are_entered_as_an_exposure(folder: Path) -> None:
    bars = candles(400)
    assert backtest.main(arguments(folder, bars)) == 0
    (entry,) = entered(folder)
    cut = split(bars)
    assert (entry.kind, entry.symbol, entry.stage, entry.volume) == ("exposure", "SOLUSDT", "backtest", 2)
    assert (entry.holdout_from, entry.holdout_to) == (cut.holdout.first_iso, cut.holdout.last_iso)


def test_the_exposure_is_entered_before_anything_is_simulated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def simulated(*_arguments: object, **_options: object) -> None:
        assert len(entered(folder)) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr("btswarm.engine.kernels.exact.simulate", simulated)
    with pytest.raises(KeyboardInterrupt):
        backtest.main(arguments(folder, candles(400)))


def test_results_that_end_before_the_hold_out_are_none_and_one_of_its_days_is(folder: Path) -> None:
    bars = candles(400)
    cut = split(bars)
    assert backtest.main(arguments(folder, bars, "--to", cut.train.last_iso)) == 0
    assert entered(folder) == []
    assert backtest.main(arguments(folder, bars, "--to", cut.holdout.first_iso)) == 0
    assert len(entered(folder)) == 1


def test_days_that_do_not_suffice_for_a_verdict_yet_are_exposed_all_the_same(folder: Path) -> None:
    assert backtest.main(arguments(folder, candles(290))) == 0
    later = split(candles(330))
    assert later.sufficient
    book = Ledger(folder / "state" / "search_ledger.jsonl")
    assert len(book.exposures("SOLUSDT", later.holdout)) == 1


def test_the_hold_out_that_is_guarded_is_the_configured_one(folder: Path) -> None:
    bars = candles(400)
    own = folder / "own.toml"
    own.write_text("[plan]\nholdout_days = 70\n")
    days = ("--to", split(bars).holdout.first_iso, "--config", str(own))
    assert backtest.main(arguments(folder, bars, *days)) == 0
    assert entered(folder) == []


def test_costs_that_are_not_given_are_the_configured_ones(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars = candles(60)
    (folder / "own.toml").write_text("[costs]\nfee = 0.003\n")
    assert backtest.main(arguments(folder, bars, "--config", str(folder / "own.toml"))) == 0
    assert said(capsys)[0]["metrics"] == jsonable(metrics(simulate(bars, FIRST, Costs(0.003), 1.0)))


def test_an_invented_market_has_nothing_to_hide(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest.main(["--params-file", str(folder / "params.json"), "--json", "--last-days", "40"]) == 0
    assert len(said(capsys)) == 2
    assert not (folder / "state").exists()
