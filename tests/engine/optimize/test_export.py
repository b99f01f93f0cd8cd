"""What a study leaves: the right choices, files that say what they are, and never half of it."""

import csv
import io
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import optuna
import orjson
import pytest
from optuna.trial import TrialState

from btswarm.engine import export, optimize
from btswarm.engine.artifacts import ALL_TRIALS, BEST, read_model
from btswarm.engine.backtest import REASONS
from btswarm.engine.bars import Bars
from btswarm.engine.costs import Costs
from btswarm.engine.export import CONFIG, CRITERIA, METRICS, TRADE_COLUMNS, TRADES, choose, complete
from btswarm.engine.kernels import exact
from btswarm.engine.metrics import jsonable, metrics
from btswarm.engine.progress import Silent
from btswarm.engine.search_space import distributions
from btswarm.engine.strategies import mtf_ema
from btswarm.engine.strategies.api import Params
from btswarm.state.errors import GateFailed, StorageBroken
from btswarm.state.models.trials import AllTrials, BestConfig, BestMetrics, TrialRow

from .conftest import MODE, MakeJob


def row(number: int, **figures: float | None) -> TrialRow:
    names = ("sharpe", "total_return", "max_drawdown_daily", "win_rate")
    return TrialRow(
        number=number,
        state="complete",
        params={},
        score=figures.get("score", 0.0),
        metrics={name: figures.get(name, 0.5) for name in names},
        feasible=bool(figures.get("feasible", 1)),
    )


@pytest.fixture
def out(make_job: MakeJob, bars: Bars) -> Path:
    """The folder of a finished study."""
    job = make_job()
    optimize.run(job, bars, Silent())
    return Path(job.out_dir)


def test_each_best_folder_is_chosen_by_its_own_figure() -> None:
    rows = [
        row(0, sharpe=9),
        row(1, total_return=9),
        row(2, max_drawdown_daily=0.1),
        row(3, win_rate=0.9),
        row(4, score=9),
        row(5, sharpe=99, total_return=99, max_drawdown_daily=0, win_rate=1, score=99, feasible=0),
    ]
    assert {name: one.number for name, one in choose(rows).items()} == dict(zip(BEST, range(5), strict=True))
    assert tuple(CRITERIA) == BEST


@pytest.mark.parametrize("name", [name for name in BEST if name != "best_sharpe"])
def test_ties_are_decided_by_sharpe_and_then_by_number(name: str) -> None:
    assert choose([row(0, sharpe=1), row(1, sharpe=2), row(2, sharpe=2)])[name].number == 1


def test_what_is_undefined_ranks_worst() -> None:
    rows = [row(0, score=None, sharpe=3), row(1, score=-5.0, sharpe=1), row(2, sharpe=None, score=-9)]
    assert choose(rows)["best_robust"].number == 1
    assert choose(rows)["best_sharpe"].number == 0
    assert choose([row(0, score=None, sharpe=1), row(1, score=None, sharpe=2)])["best_robust"].number == 1
    assert choose([row(0, feasible=0)]) == {}


def test_every_best_folder_holds_what_it_takes_to_get_its_numbers_again(out: Path, bars: Bars) -> None:
    found = read_model(out / ALL_TRIALS, AllTrials)
    rows = {one.number: one for one in found.trials}
    for name in BEST:
        config = read_model(out / name / CONFIG, BestConfig)
        figures = read_model(out / name / METRICS, BestMetrics)
        assert (config.name, config.trial, figures.trial) == (name, found.best[name], found.best[name])
        assert config.export == figures.export == found.header.export
        assert config.search.data.sha256 == bars.sha256
        again = exact.simulate(
            bars, Params.parse(config.params), Costs(**config.search.costs.model_dump()), config.search.leverage
        )
        assert figures.metrics == jsonable(metrics(again)) == rows[config.trial].metrics
        assert (figures.score, figures.fold_sharpes) == (rows[config.trial].score, rows[config.trial].fold_sharpes)


def test_trades_csv_has_a_line_for_every_trade_with_the_documented_columns(out: Path, bars: Bars) -> None:
    config = read_model(out / "best_robust" / CONFIG, BestConfig)
    backtest = exact.simulate(bars, Params.parse(config.params), Costs(), config.search.leverage)
    lines = list(csv.DictReader(io.StringIO((out / "best_robust" / TRADES).read_text())))
    assert tuple(lines[0]) == TRADE_COLUMNS
    assert len(lines) == len(backtest.trades) >= 30
    for line, trade in zip(lines, backtest.trades, strict=True):
        assert datetime.fromisoformat(line["entry_time"]).timestamp() * 1000 == int(line["entry_ms"])
        assert datetime.fromisoformat(line["exit_time"]).timestamp() * 1000 == bars.time[trade["exit"]]
        assert float(line["net_return"]) == trade["net_return"]
        assert (float(line["entry_price"]), float(line["exit_price"])) == (trade["entry_price"], trade["exit_price"])
        assert (int(line["side"]), line["reason"]) == (trade["side"], REASONS[trade["reason"]])
    assert [int(line["bars"]) for line in lines] == backtest.held_bars().tolist()
    assert np.isclose(sum(float(line["fees"]) for line in lines), metrics(backtest)["fees_paid"])


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every artifact below `folder`; the study itself notes that it was opened, and is copied then."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(folder / "study.journal.locks")
    ]
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in files if not path.name.startswith("study.journal")
    }


def test_a_trial_whose_worker_died_while_proposing_it_is_shown_without_a_point() -> None:
    space = mtf_ema.space_for(MODE)
    known = {"fast_tf": distributions(space)["fast_tf"]}
    trial = optuna.trial.create_trial(state=TrialState.FAIL, params={"fast_tf": 15}, distributions=known)
    shown = export.trial_row(trial, space)
    assert (shown.state, shown.params, shown.feasible, shown.score) == ("failed", None, False, None)


class Killed(BaseException):
    """What the process does not live to see."""


def dying(real: Callable[..., object], at: int) -> Callable[..., object]:
    """`real`, but the call number `at` kills."""
    calls = iter(range(at))

    def called(*given: object, **named: object) -> object:
        if next(calls, None) is None:
            raise Killed
        return real(*given, **named)

    return called


@pytest.mark.slow
@pytest.mark.parametrize("call", ["os.rename", "os.replace", "os.unlink"])
def test_an_export_killed_at_any_step_never_looks_complete_and_is_made_good_by_the_next_run(
    make_job: MakeJob, bars: Bars, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    job, out = make_job(trials=20), Path(make_job().out_dir)
    optimize.run(job, bars, Silent())
    longer = make_job(trials=24)
    steps = 0
    while True:
        before = complete(out)
        with monkeypatch.context() as patched:
            patched.setattr(call, dying(getattr(os, call.removeprefix("os.")), steps))
            try:
                optimize.run(longer, bars, Silent())
                break
            except Killed:
                steps += 1
        found = complete(out)
        assert found is None or found == before or found.header.told == 24
        if found is not None:
            assert all((out / name / METRICS).is_file() for name in BEST)
    assert steps > 0 or call == "os.unlink"
    found = complete(out)
    assert found is not None
    assert found.header.told == 24
    assert not list(out.glob(".tmp-export-*"))


def test_a_folder_of_another_export_a_missing_file_or_a_damaged_one_is_not_complete(out: Path) -> None:
    assert complete(out) is not None
    kept = snapshot(out)
    config = orjson.loads(kept["best_returns/config.json"])
    (out / "best_returns" / CONFIG).write_bytes(orjson.dumps(config | {"export": "another"}))
    assert complete(out) is None
    (out / "best_returns" / CONFIG).write_bytes(kept["best_returns/config.json"][:-20])
    assert complete(out) is None
    (out / "best_returns" / CONFIG).write_bytes(kept["best_returns/config.json"])
    (out / "lowest_drawdown" / TRADES).unlink()
    assert complete(out) is None
    shutil.rmtree(out / "lowest_drawdown")
    assert complete(out) is None


def test_a_finished_study_run_again_changes_no_byte(out: Path, make_job: MakeJob, bars: Bars) -> None:
    (out / "best_robust" / "tearsheet.html").write_text("of a later stage")
    before = snapshot(out)
    optimize.run(make_job(), bars, Silent())
    assert snapshot(out) == before


def test_a_deleted_best_folder_is_made_again(out: Path, make_job: MakeJob, bars: Bars) -> None:
    before = snapshot(out)
    shutil.rmtree(out / "best_winrate")
    optimize.run(make_job(), bars, Silent())
    assert {name: raw for name, raw in snapshot(out).items() if name.startswith("best_")} == {
        name: raw for name, raw in before.items() if name.startswith("best_")
    }


def test_no_feasible_trial_leaves_the_trials_and_no_best_folder_and_says_so(
    out: Path, make_job: MakeJob, bars: Bars
) -> None:
    impossible = make_job(trials=8, min_trades=5000)
    with pytest.raises(GateFailed, match="none of 8 trials of SOLUSDT/aggressive is feasible") as refused:
        optimize.run(impossible, bars, Silent())
    assert refused.value.code == 1
    found = read_model(out / ALL_TRIALS, AllTrials)
    assert (found.header.told, found.header.feasible, found.best) == (8, 0, {})
    assert not [name for name in BEST if (out / name).exists()], "those of an earlier study are gone"
    assert complete(out) == found


def test_metrics_that_are_no_longer_those_that_were_told_are_refused(
    make_job: MakeJob, bars: Bars, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drifted(backtest: object) -> dict[str, float]:
        return metrics(backtest) | {"sharpe": 1.0}  # type: ignore[arg-type]

    monkeypatch.setattr(export, "metrics", drifted)
    with pytest.raises(StorageBroken, match="other metrics now"):
        optimize.run(make_job(), bars, Silent())
    assert complete(Path(make_job().out_dir)) is None
