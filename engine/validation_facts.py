"""The facts of a validation: whose it is, of which days, and how often was searched and looked."""

from ..state.models import validation as model
from ..state.models.trials import BestConfig
from .bars import Bars
from .ledger import Ledger, candidate_of
from .split import Split
from .strategies.api import Params
from .validation.sample import Sample


def of_sample(seed: int, sample: Sample | None) -> model.Sample:
    return model.Sample(
        seed=seed,
        combos=sample.drawn if sample else 0,
        usable=len(sample.combos) if sample else 0,
    )


def of_candidate(config: BestConfig, leverage: float) -> model.Candidate:
    params = Params.parse(config.params).as_dict()
    return model.Candidate(
        id=candidate_of(params, leverage),
        params=params,
        leverage=leverage,
        trial=config.trial,
        export=config.export,
    )


def of_split(cut: Split) -> model.SplitFacts:
    return model.SplitFacts(
        whole_days=cut.whole_days,
        train_from=cut.train.from_ms,
        train_to=cut.train.to_ms,
        train_days=len(cut.train),
        embargo_days=len(cut.embargo),
        holdout_from=cut.holdout.from_ms,
        holdout_to=cut.holdout.to_ms,
        holdout_days=len(cut.holdout),
        sufficient=cut.sufficient,
        reason=cut.reason,
        needed_days=cut.needed_days,
    )


def of_counts(bars: Bars, cut: Split, ledger: Ledger, search: str) -> model.Counts:
    """What the ledger says now. The volume of one stage and seed counts once, however often it was continued."""
    entries = ledger.entries()
    volume: dict[tuple[str, int, str], int] = {}
    for one in entries:
        if one.kind == "search" and one.search == search:
            key = (one.stage or "", one.seed or 0, one.data_sha256 or "")
            volume[key] = max(volume.get(key, 0), one.volume or 0)
    by_stage: dict[str, int] = {}
    for (stage, _, _), count in volume.items():
        by_stage[stage] = by_stage.get(stage, 0) + count
    looks = ledger.looks(bars.symbol, cut.holdout)
    return model.Counts(
        search=search,
        searches=len({one.search for one in entries if one.kind == "search"}),
        volume=by_stage,
        looks=len(looks),
        looks_of_this_search=sum(one.search == search for one in looks),
        exposures=len(ledger.exposures(bars.symbol, cut.holdout)),
    )
