"""What the optimize stage leaves: `all_trials.json`, and `config.json` and `metrics.json` of each best configuration.

Described in docs/ARTIFACTS.md. Undefined numbers are null. All metrics come from the exact simulator.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .artifacts import CostFacts, DataFacts, Metrics

VERSION = 1

TrialState = Literal["complete", "failed"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SeedFacts(_Model):
    """The phase-0 artifact the study began from; `n` of its rows became trials. Empty when there was none."""

    n: int = 0
    source: str = ""
    sha256: str = ""


class SearchFacts(_Model):
    """Everything that decides the result of a trial: enough, with the candles, to compute it again."""

    symbol: str
    mode: str
    strategy: str
    space: dict[str, Any]
    space_sha256: str
    data: DataFacts
    costs: CostFacts
    leverage: float
    max_drawdown: float = Field(description="limit of max_drawdown_daily; above it a trial is infeasible")
    min_trades: int
    neighbours: int
    folds: int
    seed: int
    versions: dict[str, str]


class TrialsHeader(_Model):
    """`export`: names this export; the same word stands in every best folder that belongs to it."""

    search: SearchFacts
    study: str
    seeds: SeedFacts
    told: int = Field(description="complete trials, feasible or not")
    feasible: int
    export: str


class TrialRow(_Model):
    """One trial. `score`: median Sharpe over the neighbourhood, null when most of it is worthless."""

    number: int
    state: TrialState
    params: dict[str, Any] | None
    score: float | None = None
    metrics: Metrics | None = None
    fold_sharpes: list[float | None] = Field(default_factory=list)
    feasible: bool = False
    seed_rank: int | None = Field(None, description="rank in the phase-0 artifact, when the point came from there")
    part: int | None = Field(None, description="which worker of the study evaluated it")
    duration_s: float | None = None


class AllTrials(_Model):
    v: int = VERSION
    header: TrialsHeader
    best: dict[str, int] = Field(description="best folder -> number of its trial; empty when no trial is feasible")
    trials: list[TrialRow]


class BestConfig(_Model):
    """`config.json`: what to trade, and what it takes to get the same numbers again."""

    v: int = VERSION
    name: str
    export: str
    trial: int
    params: dict[str, Any]
    search: SearchFacts


class BestMetrics(_Model):
    """`metrics.json`: exact, over the training bars."""

    v: int = VERSION
    export: str
    trial: int
    score: float | None
    fold_sharpes: list[float | None]
    metrics: Metrics
