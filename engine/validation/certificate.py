"""The rule: what the two p-values come to among all searches of the ledger, and the verdict that follows.

Fisher's method combines p_search and p_holdout. Holm's step-down then corrects for all the searches that the ledger
holds: each enters with the p-value of its latest verdict, one that was never judged with 1. The result may be at most
what the look spends, and no veto may stand against it.
"""

import math
from dataclasses import dataclass

import numpy as np

from ...state.models.ledger import Entry
from ...state.models.validation import Figure, Gate, Verdict
from .multiple_testing import fisher, holm
from .thresholds import EVIDENCE, LOOK_ALPHA

NULL_HYPOTHESIS = (
    "nothing that order in time explains in training, and a candidate whose positions in the hold-out are as good at "
    "any other time; as often as was searched and looked"
)
NOT_ASKED = {
    "p_search": "no permutations were asked for",
    "monte_carlo.max_drawdown_p95": "no paths were asked for",
}


@dataclass(frozen=True)
class Judgement:
    """`combined` of the two p-values, `adjusted` for `searches` in the ledger; NaN where one of the two is."""

    combined: float
    adjusted: float
    alpha: float
    searches: int
    without_p: int


def judgement(entries: list[Entry], search: str, p_search: float, p_holdout: float, look: int) -> Judgement:
    """Of one candidate of `search`, at look number `look` of it. `entries`: the ledger as it stands."""
    others = latest(entries)
    others.pop(search, None)
    combined = fisher(np.array([p_search, p_holdout])) if not math.isnan(p_search + p_holdout) else math.nan
    values = np.array([combined, *(1.0 if one is None else one for one in others.values())])
    adjusted = float(holm(values)[0]) if not math.isnan(combined) else math.nan
    return Judgement(
        combined=combined,
        adjusted=adjusted,
        alpha=LOOK_ALPHA[look - 1],
        searches=len(values),
        without_p=sum(one is None for one in others.values()),
    )


def latest(entries: list[Entry]) -> dict[str, float | None]:
    """Every search of the ledger with the combined p-value of its latest verdict, None when it has none."""
    found: dict[str, float | None] = {one.search: None for one in entries if one.kind == "search"}
    for one in entries:
        if one.kind == "verdict" and one.p_search is not None and one.p_holdout is not None:
            found[one.search] = fisher(np.array([one.p_search, one.p_holdout]))
    return found


def verdict_of(
    gates: list[Gate], figures: dict[str, Figure], *, unseen: str, needed_days: float | None, had_days: int
) -> tuple[Verdict, str]:
    """The verdict on a candidate whose data suffice, and why. `unseen`: why the hold-out was not looked at, if so."""
    missing = [reason for name, reason in NOT_ASKED.items() if figures[name].reason == reason]
    if missing or unseen:
        return "UNCERTIFIED", f"not judged: {'; '.join([*missing, *([unseen] if unseen else [])])}"
    failed = [gate for gate in gates if not gate.passed]
    vetoes = [gate for gate in failed if gate.figure != EVIDENCE]
    if vetoes:
        return "REJECTED", f"{len(vetoes)} of {len(gates) - 1} vetoes: {'; '.join(_said(gate) for gate in vetoes)}"
    evidence = next(gate for gate in gates if gate.figure == EVIDENCE)
    said = f"p = {evidence.value:.2g} where at most {evidence.threshold:g} is asked"
    if failed:
        return "INSUFFICIENT EVIDENCE", f"{said}; {_track_record(needed_days, had_days)}"
    return "CERTIFIED", f"p = {evidence.value:.2g}, at most {evidence.threshold:g} was asked, and no veto"


def _said(gate: Gate) -> str:
    value = "undefined" if gate.value is None else f"{gate.value:.3g}"
    return f"{gate.name} {value}, must be {gate.rule} {gate.threshold:g}"


def _track_record(needed: float | None, had: int) -> str:
    if needed is None:
        return "no track record is long enough for a Sharpe ratio that luck reaches"
    return f"to tell its Sharpe ratio from luck's takes {needed:,.0f} days; {had:,} were there"
