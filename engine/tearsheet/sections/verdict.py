"""The verdict first, with what it means in one honest sentence, and the figures that decide it."""

from dataclasses import dataclass
from typing import Any

from ..sheet import Sheet
from .metrics import headline

NONE = "NOT VALIDATED"
OTHER = "NOT JUDGED"


@dataclass(frozen=True)
class Ruling:
    """`css` picks the colour: certified, rejected or open."""

    word: str
    css: str
    sentence: str


MEANINGS = {
    "CERTIFIED": Ruling(
        "CERTIFIED",
        "certified",
        "Noise would have passed these gates at most one time in twenty. That is not a promise of profit.",
    ),
    "REJECTED": Ruling("REJECTED", "rejected", "Noise could have done this as well. Do not trade it."),
    "INSUFFICIENT EVIDENCE": Ruling(
        "INSUFFICIENT EVIDENCE", "open", "The track record is too short to tell skill from luck, either way."
    ),
    "UNCERTIFIED": Ruling(
        "UNCERTIFIED",
        "open",
        "Measured, not judged: no test has yet asked whether luck alone would have found something as good, "
        "and the best of many tries always looks good.",
    ),
}


def view(sheet: Sheet) -> dict[str, Any]:
    """The box, the headline figures of every stretch, and the facts a verdict rests on."""
    return {
        "ruling": _ruling(sheet),
        "facts": [],
        "headlines": [(part.name, headline(part)) for part in sheet.stretches],
    }


def _ruling(sheet: Sheet) -> Ruling:
    if sheet.listed:
        return Ruling(
            OTHER,
            "open",
            "Made from a list of trades. What was tried and thrown away before these were chosen is not known here, "
            "so nothing on this page says whether they are skill or luck.",
        )
    if not sheet.candidate:
        return Ruling(
            OTHER,
            "open",
            "One of the best of many tries on the training data, and never tested on other data: only best robust "
            "is judged, and only once.",
        )
    if sheet.validation is None:
        return Ruling(NONE, "open", "Best of many tries on the training data, and not tested on any other data yet.")
    word = str(sheet.validation.get("verdict", "UNCERTIFIED"))
    return MEANINGS.get(word, Ruling(word, "open", "This version does not know that verdict."))
