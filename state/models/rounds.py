"""What one round of the plan keeps beside its artifacts: which plan it is, which stages are done, what came of it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .artifacts import Metrics

VERSION = 1

State = Literal["done", "closed", "failed", "interrupted", "waiting"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Round(_Model):
    """`round.json` of a lane. `plan`: all that decides a result; `repetition`: 0 for the plan's first round.

    `data`: symbol -> hash of its candles, as they were when the round met them.
    """

    v: int = VERSION
    number: int
    lane: str
    plan: dict[str, Any]
    repetition: int = 0
    seed: int
    data: dict[str, str] = Field(default_factory=dict)
    complete: bool = False


class StageDone(_Model):
    """A stage that ended well. `key`: hash of all that went in; `artifacts`: path inside the folder -> its hash."""

    key: str
    seconds: float
    artifacts: dict[str, str]


class Stages(_Model):
    """`stages.json` of one symbol and mode."""

    v: int = VERSION
    stages: dict[str, StageDone] = Field(default_factory=dict)


class StageTime(_Model):
    """`seconds` of work; `reused`: it was done before and its artifacts were still good."""

    stage: str
    seconds: float
    reused: bool = False


class Figures(_Model):
    """What a person compares between the periods. Undefined is null."""

    sharpe: float | None = None
    total_return: float | None = None
    annual_return: float | None = None
    max_drawdown: float | None = None
    trades: float | None = None


class Outcome(_Model):
    """What became of one symbol and mode.

    `state`: done; closed by a gate, for good; failed; interrupted; waiting (never begun). `code`: the exit code it
    stands for. `words`: the best configuration for people.
    """

    symbol: str
    mode: str
    state: State
    code: int = 0
    message: str = ""
    fix: str = ""
    verdict: str = ""
    meaning: str = ""
    params: dict[str, Any] | None = None
    words: str = ""
    leverage: float | None = None
    score: float | None = None
    training: Figures | None = None
    walk_forward: Figures | None = Field(None, description="rolling: each fold traded what its past had chosen")
    holdout: Figures | None = None
    gates_failed: list[str] = Field(default_factory=list, description="name and figure of each")
    gates: int = 0
    metrics: Metrics | None = None
    warnings: list[str] = Field(default_factory=list)
    stages: list[StageTime] = Field(default_factory=list)
    folder: str = ""
    tearsheet: str = ""
    published: bool = False


class Summary(_Model):
    """`summary.json` of a lane, and what `btswarm run --json` prints."""

    v: int = VERSION
    round: int
    lane: str
    synthetic: bool
    complete: bool
    exit_code: int
    seconds: float
    backend: str
    threads: int
    seed: int
    data: str
    results: str
    notes: list[str] = Field(default_factory=list)
    outcomes: list[Outcome]
