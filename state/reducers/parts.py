"""Records out of an event's data, which is plain JSON."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..models.actions import NewJob
from ..models.records import ClaimsRecord, Hold, JobSpec, Restarts

Data = Mapping[str, Any]


def hold_of(data: Data) -> Hold:
    return Hold(
        reason=data["reason"],
        class_=data["class"],
        since=data["since"],
        until=data.get("until"),
        needs=data.get("needs"),
    )


def moved(hold: Hold | None, by_s: float) -> Hold | None:
    """After the clock was set by `by_s`: a deadline keeps its distance from now, it was meant as a wait."""
    return hold if hold is None or hold.until is None else replace(hold, until=hold.until + by_s)


def claims_of(data: Data | None) -> ClaimsRecord:
    return ClaimsRecord(**data) if data else ClaimsRecord()


def restarts_of(data: Data) -> Restarts:
    return Restarts(**data)


def spec_of(data: Data) -> JobSpec:
    tuples = {name: tuple(data[name]) for name in ("argv", "artifacts") if name in data}
    return JobSpec(**{**data, **tuples, "claims": claims_of(data.get("claims"))})


def new_job_of(data: Data) -> NewJob:
    return NewJob(
        job=data["job"],
        spec=spec_of(data["spec"]),
        priority=data.get("priority", 0),
        after=tuple(data.get("after", ())),
        not_before=data.get("not_before", 0.0),
    )
