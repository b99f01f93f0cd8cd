"""The verdict first, with what it means in one honest sentence, and the figures that decide it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ....state.models.validation import Validation
from .. import words
from ..labels import shown
from ..sheet import Sheet
from ..validated import find
from ..words import Value
from .metrics import headline

TRIED = {
    "prescreen": ("Combos tried", "screened"),
    "optimize": ("Trials", "each with its neighbours"),
    "validate": ("Combos sampled", "for the statistics"),
}


@dataclass(frozen=True)
class Ruling:
    """`css` picks the colour: certified, rejected or open."""

    word: str
    css: str
    sentence: str


@dataclass(frozen=True)
class Fact:
    label: str
    value: Value
    gloss: str = ""


LISTED = Ruling(
    "NOT JUDGED",
    "open",
    "Made from a list of trades. What was tried and thrown away before these were chosen is not known here, so nothing "
    "on this page says whether they are skill or luck.",
)
OTHER = Ruling(
    "NOT JUDGED",
    "open",
    "One of the best of many tries on the training data, and never tested on other data: only the most robust "
    "configuration of a search is judged.",
)
UNTESTED = Ruling(
    "NOT VALIDATED", "open", "The best of many tries on the training data, and not tested on any other data yet."
)
MEANINGS = {
    "CERTIFIED": Ruling(
        "CERTIFIED",
        "certified",
        "Noise would have passed these gates at most one time in twenty. That is not a promise of profit.",
    ),
    "REJECTED": Ruling("REJECTED", "rejected", "Noise could have done this as well. Do not trade it."),
    "INSUFFICIENT EVIDENCE": Ruling(
        "INSUFFICIENT EVIDENCE", "open", "Too little is known to tell skill from luck, either way."
    ),
    "UNCERTIFIED": Ruling(
        "UNCERTIFIED",
        "open",
        "Measured, not judged: it was not asked whether luck alone would have found something as good, and the best of "
        "many tries always looks good.",
    ),
}


def view(sheet: Sheet) -> dict[str, Any]:
    """The box, the facts a verdict rests on, and the headline figures of every stretch."""
    ruling, validation = _ruling(sheet), sheet.validation
    return {
        "ruling": ruling,
        "why": words.sentence(validation.why) if validation else "",
        "facts": _facts(validation) if validation else _tried(sheet.tried),
        "headlines": [(part.name, headline(part)) for part in sheet.stretches],
    }


def _ruling(sheet: Sheet) -> Ruling:
    if sheet.listed:
        return LISTED
    if not sheet.candidate:
        return OTHER
    return MEANINGS[sheet.validation.verdict] if sheet.validation else UNTESTED


def _facts(validation: Validation) -> list[Fact]:
    counts = validation.counts
    trials = shown("effective_trials", find(validation, "deflated_sharpe.effective_trials"))
    needed = shown("days_needed", find(validation, "sharpe.days_needed"))
    return [
        _p("p of the search", "p_search", "luck in the order of time", validation),
        _p("p of the hold-out", "p_holdout", "luck in the timing of positions", validation),
        *_combined(validation),
        Fact("Deflated Sharpe", _of(validation, "deflated_sharpe.probability"), f"at {trials.text} effective trials"),
        Fact("Track record", _of(validation, "sharpe.days_had"), f"days; {needed.text} to tell its Sharpe from 0"),
        *_tried(counts.volume),
        Fact("Looks at the hold-out", words.whole(counts.looks), _looks(validation)),
        Fact("Searches so far", words.whole(counts.searches), "all that the ledger holds"),
    ]


def _combined(validation: Validation) -> list[Fact]:
    """Both p-values in one, corrected for all searches; a validation of an older version has none."""
    if validation.certificate is None:
        return []
    alpha = shown("certificate.alpha", find(validation, "certificate.alpha")).text
    searches = int(validation.certificate.figures["searches"].value or 1)
    among = f"among {searches:,} searches" if searches > 1 else "one search"
    return [_p("Both in one", "certificate.adjusted", f"{among}; at most {alpha} is asked", validation)]


def _of(validation: Validation, name: str) -> Value:
    return shown(name, find(validation, name))


def _p(label: str, name: str, gloss: str, validation: Validation) -> Fact:
    """The reason that the verdict has just given is not given again."""
    value = _of(validation, name)
    return Fact(label, words.undefined("not computed") if value.why and value.why in validation.why else value, gloss)


def _looks(validation: Validation) -> str:
    counts = validation.counts
    exposed = f", {counts.exposures:,} other exposures" if counts.exposures else ""
    return f"{counts.looks_of_this_search:,} by this search{exposed}"


def _tried(volume: Mapping[str, int]) -> list[Fact]:
    """How much was tried, by stage."""
    named = [(*TRIED.get(stage, (stage.capitalize(), "")), n) for stage, n in volume.items()]
    return [Fact(label, words.whole(n), gloss) for label, gloss, n in named]
