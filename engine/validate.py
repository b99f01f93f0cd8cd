"""The validate stage: everything that can be said about the best robust configuration, and one look at the hold-out.

All statistics but one come from a copy of the training bars. The hold-out is looked at last, when nothing else can fail
any more, and only through the ledger. Killed at any moment and run again, it computes the same and adds no second look.
"""

import math
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from ..state.errors import BadConfig, BadData, InputGone
from ..state.files import make_folder
from ..state.models import validation as model
from ..state.models.jobs import Job
from ..state.models.trials import BestConfig
from ..state.models.validation import Figure, Section, Validation
from . import certified, validation_facts
from .artifacts import PHASE0, VALIDATION, cost_facts, data_facts, read_model, read_phase0, versions, write_model
from .bars import Bars
from .costs import Costs
from .kernels.exact import simulate
from .ledger import NAME as LEDGER_NAME
from .ledger import Ledger, Look
from .metrics import jsonable, metrics
from .progress import Reporter
from .split import Split, split_for
from .strategies import mtf_ema
from .strategies.api import Params
from .validation import certificate, compute, sections, verdict_sections
from .validation.certificate import Judgement
from .validation.holdout import Seen, look_at_holdout
from .validation.sample import MOST
from .validation.search_null import CHECKPOINT, STOP_AFTER, SearchNull, search_null
from .validation.selection import Effort, Selection
from .validation.thresholds import judge

CANDIDATE = Path("best_robust") / "config.json"
PACKAGES = ("scipy", "arch")
UNSEEN = "not looked at: "
SLOW_S = 120.0  # a null market takes no longer on a slow machine


@dataclass(frozen=True, eq=False)
class Case:
    """One candidate and its market. `sample_seed`, `sample_size`: which combos of the round are screened again.

    `effort`: what the permutation test tries on each market; `stop_after`: null markets as good that end it.
    """

    job: Job
    bars: Bars
    cut: Split
    config: BestConfig
    subject: compute.Subject
    sample_seed: int
    sample_size: int
    effort: Effort = field(default_factory=Effort)
    stop_after: int = STOP_AFTER


def run(
    job: Job, bars: Bars, report: Reporter, *, effort: Effort | None = None, stop_after: int = STOP_AFTER
) -> list[Path]:
    """Validate `best_robust` of the optimize stage and write `validation.json`. `bars`: all the market's candles.

    `effort`, `stop_after`: a reduced permutation test, for suites of many markets.

    Raises InputGone without a candidate, BadConfig when it was found with another space or other costs, BadData when
    it was found on other training bars, StorageBroken when the ledger cannot be trusted.
    """
    report.phase("load")
    case = replace(prepare(job, bars), effort=effort or Effort(), stop_after=stop_after)
    ledger = Ledger(Path(job.ledger) if job.ledger else Path(job.out_dir) / LEDGER_NAME, say=report.line)
    folder = make_folder(Path(job.out_dir))
    found, stood = validate(case, ledger, report)
    report.phase("write")
    path = write_model(folder / VALIDATION, found)
    report.line(f"{found.verdict}: {found.why}")
    if found.verdict == "CERTIFIED":
        kept = certified.keep(job, bars, found, stood, _read(job), (case.effort, case.stop_after))
        report.line(f"kept in {kept}; btswarm reproduce computes it again")
    return [path]


def prepare(job: Job, bars: Bars) -> Case:
    """Find the candidate and make sure that it belongs to these candles, this space and these costs."""
    path = find_artifact(job, CANDIDATE)
    if path is None:
        raise InputGone(f"{Path(job.out_dir) / CANDIDATE} is missing", fix="run the optimize stage first")
    config = read_model(path, BestConfig)
    cut = split_for(bars, job.train_from, job.train_to, job.holdout_days, job.train_days)
    space, costs = mtf_ema.space_for(job.mode, job.space), Costs(**job.costs.model_dump())
    seed, size = _combos_of_the_round(job, space.sha256)
    subject = compute.Subject(
        training=cut.training(bars),
        space=space,
        costs=costs,
        params=Params.parse(config.params),
        min_trades=job.min_trades,
        paths=job.volume.paths,
        seed=job.seed,
        tried=size,
        threads=max(1, int(job.claims.cpus)),
    )
    _refuse_foreign(path, config, subject)
    return Case(job, bars, cut, config, subject, seed, min(size, MOST))


def validate(case: Case, ledger: Ledger, report: Reporter) -> tuple[Validation, bytes]:
    """All statistics in order, the hold-out last, then the verdict; and the ledger by which it was judged."""
    subject = case.subject
    search = _enter_search(case, ledger)
    run = simulate(subject.training, subject.params, subject.costs, subject.space.leverage)
    observed = compute.observed_of(run)
    sample = compute.sample_of(subject, case.sample_seed, case.sample_size, report)
    nulls, untested = _search_null(case, report)
    rest = compute.from_sample(subject, sample, observed, nulls.luck if nulls else math.nan, report)
    own = compute.from_candidate(subject, run, observed, report)
    seen, unseen = _look(case, ledger, search)
    p_values = {
        "p_search": sections.figure(nulls.p if nulls else math.nan, untested),
        "p_holdout": sections.figure(seen.timing.p if seen.timing else math.nan, unseen),
    }
    found = _judged(ledger, search, seen, p_values)
    absent = "; ".join(one.reason for one in p_values.values() if one.reason)
    parts: dict[str, Section] = {
        **vars(rest),
        **vars(own),
        "concentration": sections.of_concentration(run, rest.walk_forward_rolling, seen),
        "search_null": verdict_sections.of_search_null(nulls, case.effort, untested),
        "holdout": verdict_sections.of_holdout(seen, unseen),
        "certificate": verdict_sections.of_certificate(found, _look_number(seen), absent),
    }
    figures = {f"{part}.{name}": one for part, section in parts.items() for name, one in section.figures.items()}
    gates = judge(p_values | figures, subject.space.max_drawdown, found.alpha)
    verdict, why = _verdict(case, gates, p_values | figures, unseen)
    stood = ledger.lines()
    _enter_verdict(ledger, seen, verdict, p_values)
    judged = Validation(
        symbol=case.bars.symbol,
        mode=case.job.mode,
        strategy=mtf_ema.NAME,
        space_sha256=subject.space.sha256,
        verdict=verdict,
        why=why,
        **p_values,
        gates=gates,
        candidate=validation_facts.of_candidate(case.config, subject.space.leverage),
        data=data_facts(case.bars),
        training_sha256=subject.training.sha256,
        costs=cost_facts(subject.costs),
        split=validation_facts.of_split(case.cut),
        counts=validation_facts.of_counts(case.bars, case.cut, ledger, search),
        sample=validation_facts.of_sample(case.sample_seed, sample),
        seed=case.job.seed,
        training=jsonable(metrics(run)),
        versions={**versions(), **{name: metadata.version(name) for name in PACKAGES}},
        **parts,
    )
    return judged, stood


def _read(job: Job) -> dict[Path, bytes]:
    """What of the earlier stages a verdict rests on, by its name in their folder."""
    places = {name: find_artifact(job, name) for name in (CANDIDATE, Path(PHASE0))}
    return {name: path.read_bytes() for name, path in places.items() if path is not None}


def find_artifact(job: Job, name: Path) -> Path | None:
    """An artifact of an earlier stage: under one of the job's `inputs.artifacts`, else under its own folder."""
    places = [Path(one) for one in (*job.inputs.artifacts, job.out_dir)]
    return next((place / name for place in places if (place / name).is_file()), None)


def _combos_of_the_round(job: Job, space_sha256: str) -> tuple[int, int]:
    """Seed and number of the combos that were screened: of the phase-0 artifact if there is one, else of the job."""
    path = find_artifact(job, Path(PHASE0))
    if path is not None:
        header = read_phase0(path).header
        if header.space_sha256 == space_sha256:
            return header.seed, header.volume
    return job.seed, job.volume.combos


def _refuse_foreign(path: Path, config: BestConfig, subject: compute.Subject) -> None:
    """A candidate found on other bars may have seen the hold-out; one found in another space is another search."""
    found, training = config.search, subject.training
    if found.data.sha256 != training.sha256:
        raise BadData(
            f"{path} was found on {found.data.rows:,} bars that are not the {len(training):,} training bars of these "
            f"candles",
            fix="run prescreen and optimize on these candles first, or give the candles they were run on",
        )
    if (found.symbol, found.mode, found.space_sha256) != (training.symbol, subject.space.mode, subject.space.sha256):
        raise BadConfig(
            f"{path} is of {found.symbol}/{found.mode} in another parameter space",
            fix="give the symbol, mode and space it was optimized with",
        )
    costs = (found.costs.fee, found.costs.slippage, found.costs.funding)
    if costs != (subject.costs.fee, subject.costs.slippage, subject.costs.funding):
        raise BadConfig(
            f"{path} was found at fee {costs[0]:g}, slippage {costs[1]:g}, funding {costs[2]:g}",
            fix="give the same costs, or optimize again",
        )


def _enter_search(case: Case, ledger: Ledger) -> str:
    """The name of the search; one that the earlier stages did not enter is entered now."""
    space = case.subject.space
    search = ledger.search(case.bars, case.cut, space)
    if not ledger.history(search):
        volume = case.sample_size
        ledger.enter_search(case.bars, case.cut, space, stage="validate", seed=case.sample_seed, volume=volume)
    return search


def _search_null(case: Case, report: Reporter) -> tuple[SearchNull | None, str]:
    """The permutation test of the training days, or why there is none."""
    count, subject = case.job.volume.permutations, case.subject
    if not case.cut.sufficient:
        return None, case.cut.reason
    if count < 1:
        return None, certificate.NOT_ASKED["p_search"]
    report.phase("permute", 2 * count, "null markets")
    report.step(0, next_s=SLOW_S)
    found = search_null(
        subject.training,
        Selection.fixed(subject.space, subject.costs, subject.min_trades, case.effort),
        count,
        stop_after=case.stop_after,
        threads=subject.threads,
        checkpoint=Path(case.job.out_dir) / CHECKPOINT,
        on_market=lambda done: report.step(done, checkpoint=done, next_s=SLOW_S),
    )
    made = sum(len(run.statistics) for run in found.runs)
    report.line(f"p_search {found.p:.3g} from {made} null markets")
    return found, ""


def _look(case: Case, ledger: Ledger, search: str) -> tuple[Seen, str]:
    """What the hold-out showed; when it may not be looked at, nothing and why."""
    if not case.cut.sufficient:
        return Seen(Look(None)), f"{UNSEEN}{case.cut.reason}"
    subject = case.subject
    arguments = case.bars, case.cut, subject.params, subject.costs, subject.space.leverage
    seen = look_at_holdout(ledger, search, *arguments)
    if seen.run is None:
        return seen, f"{UNSEEN}the hold-out is spent until it begins on {seen.look.spent_until} or later"
    return seen, ""


def _look_number(seen: Seen) -> int:
    return (seen.look.entry.k or 1) if seen.look.entry else 1


def _judged(ledger: Ledger, search: str, seen: Seen, p_values: dict[str, Figure]) -> Judgement:
    p_search, p_holdout = (
        math.nan if one.value is None else one.value for one in (p_values["p_search"], p_values["p_holdout"])
    )
    return certificate.judgement(ledger.entries(), search, p_search, p_holdout, _look_number(seen))


def _verdict(case: Case, gates: list[model.Gate], figures: dict[str, Figure], unseen: str) -> tuple[model.Verdict, str]:
    cut = case.cut
    if not cut.sufficient:
        return "INSUFFICIENT EVIDENCE", f"{cut.reason}; {cut.needed_days} would suffice"
    needed, had = figures["deflated_sharpe.days_needed"].value, len(cut.train)
    return certificate.verdict_of(gates, figures, unseen=unseen, needed_days=needed, had_days=had)


def _enter_verdict(ledger: Ledger, seen: Seen, verdict: str, p_values: dict[str, Figure]) -> None:
    """A look that was judged is entered with what was concluded, before anybody is shown it."""
    if seen.look.entry is not None and verdict != "UNCERTIFIED":
        p = {name: one.value for name, one in p_values.items()}
        ledger.enter_verdict(seen.look.entry, verdict, **p)
