"""The whole pipeline, from candles to verdict, on one market after another; a row for each, kept as it comes.

Each market has its own empty ledger. The budget is reduced, the code path and the thresholds are those of `certify`.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import orjson

from ...state.errors import GateFailed, StorageBroken
from ...state.files import append_line, make_folder, write_atomic
from ...state.models.jobs import CostRates, Job, Stage, Volume
from ...state.models.trials import AllTrials, BestConfig
from ...state.models.validation import Validation
from .. import validate
from ..artifacts import ALL_TRIALS, VALIDATION, read_model
from ..bars import Bars
from ..candles.load import load
from ..costs import Costs
from ..kernels.exact import simulate
from ..metrics import sharpe
from ..progress import Silent
from ..split import split
from ..stages import run_stage
from ..strategies.api import Params
from ..strategies.mtf_ema import MODES
from ..validation.selection import Effort
from ..validation.thresholds import EVIDENCE
from .families import Family, generator, null_families, power_families, quarters

SuiteName = Literal["null", "power"]
SEARCHING: tuple[Stage, ...] = ("prescreen", "optimize")
NOTHING = "NOTHING FOUND"
"""No combo or trial was feasible: the pipeline ends before there is a candidate, and so without a certificate."""


@dataclass(frozen=True)
class Budget:
    """What is tried on each market. `stop_after`: null markets as good that end the permutation test."""

    combos: int = 2000
    trials: int = 40
    top_k: int = 100
    paths: int = 200
    permutations: int = 99
    stop_after: int = 5
    pairs: int = 200
    exits: int = 10
    starts: int = 4
    rounds: int = 4

    @property
    def effort(self) -> Effort:
        return Effort(self.pairs, self.exits, self.starts, self.rounds)


@dataclass(frozen=True)
class Task:
    """One market: `data` holds the real candles that some families are made of, '' for none."""

    suite: SuiteName
    family: str
    number: int
    seed: int
    days: int
    mode: str
    data: str
    budget: Budget

    @property
    def key(self) -> dict[str, Any]:
        """What a row must agree in to be the row of this task."""
        return {name: value for name, value in asdict(self).items() if name != "data"}


def families_of(suite: SuiteName, data: str) -> list[Family]:
    return power_families() if suite == "power" else null_families(_real(data))


@cache
def _real(data: str) -> list[Bars]:
    return [quarters(load(data, symbol)) for symbol in ("SOL", "BTC")] if data else []


def tasks_of(suite: SuiteName, markets: int, seed: int, days: int, mode: str, data: str, budget: Budget) -> list[Task]:
    """`markets` in all, dealt to the families in turn; without a mode null markets take the three in turn, and the
    others, whose edge lies on both sides, `balanced`."""
    names = [family.name for family in families_of(suite, data)]
    tasks = []
    for at in range(markets):
        number, turn = at // len(names), MODES[(at // len(names)) % len(MODES)]
        chosen = mode or (turn if suite == "null" else "balanced")
        tasks.append(Task(suite, names[at % len(names)], number, seed, days, chosen, data, budget))
    return tasks


def market_of(task: Task) -> Bars:
    """The candles of a task; they follow from its seed, family and number."""
    found = {family.name: family for family in families_of(task.suite, task.data)}
    return found[task.family].make(generator(task.seed, task.family, task.number), task.days)


def judge_market(task: Task) -> dict[str, Any]:
    """Run the pipeline on the market of a task: its row."""
    began = time.perf_counter()
    bars = market_of(task)
    with tempfile.TemporaryDirectory(prefix="btswarm-truth-") as folder:
        row = _verdict(task, bars, make_folder(Path(folder) / "round"))
    return {**task.key, "data_sha256": bars.sha256, **row, "seconds": round(time.perf_counter() - began, 2)}


def _verdict(task: Task, bars: Bars, folder: Path) -> dict[str, Any]:
    cut = split(bars)
    try:
        for stage in SEARCHING:
            run_stage(_job(task, bars, stage, folder), bars, Silent())
    except GateFailed:
        return {"verdict": NOTHING}
    if not read_model(folder / ALL_TRIALS, AllTrials).best:
        return {"verdict": NOTHING}
    job = _job(task, bars, "validate", folder)
    validate.run(job, bars, Silent(), effort=task.budget.effort, stop_after=task.budget.stop_after)
    found = read_model(folder / VALIDATION, Validation)
    return _row(found, bars, cut.training(bars), read_model(folder / validate.CANDIDATE, BestConfig))


def _job(task: Task, bars: Bars, stage: Stage, folder: Path) -> Job:
    budget = task.budget
    return Job(
        job=f"truth/{task.family}/{task.number}/{stage}",
        stage=stage,
        symbol=bars.symbol,
        mode=task.mode,
        volume=Volume(
            combos=budget.combos,
            trials=budget.trials,
            top_k=budget.top_k,
            paths=budget.paths,
            permutations=budget.permutations,
        ),
        costs=CostRates(**vars(Costs())),
        seed=task.number,
        out_dir=str(folder),
    )


def _row(found: Validation, bars: Bars, training: Bars, config: BestConfig) -> dict[str, Any]:
    assert found.search_null is not None
    assert found.certificate is not None
    own = simulate(training, Params.parse(config.params), Costs(), 1.0)
    return {
        "verdict": found.verdict,
        "p_search": found.p_search.value,
        "p_holdout": found.p_holdout.value,
        "combined": found.certificate.figures["combined"].value,
        "vetoes": [gate.figure for gate in found.gates if gate.figure != EVIDENCE and not gate.passed],
        "gates": {gate.figure: gate.value for gate in found.gates},
        "nulls": {
            one.kind: {"p": one.p, "exceedances": one.exceedances, "markets": len(one.statistics)}
            for one in found.search_null.nulls
        },
        "luck": {
            one.kind: [round(value, 3) for value in one.statistics if value is not None]
            for one in found.search_null.nulls
        },
        "effective_trials": found.deflated_sharpe.figures["effective_trials"].value,
        "sharpe_to_beat": found.deflated_sharpe.figures["sharpe_to_beat"].value,
        "best_sharpe": found.search_null.figures["observed_sharpe"].value,
        "sharpe_training": sharpe(own.daily_returns()),
        "sharpe_holdout": found.holdout.figures["sharpe"].value,
        "trades_holdout": found.holdout.figures["total_trades"].value,
        "bars": len(bars),
    }


def run_suite(tasks: list[Task], path: Path | None, processes: int, told: Callable[[dict[str, Any]], None]) -> None:
    """Judge every task that has no row in `path` yet and append one; `told` hears every row, old ones first.

    What `told` raises ends the suite; markets that were judged stay judged.
    """
    known = {_named(row): row for row in (rows_kept(path) if path else [])}
    for task in tasks:
        if (row := known.get(_named(task.key))) is not None:
            told(row)
    left = [task for task in tasks if _named(task.key) not in known]
    for row in _judged(left, processes):
        if path is not None:
            append_line(path, orjson.dumps(row).decode())
        told(row)


def _judged(tasks: list[Task], processes: int) -> Iterator[dict[str, Any]]:
    if processes == 1:
        yield from map(judge_market, tasks)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(judge_market, task) for task in tasks]
        try:
            for done in as_completed(waiting):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def rows_kept(path: Path) -> list[dict[str, Any]]:
    """The rows of an earlier run; a last line torn by a crash is cut off. Raises StorageBroken for another one."""
    if not path.exists():
        return []
    *lines, torn = path.read_bytes().split(b"\n")
    if torn:
        write_atomic(path, b"".join(line + b"\n" for line in lines))
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            raise StorageBroken(f"{path} line {number} is no row", fix="remove the line") from error
    return rows


def _named(row: dict[str, Any]) -> str:
    names = ("suite", "family", "number", "seed", "days", "mode", "budget")
    return orjson.dumps([row.get(name) for name in names], option=orjson.OPT_SORT_KEYS).decode()
