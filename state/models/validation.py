"""`validation.json`: what is known about the best robust configuration, and whether that is evidence.

Described in docs/VALIDATION.md. A figure that is undefined is null and says why; a gate on null fails.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .artifacts import CostFacts, DataFacts, Metrics

VERSION = 1

Verdict = Literal["UNCERTIFIED", "CERTIFIED", "REJECTED", "INSUFFICIENT EVIDENCE"]
Rule = Literal["<=", ">=", ">"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")


class Figure(_Model):
    """One number; `reason` says why it is null, and is empty otherwise."""

    value: float | int | None
    reason: str = ""

    @model_validator(mode="after")
    def _null_has_a_reason(self) -> "Figure":
        if (self.value is None) != bool(self.reason):
            raise ValueError("a figure is null exactly when it has a reason")
        return self


class Gate(_Model):
    """A figure against its threshold. `figure` is `section.name`. One that is null is not passed."""

    name: str
    figure: str
    value: float | int | None
    rule: Rule
    threshold: float
    passed: bool


class Section(_Model):
    """The figures of one statistic. `null_hypothesis`: what would have to be true for them to mean nothing."""

    null_hypothesis: str
    method: str = ""
    figures: dict[str, Figure]


class Fold(_Model):
    """Days are UTC dates, the last one included. `params` is null when no combo had enough training trades."""

    train_from: str
    train_to: str
    test_from: str
    test_to: str
    params: dict[str, Any] | None
    train_sharpe: float | None
    test_sharpe: float | None
    train_return: float | None = Field(description="mean daily return x 365")
    test_return: float | None = Field(description="mean daily return x 365")
    test_trades: int


class WalkForward(Section):
    folds: list[Fold]


class Histogram(_Model):
    """`counts[i]` values lie from `edges[i]` to `edges[i + 1]`."""

    edges: list[float]
    counts: list[int]


class Pbo(Section):
    """`logits`: the distribution of lambda over the splits."""

    logits: Histogram | None


class CostRow(_Model):
    """Metrics at a multiple of fee and slippage; null with a reason when the configuration is refused at such costs."""

    multiple: float
    metrics: Metrics | None
    reason: str = ""


class CostStress(Section):
    rows: list[CostRow]


class Plateau(Section):
    """`sharpes`: of each neighbour in the order of the Sobol sequence; null for one that is worthless."""

    sharpes: list[float | None]


class NullFacts(_Model):
    """One kind of null market: `statistics` in the order of their numbers, null where no combo had enough trades.

    `stopped_early`: enough of them had reached the observed statistic before `wanted` were made.
    """

    kind: str
    null_hypothesis: str
    wanted: int
    exceedances: int
    stopped_early: bool
    p: float
    statistics: list[float | None]


class SearchNull(Section):
    """The whole selection on markets that hold nothing. `effort`: how much was tried on each. `seeds`: of everything
    drawn. `nulls` is empty when none were asked for."""

    effort: dict[str, int]
    seeds: dict[str, int | list[int]]
    nulls: list[NullFacts]


class LookFacts(_Model):
    """The entry of the ledger this hold-out result rests on. `k`: which look of this search at this hold-out."""

    seq: int
    at: float
    k: int


class Holdout(Section):
    """Metrics of the hold-out days alone, at the costs given and at twice them; null when they were not looked at."""

    look: LookFacts | None
    metrics: Metrics | None
    metrics_at_twice_the_costs: Metrics | None


class Candidate(_Model):
    """`id`: under which it stands in the ledger. `trial`, `export`: where it comes from."""

    id: str
    params: dict[str, Any]
    leverage: float
    trial: int
    export: str


class SplitFacts(_Model):
    """Bounds in ms UTC, `_to` exclusive; days are counted whole. `needed_days`: whole days that would suffice."""

    whole_days: int
    train_from: int
    train_to: int
    train_days: int
    embargo_days: int
    holdout_from: int
    holdout_to: int
    holdout_days: int
    sufficient: bool
    reason: str
    needed_days: int


class Counts(_Model):
    """How often was searched and looked, by the ledger as it stood. `volume`: of this search, by stage.

    `searches`: all in the ledger. `looks`, `exposures`: that saw one of the hold-out's days on this symbol.
    """

    search: str
    searches: int
    volume: dict[str, int]
    looks: int
    looks_of_this_search: int
    exposures: int


class Sample(_Model):
    """The combos of the round that were screened again: `combos` of the stream `seed`, `usable` with enough trades."""

    seed: int
    combos: int
    usable: int


class Validation(_Model):
    v: int = VERSION
    symbol: str
    mode: str
    strategy: str
    space_sha256: str
    verdict: Verdict
    why: str
    p_search: Figure
    p_holdout: Figure
    gates: list[Gate]
    candidate: Candidate
    data: DataFacts
    training_sha256: str
    costs: CostFacts
    split: SplitFacts
    counts: Counts
    sample: Sample
    seed: int = Field(description="of the bootstrap, the shuffles and the draws of parameters")
    training: Metrics
    sharpe: Section
    deflated_sharpe: Section
    pbo: Pbo
    walk_forward_rolling: WalkForward
    walk_forward_anchored: WalkForward
    cross_validation: Section
    monte_carlo: Section
    trade_order: Section
    concentration: Section
    cost_stress: CostStress
    plateau: Plateau
    ruin: Section
    holdout: Holdout
    search_null: SearchNull | None = None
    certificate: Section | None = None
    versions: dict[str, str]
