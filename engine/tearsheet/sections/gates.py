"""What a certificate asks for, gate by gate. A figure that is not defined passes no gate."""

from typing import Any

from ....state.models.validation import Gate
from .. import words
from ..labels import form
from ..sheet import Sheet
from ..validated import reason_of

RULES = {"<=": "at most", ">=": "at least", ">": "above"}


def view(sheet: Sheet) -> dict[str, Any] | None:
    """One row per gate: what it asks, what is, whether it is met."""
    if sheet.validation is None or not sheet.validation.gates:
        return None
    gates = sheet.validation.gates
    met = sum(gate.passed for gate in gates)
    return {
        "title": "Gates",
        "about": [
            f"{met} of {len(gates)} met; a certificate asks for all. The first is the evidence: both p-values in one. "
            "The others are vetoes, each of which noise passes far too often to prove anything.",
        ],
        "rows": [_row(sheet, gate) for gate in gates],
    }


def _row(sheet: Sheet, gate: Gate) -> dict[str, Any]:
    assert sheet.validation is not None
    value = (
        words.undefined(reason_of(sheet.validation, gate.figure))
        if gate.value is None
        else form(gate.figure, gate.value)
    )
    return {
        "name": gate.name[:1].upper() + gate.name[1:],
        "value": value,
        "asked": f"{RULES[gate.rule]} {form(gate.figure, gate.threshold).text}",
        "passed": gate.passed,
        "word": "met" if gate.passed else "not defined" if gate.value is None else "not met",
    }
