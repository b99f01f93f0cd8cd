"""Every threshold of the certificate in one table. A figure that is null passes none of them."""

from dataclasses import dataclass
from typing import Literal

from ...state.models.validation import Figure, Gate, Rule

MIN_TRADES = 30
LOOK_ALPHA = (0.04, 0.0075, 0.0025)
"""What the first, second and third look of a search at one hold-out may spend: 0.05 in all."""
EVIDENCE = "certificate.adjusted"
"""The one gate that asks for evidence; all others are vetoes."""


@dataclass(frozen=True)
class Threshold:
    """`figure` is `section.name` of `validation.json`. `limit`: a number, or what depends on the candidate."""

    name: str
    figure: str
    rule: Rule
    limit: float | Literal["alpha of the look", "the mode's drawdown"]


TABLE = (
    Threshold("both p-values in one, corrected for all searches", EVIDENCE, "<=", "alpha of the look"),
    Threshold("the timing of its positions in the hold-out", "p_holdout", "<=", 0.25),
    Threshold("hold-out Sharpe ratio at twice the costs", "holdout.sharpe_at_twice_the_costs", ">", 0.0),
    Threshold("trades in training", "concentration.training_trades", ">=", MIN_TRADES),
    Threshold("trades in hold-out or walk-forward", "concentration.later_trades", ">=", MIN_TRADES),
    Threshold("share of the profit made by the five best trades", "concentration.best_five_share", "<=", 0.5),
    Threshold("median Sharpe ratio of the neighbours over its own", "plateau.median_ratio", ">=", 0.7),
    Threshold("share of neighbours with a positive Sharpe ratio", "plateau.share_positive", ">=", 0.9),
    Threshold("deflated Sharpe ratio", "deflated_sharpe.probability", ">=", 0.90),
    Threshold("probability of backtest overfitting", "pbo.pbo", "<=", 0.6),
    Threshold(
        "drawdown that 95 % of the bootstrap paths stay under",
        "monte_carlo.max_drawdown_p95",
        "<=",
        "the mode's drawdown",
    ),
)


def judge(figures: dict[str, Figure], max_drawdown: float, alpha: float) -> list[Gate]:
    """Every gate, given all figures by `section.name`, the mode's drawdown limit and what the look may spend."""
    limits = {"alpha of the look": alpha, "the mode's drawdown": max_drawdown}
    return [_gate(one, figures[one.figure].value, limits.get(str(one.limit), one.limit)) for one in TABLE]


def _gate(one: Threshold, value: float | None, limit: float | str) -> Gate:
    limit = float(limit)
    passed = value is not None and (
        value > limit if one.rule == ">" else value >= limit if one.rule == ">=" else value <= limit
    )
    return Gate(name=one.name, figure=one.figure, value=value, rule=one.rule, threshold=limit, passed=passed)
