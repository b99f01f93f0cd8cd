"""`phase0_top500.json`: the best combos of a prescreen, re-evaluated exactly. Described in docs/ARTIFACTS.md."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

VERSION = 1

Metrics = dict[str, int | float | None]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DataFacts(_Model):
    """The candles a result was computed on. `first`, `last`: open times, ms UTC. `source`: file name or `synthetic`."""

    symbol: str
    sha256: str
    rows: int
    first: int
    last: int
    base_minutes: int
    source: str
    synthetic: bool


class CostFacts(_Model):
    fee: float
    slippage: float
    funding: float


class Phase0Header(_Model):
    """`volume`: combos screened. `feasible`: of those, with enough trades and a drawdown inside the mode's limit."""

    symbol: str
    mode: str
    strategy: str
    seed: int
    space: dict[str, Any]
    space_sha256: str
    data: DataFacts
    costs: CostFacts
    leverage: float
    min_trades: int
    volume: int
    feasible: int
    top_k: int
    backend: str
    versions: dict[str, str]
    timings: dict[str, float | int | str] = Field(description="the only part that differs between two equal screens")


class Phase0Row(_Model):
    """`combo`: its number in the stream of the header's seed. `metrics`: exact, `screened_sharpe`: the screen's."""

    rank: int
    combo: int
    params: dict[str, Any]
    metrics: Metrics
    screened_sharpe: float


class Phase0(_Model):
    v: int = VERSION
    header: Phase0Header
    rows: list[Phase0Row]
