"""The figures of `validation.json` in words: how each is called on the page and how its number is written.

A figure that is not in the table is shown under its own name, as a plain number.
"""

from collections.abc import Callable

from ...state.models.validation import Figure, Section
from . import words
from .words import Value

Form = Callable[[float], Value]


def _percent(x: float) -> Value:
    return words.percent(x)


def _change(x: float) -> Value:
    return words.percent(x, signed=True)


def _fine(x: float) -> Value:
    return words.percent(x, 3)


def _number(x: float) -> Value:
    return words.number(x)


def _tenth(x: float) -> Value:
    return words.number(x, 1)


def _probability(x: float) -> Value:
    return words.number(x, 3)


def _small(x: float) -> Value:
    return Value(f"{x:.2g}")


TABLE: dict[str, tuple[str, Form]] = {
    "sharpe": ("Sharpe", _number),
    "standard_error": ("Standard error", _number),
    "probability": ("Probability that it is above", _percent),
    "skew": ("Skewness of days", _number),
    "kurtosis": ("Kurtosis of days", _tenth),
    "days_had": ("Track record, days", words.whole),
    "days_needed": ("Track record needed, days", words.whole),
    "sharpe.probability": ("Probability that it is above 0", _percent),
    "deflated_sharpe.probability": ("Deflated Sharpe ratio", _percent),
    "sharpe_to_beat": ("Sharpe that luck reaches", _number),
    "effective_trials": ("Effective trials", words.whole),
    "variance_of_trials": ("Variance of trials, daily", _small),
    "combos_tried": ("Combos tried", words.whole),
    "pbo": ("PBO", _percent),
    "prob_loss": ("Probability of loss", _percent),
    "slope": ("Slope, out of sample on in sample", _number),
    "intercept": ("Intercept", _number),
    "splits": ("Splits", words.whole),
    "combos": ("Combos", words.whole),
    "efficiency": ("Efficiency", _number),
    "annual_return": ("Return per year", _change),
    "total_return": ("Total return", _change),
    "trades": ("Trades", words.whole),
    "total_trades": ("Trades", words.whole),
    "positive_folds": ("Folds with a gain", words.whole),
    "paths": ("Paths", words.whole),
    "share_negative": ("Paths below 0", _percent),
    "share_losing": ("Paths that lose", _percent),
    "block_days": ("Mean block, days", _tenth),
    "max_drawdown": ("Deepest drawdown", _percent),
    "observed": ("Observed drawdown", _percent),
    "share_at_least_observed": ("Orders at least as deep", _percent),
    "training_trades": ("Trades in training", words.whole),
    "later_trades": ("Trades later", words.whole),
    "best_five_share": ("Five best, of the profit", _percent),
    "break_even_per_side": ("Break-even per side", _fine),
    "assumed_per_side": ("Assumed per side", _fine),
    "neighbours": ("Neighbours", words.whole),
    "usable": ("Usable", words.whole),
    "own_sharpe": ("Own Sharpe", _number),
    "median_sharpe": ("Median of neighbours", _number),
    "median_ratio": ("Median over own", _number),
    "share_positive": ("Neighbours above 0", _percent),
    "probability_of_losing_half_in_a_year": ("Losing half within a year", _percent),
    "sharpe_at_twice_the_costs": ("Sharpe at twice the costs", _number),
    "observed_sharpe": ("Best Sharpe of the fixed selection", _number),
    "p_permutation": ("p, bars permuted", _probability),
    "p_sign_flip": ("p, signs flipped", _probability),
    "null_markets": ("Null markets made", words.whole),
    "combined": ("Both p-values in one", _probability),
    "adjusted": ("Corrected for all searches", _probability),
    "alpha": ("At most asked", _small),
    "which_look": ("Look of this search", words.whole),
    "searches": ("Searches in the ledger", words.whole),
    "searches_without_p": ("Of these never judged", words.whole),
    "shifts": ("Shifts of its positions", words.whole),
    "shifts_as_good": ("Shifts as good", words.whole),
    "exposure": ("Bars with a position", _percent),
    "p_search": ("p of the search", _probability),
    "p_holdout": ("p of the hold-out", _probability),
}
POINTS = {"_p05": "5%", "_p50": "median", "_p95": "95%"}


def spoken(name: str) -> str:
    """`max_drawdown_p95` -> `Deepest drawdown, 95 %`. `name` may begin with its section."""
    bare, point = _split(name.rpartition(".")[2])
    known = TABLE.get(name) or TABLE.get(bare)
    label = known[0] if known else bare.replace("_", " ").capitalize()
    return f"{label}, {POINTS[point]}" if point else label


def form(name: str, value: float) -> Value:
    """The number as its figure is written."""
    known = TABLE.get(name) or TABLE.get(_split(name.rpartition(".")[2])[0])
    return known[1](value) if known else words.number(value)


def shown(name: str, figure: Figure | None) -> Value:
    """The figure, or a dash with its reason."""
    if figure is None:
        return words.undefined("not computed")
    return words.undefined(figure.reason) if figure.value is None else form(name, figure.value)


def listed(section: Section, within: str = "", *, without: frozenset[str] = frozenset()) -> list[tuple[str, Value]]:
    """Label and value of every figure of a section; `within` is its name."""
    names = [name for name in section.figures if name not in without]
    return [(spoken(f"{within}.{name}"), shown(f"{within}.{name}", section.figures[name])) for name in names]


def _split(name: str) -> tuple[str, str]:
    point = next((one for one in POINTS if name.endswith(one)), "")
    return name.removesuffix(point) if point else name, point
