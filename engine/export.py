"""What a finished study leaves: `all_trials.json` and the five best folders, complete or not there at all.

The folders are written aside and renamed; `all_trials.json` is removed before the first of them is touched and written
back last. It names its export, as every best folder does: where it stands, they belong to it.
"""

import csv
import hashlib
import io
import math
import secrets
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import orjson
from optuna.trial import FrozenTrial, TrialState

from ..state.errors import BtswarmError, StorageBroken
from ..state.files import TEMP_PREFIX, explain, make_folder, replace_folder, sync_folder, write_atomic
from ..state.models.artifacts import Metrics
from ..state.models.trials import (
    AllTrials,
    BestConfig,
    BestMetrics,
    SearchFacts,
    SeedFacts,
    TrialRow,
    TrialsHeader,
)
from .artifacts import ALL_TRIALS, read_model, write_model
from .backtest import Backtest, trades_as_rows
from .bars import Bars
from .metrics import jsonable, metrics
from .neighbourhood import Evaluator
from .search_space import distributions, row_of
from .strategies.api import Params
from .strategies.mtf_ema import Space
from .study import PART, RESULT

CONFIG, METRICS, TRADES = "config.json", "metrics.json", "trades.csv"
SEED_RANK = "seed_rank"
TRADE_COLUMNS = (
    "entry_time",
    "exit_time",
    "entry_ms",
    "exit_ms",
    "side",
    "entry_price",
    "exit_price",
    "net_return",
    "reason",
    "bars",
    "fees",
)

Figure = Callable[[TrialRow], float | None]


def _metric(name: str, sign: float = 1.0) -> Figure:
    def figure(row: TrialRow) -> float | None:
        value = (row.metrics or {}).get(name)
        return None if value is None else sign * value

    return figure


CRITERIA: dict[str, Figure] = {
    "best_sharpe": _metric("sharpe"),
    "best_returns": _metric("total_return"),
    "lowest_drawdown": _metric("max_drawdown_daily", -1.0),
    "best_winrate": _metric("win_rate"),
    "best_robust": lambda row: row.score,
}
"""By which figure the best feasible trial is chosen, highest first; ties by Sharpe, then by number."""


def trial_row(trial: FrozenTrial, space: Space) -> TrialRow:
    """One told or failed trial as the artifact shows it."""
    complete = trial.state is TrialState.COMPLETE
    result = trial.user_attrs.get(RESULT, {}) if complete else {}
    known = distributions(space).keys() <= trial.params.keys()  # a worker may have died while it was proposing
    return TrialRow(
        number=trial.number,
        state="complete" if complete else "failed",
        params=Params.from_row(row_of(space, trial.params)).as_dict() if known else None,
        score=result.get("score"),
        metrics=result.get("metrics"),
        fold_sharpes=result.get("fold_sharpes", []),
        feasible=complete and all(value <= 0 for value in trial.constraints.values()),
        seed_rank=trial.user_attrs.get(SEED_RANK),
        part=trial.user_attrs.get(PART),
        duration_s=result.get("duration_s"),
    )


def choose(rows: Iterable[TrialRow]) -> dict[str, TrialRow]:
    """The best feasible trial by each criterion; empty when none is feasible."""
    feasible = [row for row in rows if row.feasible]
    if not feasible:
        return {}
    return {name: max(feasible, key=lambda row: _rank(row, figure)) for name, figure in CRITERIA.items()}


def _rank(row: TrialRow, figure: Figure) -> tuple[float, float, int]:
    values = (figure(row), _metric("sharpe")(row))
    return (*(-math.inf if value is None else value for value in values), -row.number)  # type: ignore[return-value]


def document(trials: list[FrozenTrial], search: SearchFacts, space: Space, study: str, seeds: SeedFacts) -> AllTrials:
    """`all_trials.json` of a study: trials still waiting or running are not in it."""
    rows = [trial_row(trial, space) for trial in trials if trial.state.is_finished()]
    body = orjson.dumps([search.model_dump(), [row.model_dump() for row in rows]])
    header = TrialsHeader(
        search=search,
        study=study,
        seeds=seeds,
        told=sum(row.state == "complete" for row in rows),
        feasible=sum(row.feasible for row in rows),
        export=hashlib.sha256(body).hexdigest()[:32],
    )
    return AllTrials(header=header, best={name: row.number for name, row in choose(rows).items()}, trials=rows)


def write(out_dir: Path, found: AllTrials, evaluator: Evaluator) -> list[Path]:
    """Write everything; the caller is the only one who exports. Returns the paths, `all_trials.json` first.

    Raises StorageBroken when the recorded metrics are not those the simulator gives now.
    """
    aside = make_folder(out_dir / f"{TEMP_PREFIX}export-{secrets.token_hex(4)}")
    rows = {row.number: row for row in found.trials}
    for name, number in found.best.items():
        _write_best(make_folder(aside / name), name, rows[number], found.header, evaluator)
    try:
        (out_dir / ALL_TRIALS).unlink(missing_ok=True)
        sync_folder(out_dir)
        for name in CRITERIA:
            replace_folder(out_dir / name, aside / name, aside / f"old-{name}")
        sync_folder(out_dir)
    except OSError as error:
        raise explain(error, out_dir) from error
    path = write_model(out_dir / ALL_TRIALS, found)
    clean(out_dir)
    return [path, *(out_dir / name for name in found.best)]


def complete(out_dir: Path) -> AllTrials | None:
    """The export that lies in `out_dir` if it is whole: all five folders there and its own. None otherwise."""
    try:
        found = read_model(out_dir / ALL_TRIALS, AllTrials)
        configs = {name: read_model(out_dir / name / CONFIG, BestConfig) for name in found.best}
    except BtswarmError:
        return None
    whole = all((out_dir / name / file).is_file() for name in found.best for file in (METRICS, TRADES))
    return found if whole and all(one.export == found.header.export for one in configs.values()) else None


def clean(out_dir: Path) -> None:
    """Remove what a killed export left aside."""
    for path in out_dir.glob(f"{TEMP_PREFIX}export-*"):
        with suppress(OSError):
            shutil.rmtree(path)


def trades_csv(backtest: Backtest, bars: Bars) -> bytes:
    """One line per trade, TRADE_COLUMNS; times are the opens of the bars, once as ISO 8601 UTC and once in ms."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(TRADE_COLUMNS)
    for row, held, fees in zip(
        trades_as_rows(backtest.trades, bars), backtest.held_bars(), backtest.trades["fees"], strict=True
    ):
        entry, exit_ = row["entry_time"], row["exit_time"]
        prices = [row[name] for name in ("side", "entry_price", "exit_price", "net_return", "reason")]
        out.writerow([_iso(entry), _iso(exit_), entry, exit_, *prices, int(held), float(fees)])
    return text.getvalue().encode()


def _iso(ms: object) -> str:
    assert isinstance(ms, int)
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write_best(folder: Path, name: str, row: TrialRow, header: TrialsHeader, evaluator: Evaluator) -> None:
    assert row.params is not None
    backtest = evaluator.simulate(Params.parse(row.params).to_row())
    again = jsonable(metrics(backtest))
    _refuse_drift(row, again)
    config = BestConfig(name=name, export=header.export, trial=row.number, params=row.params, search=header.search)
    figures = BestMetrics(
        export=header.export, trial=row.number, score=row.score, fold_sharpes=row.fold_sharpes, metrics=again
    )
    write_model(folder / CONFIG, config)
    write_model(folder / METRICS, figures)
    write_atomic(folder / TRADES, trades_csv(backtest, evaluator.bars))


def _refuse_drift(row: TrialRow, again: Metrics) -> None:
    if row.metrics != again:
        raise StorageBroken(
            f"trial {row.number} has other metrics now than when it was told: the study is of another version",
            fix="use a new folder, or delete the study to begin again",
        )
