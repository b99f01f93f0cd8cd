"""A small market with a candidate found on its training days, for the tests of the stage and of the door."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from btswarm.engine.artifacts import cost_facts, data_facts, versions, write_model
from btswarm.engine.bars import Bars
from btswarm.engine.costs import Costs
from btswarm.engine.kernels.exact import simulate
from btswarm.engine.metrics import metrics
from btswarm.engine.split import split
from btswarm.engine.strategies import mtf_ema
from btswarm.engine.strategies.api import Params
from btswarm.state.models.jobs import CostRates, Inputs, Job, Volume
from btswarm.state.models.trials import BestConfig, SearchFacts

from ..market import walk

OVERRIDE = {"fast_tf": [60], "slow_tf": [120, 240], "fast_period": [3, 12], "slow_period": [10, 30]}
SPACE = mtf_ema.space_for("balanced", OVERRIDE)
COSTS = Costs()
COMBOS = 300


@cache
def market(days: float = 500, seed: int = 4) -> Bars:
    """Hourly bars, so that everything is quick."""
    return walk("2022-01-01", days, minutes=60, seed=seed)


def best_of(bars: Bars, seed: int = 0, rank: int = 0) -> Params:
    """One of the best combos on these bars."""
    return ranked(bars.sha256, bars, seed)[rank]


RANKED: dict[tuple[str, int], list[Params]] = {}


def ranked(key: str, bars: Bars, seed: int) -> list[Params]:
    """Some combos, those with the highest Sharpe first."""
    if (key, seed) not in RANKED:
        found = [Params.from_row(row) for row in mtf_ema.draw(SPACE, seed, 0, 60)]
        runs = [metrics(simulate(bars, one, COSTS, SPACE.leverage)) for one in found]
        sharpes = [run["sharpe"] if run["total_trades"] >= 30 else -np.inf for run in runs]
        RANKED[key, seed] = [found[number] for number in np.argsort(sharpes)[::-1]]
    return RANKED[key, seed]


def leave_candidate(
    folder: Path, training: Bars, params: Params, *, costs: Costs = COSTS, space: mtf_ema.Space = SPACE
) -> None:
    """`best_robust/config.json` as the optimize stage leaves it."""
    target = folder / "best_robust"
    target.mkdir(parents=True, exist_ok=True)
    facts = SearchFacts(
        symbol=training.symbol,
        mode=space.mode,
        strategy=mtf_ema.NAME,
        space=space.model_dump(mode="json"),
        space_sha256=space.sha256,
        data=data_facts(training),
        costs=cost_facts(costs),
        leverage=space.leverage,
        max_drawdown=space.max_drawdown,
        min_trades=30,
        neighbours=64,
        folds=5,
        seed=0,
        versions=versions(),
    )
    config = BestConfig(name="best_robust", export="e1", trial=7, params=params.as_dict(), search=facts)
    write_model(target / "config.json", config)


def job_for(folder: Path, bars: Bars, *, paths: int = 50, seed: int = 0, permutations: int = 0) -> Job:
    """The validate job of this market, a candidate from its training days left in `folder`."""
    training = split(bars).training(bars)
    if not (folder / "best_robust" / "config.json").exists():
        leave_candidate(folder, training, best_of(training))
    return Job(
        job="r1/SOLUSDT/balanced/validate",
        worker="cpu000@1",
        stage="validate",
        symbol=bars.symbol,
        mode="balanced",
        inputs=Inputs(data="unused"),
        volume=Volume(combos=COMBOS, paths=paths, permutations=permutations),
        costs=CostRates(fee=COSTS.fee, slippage=COSTS.slippage),
        space=dict(OVERRIDE),
        seed=seed,
        out_dir=str(folder),
        ledger=str(folder / "search_ledger.jsonl"),
    )


def with_other_future(bars: Bars, from_ms: int, seed: int = 99) -> Bars:
    """The same bars up to `from_ms`, another market from there on."""
    other = walk("2022-01-01", len(bars) / 24, minutes=60, seed=seed)
    later = bars.time >= from_ms
    mixed = [np.where(later, b, a) for a, b in zip(bars.columns, other.columns, strict=True)]
    o, h, low, c, v = mixed
    return replace(bars, open=o, high=h, low=low, close=c, volume=v)
