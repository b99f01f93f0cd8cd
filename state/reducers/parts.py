"""Records out of an event's data, which is plain JSON."""

from collections.abc import Mapping
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
