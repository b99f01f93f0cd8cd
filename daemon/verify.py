"""Looking again: whether what was ordered is so, by what is seen now and never by what the action returned.

Every open item is looked at in every cycle until it is seen done; one that is late escalates its incident.
"""

from collections.abc import Callable
from typing import Any

from ..state.models.events import Draft
from ..state.models.names import is_command
from ..state.models.readings import Known
from ..state.models.records import OpenItem
from ..state.models.transitions import ENDED_JOBS
from . import incidents
from .moment import Moment
from .swarm import Swarm
from .workers.identity import BURIED

Look = Callable[[OpenItem], Any]


class Verifier:
    """`looks`: what `done_when` means, by name: what was seen if it is done, else None."""

    def __init__(self, swarm: Swarm, looks: dict[str, Look] | None = None) -> None:
        self._swarm = swarm
        self._looks = looks or {}

    def verify(self, moment: Moment) -> None:
        """Close what is done, escalate what is late."""
        for item in self._swarm.journal.state.fleet.verify:
            if item.done_when == "worker_started":
                self._started(item)
            elif (look := self._looks.get(item.done_when)) and (seen := look(item)) is not None:
                self._done(item, seen)
        for item in self._swarm.journal.state.fleet.verify:
            if moment.now > item.due:
                self._late(item, moment)
        self._settle(moment)

    def _started(self, item: OpenItem) -> None:
        """A process of this token was started: its identity is logged now that it was seen."""
        swarm = self._swarm
        identity = swarm.started.pop(item.subject, None)
        record = swarm.journal.workers.get(item.subject)
        if identity is None or record is None or record.state != "intended":
            return
        sample = swarm.world.processes.sample(identity)
        alive = isinstance(sample, Known) and sample.known.ticks == identity.ticks and sample.known.state not in BURIED
        data = {
            "pid": identity.pid,
            "start_ticks": identity.ticks,
            "state": "running" if is_command(record.job) else "starting",
            "closes": [item.id],
        }
        opened = int(item.id[1:])
        swarm.journal.record(Draft("worker.started", record.worker, data, opened, outcome="seen" if alive else "gone"))
        if alive and item.incident:
            assert isinstance(sample, Known)
            seen = {"worker": record.worker, "pid": identity.pid, "state": sample.known.state}
            incidents.verified(swarm.journal, item.incident, seen)

    def _done(self, item: OpenItem, seen: Any) -> None:
        if item.incident:
            incidents.verified(self._swarm.journal, item.incident, seen, closes=(item.id,))

    def _late(self, item: OpenItem, moment: Moment) -> None:
        journal = self._swarm.journal
        why = f"{item.action} of {item.subject} was due {moment.now - item.due:.1f} s ago: {item.done_when} is not seen"
        if item.incident in journal.state.control.incidents:
            incidents.escalate(journal, item.incident, why)
        else:
            name = incidents.detect(journal, "verify_late", item.subject, why, evidence=(int(item.id[1:]),))
            incidents.escalate(journal, name, why)

    def _settle(self, moment: Moment) -> None:
        """Incidents about jobs that ended or run again are over; those whose time has passed escalate."""
        journal = self._swarm.journal
        jobs = journal.jobs
        for incident in list(journal.state.control.incidents.values()):
            job = jobs.get(incident.subject)
            if job is not None and job.state in ENDED_JOBS:
                incidents.settle(journal, incident.incident, "none", {"job": job.state})
            elif (
                incident.due is not None and moment.now > incident.due and incident.state in ("classified", "executed")
            ):
                incidents.escalate(journal, incident.incident, f"nothing worked until it was due: {incident.why}")
