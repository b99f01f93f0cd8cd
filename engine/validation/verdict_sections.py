"""The sections of `validation.json` that a verdict rests on: the search, the look at the hold-out, both in one."""

import math

from ...state.models import validation as model
from ...state.models.validation import Section
from ..metrics import jsonable, metrics
from . import certificate, holdout, permutation, search_null, selection
from .sections import FLAT, NO_COMBO, figure, missing, number


def of_search_null(found: search_null.SearchNull | None, effort: selection.Effort, reason: str) -> model.SearchNull:
    """p of the search and what it rests on; all null for `reason` without a null market."""
    head = {
        "null_hypothesis": "; ".join(permutation.NULL_HYPOTHESIS.values()),
        "method": "the same selection on the real market and on markets made of its bars: permuted within each hour of "
        "the day, and with signs flipped; the statistic is the largest net Sharpe ratio of training, the larger p "
        "counts; stopped early after Besag and Clifford (1991)",
        "effort": vars(effort) | {"combos": effort.combos},
    }
    fixed = {"pairs": selection.SEED_PAIRS, "exits": selection.SEED_EXITS}
    names = ("observed_sharpe", *(f"p_{kind}" for kind in permutation.KINDS), "null_markets")
    if found is None or math.isnan(found.p):
        return model.SearchNull(**head, seeds=fixed, figures=missing(reason, *names), nulls=[])
    values = (found.observed, *(run.p for run in found.runs), sum(len(run.statistics) for run in found.runs))
    return model.SearchNull(
        **head,
        seeds=fixed | {"markets": list(found.seed)},
        figures={name: figure(value, NO_COMBO) for name, value in zip(names, values, strict=True)},
        nulls=[
            model.NullFacts(
                kind=run.kind,
                null_hypothesis=permutation.NULL_HYPOTHESIS[run.kind],
                wanted=run.wanted,
                exceedances=run.exceedances,
                stopped_early=run.stopped,
                p=run.p,
                statistics=[number(one) for one in run.statistics],
            )
            for run in found.runs
        ],
    )


def of_certificate(found: certificate.Judgement, look: int, reason: str) -> Section:
    """Both p-values in one; null for `reason` where one of them is."""
    return Section(
        null_hypothesis=certificate.NULL_HYPOTHESIS,
        method="Fisher's method over p_search and p_holdout, then Holm over all searches of the ledger; one without a "
        "p-value enters as 1",
        figures={
            "combined": figure(found.combined, reason),
            "adjusted": figure(found.adjusted, reason),
            "alpha": figure(found.alpha),
            "which_look": figure(look),
            "searches": figure(found.searches),
            "searches_without_p": figure(found.without_p),
        },
    )


def of_holdout(seen: holdout.Seen, reason: str) -> model.Holdout:
    """What the look showed; all null for `reason` when there was none."""
    entry = seen.look.entry
    once = metrics(seen.run) if seen.run else None
    twice = metrics(seen.at_twice_the_costs) if seen.at_twice_the_costs else None
    names = ("sharpe", "total_return", "max_drawdown", "total_trades")
    shifted = ("shifts", "shifts_as_good", "exposure")
    if once and twice and seen.timing:
        figures = {name: figure(once[name], FLAT) for name in names}
        figures["sharpe_at_twice_the_costs"] = figure(twice["sharpe"], FLAT)
        counted = (seen.timing.shifts, seen.timing.better, seen.timing.exposure)
        figures |= {name: figure(value) for name, value in zip(shifted, counted, strict=True)}
    else:
        figures = missing(reason, *names, "sharpe_at_twice_the_costs", *shifted)
    return model.Holdout(
        null_hypothesis=holdout.NULL_HYPOTHESIS,
        method="one exact run over the sealed days, entered in the ledger before it is made; p_holdout: its positions "
        "bar by bar against the same positions shifted in a circle",
        figures=figures,
        look=model.LookFacts(seq=entry.seq, at=entry.at, k=entry.k or 1) if entry and once else None,
        metrics=jsonable(once) if once else None,
        metrics_at_twice_the_costs=jsonable(twice) if twice else None,
    )
