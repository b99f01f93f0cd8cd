"""The life of an incident as events, one causing the next: detected, classified, executed, verified, closed."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..state.models.events import Draft, Event, Kind, Severity
from ..state.models.names import incident_name
from ..state.models.records import IncidentRecord
from .journal import Journal


def detect(
    journal: Journal,
    class_: str,
    subject: str,
    why: str,
    *,
    cause: int | None = None,
    evidence: tuple[int | str, ...] = (),
    due: float | None = None,
    agent: str = "cycle",
    severity: Severity = "error",
    policy: str = "",
) -> str:
    """Open one and classify it at once; the name of the one that is open already for the same class and subject.

    `policy`: what the table says will follow. `due`: when it escalates unless it was verified (UTC).
    """
    for known in about(journal, subject):
        if known.class_ == class_:
            return known.incident
    data: dict[str, Any] = {"class": class_, "why": why, "evidence": list(evidence), "due": due}
    event = journal.record(Draft("incident.detected", subject, data, cause, agent, severity=severity))
    name = incident_name(event.seq)
    _step(journal, "incident.classified", find(journal, name), event.seq, policy=policy, why=why, due=due)
    return name


def find(journal: Journal, name: str) -> IncidentRecord:
    return journal.incidents[name]


def about(journal: Journal, *subjects: str) -> Iterator[IncidentRecord]:
    """Open incidents of any of the subjects."""
    return (one for one in journal.incidents.values() if one.subject in subjects)


def executed(journal: Journal, name: str, action: str, cause: int | None = None, due: float | None = None,
             opens: Mapping[str, Any] | None = None) -> bool:  # fmt: skip
    """Something was begun against it; `opens`: the item that says when it is done. False if it is executed already."""
    known = journal.incidents.get(name)
    if known is None or known.state not in ("classified", "escalated"):
        return False
    _step(journal, "incident.executed", known, cause, action=action, due=due, **({"opens": opens} if opens else {}))
    return True


def verified(journal: Journal, name: str, seen: Any, *, closes: tuple[str, ...] = ()) -> None:
    """What was done was seen to work: verified and closed. `closes`: open items that end with it."""
    known = journal.incidents.get(name)
    if known is None or known.state not in ("executed", "verified"):
        return
    if known.state == "executed":
        _step(journal, "incident.verified", known, None, seen=seen, **({"closes": list(closes)} if closes else {}))
    _step(journal, "incident.closed", find(journal, name), None)


def settle(journal: Journal, name: str, action: str, seen: Any, cause: int | None = None, *,
           closes: tuple[str, ...] = ()) -> None:  # fmt: skip
    """Done and seen in one go, whatever its state is."""
    executed(journal, name, action, cause)
    verified(journal, name, seen, closes=closes)


def escalate(journal: Journal, name: str, why: str, *, needs: str = "", closes: tuple[str, ...] = ()) -> bool:
    """It is late, or nothing more can be done without a person. False if that was said, or it is over."""
    known = journal.incidents.get(name)
    if known is None or known.state not in ("classified", "executed"):
        return False
    more = {**({"needs": needs} if needs else {}), **({"closes": list(closes)} if closes else {})}
    _step(journal, "incident.escalated", known, None, why=why, **more)
    return True


def _step(journal: Journal, kind: Kind, known: IncidentRecord, cause: int | None, **data: Any) -> Event:
    """`policy` among the data is told as the event's outcome."""
    before = known.seq if cause is None else cause
    outcome = str(data.pop("policy", ""))
    return journal.record(Draft(kind, known.subject, {"incident": known.incident, **data}, before, outcome=outcome))
