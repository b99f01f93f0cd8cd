"""Looking again: whether what was ordered is so, by what is seen now and never by what the action returned.

Every open item is looked at in every cycle until it is seen done; one that is late escalates its incident. So is every
incident about the world (standing.py), until the world is well.
"""

from collections.abc import Sequence
from typing import Any

from ..agents.detectors.placement import placements
from ..state.models.events import Draft
from ..state.models.facts import Observation
from ..state.models.names import is_command
from ..state.models.readings import Known
from ..state.models.records import IncidentRecord, OpenItem
from ..state.models.transitions import ENDED_JOBS
from . import incidents, standing
from .deeds import Answers, Done, Failed, Look
from .moment import Moment
from .swarm import Swarm
from .workers.identity import BURIED


class Verifier:
    """`hands`: they know what `done_when` means for what they do."""

    def __init__(self, swarm: Swarm, hands: Sequence[Answers] = ()) -> None:
        self._swarm = swarm
        self._looks: dict[str, Look] = {name: look for one in hands for name, look in one.looks().items()}

    def verify(self, moment: Moment, observation: Observation) -> None:
        """Close what is done, escalate what is late. `observation`: what this cycle began with."""
        for item in self._swarm.journal.verify:
            if item.done_when == "worker_started":
                self._started(item)
            elif look := self._looks.get(item.done_when):
                self._looked(item, look(item))
        for item in self._swarm.journal.verify:
            if moment.now > item.due:
                self._late(item, moment)
        self._settle(moment, observation)

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

    def _looked(self, item: OpenItem, found: Done | Failed | None) -> None:
        if found is None:
            return
        journal, opened = self._swarm.journal, int(item.id[1:])
        if isinstance(found, Done):
            data = {**found.data, "closes": [item.id]}
            journal.record(Draft(found.kind, item.subject, data, opened, outcome="seen"))
            incidents.settle(journal, item.incident, item.action, found.seen)
        elif not incidents.escalate(journal, item.incident, found.why, needs=found.needs, closes=(item.id,)):
            data = {"why": found.why, "action": item.action, "closes": [item.id]}
            journal.record(Draft("state.refused", item.subject, data, opened, outcome="failed"))

    def _late(self, item: OpenItem, moment: Moment) -> None:
        journal = self._swarm.journal
        why = f"{item.action} of {item.subject} was due {moment.now - item.due:.1f} s ago: {item.done_when} is not seen"
        if item.incident in journal.incidents:
            incidents.escalate(journal, item.incident, why)
        else:
            name = incidents.detect(journal, "verify_late", item.subject, why, evidence=(int(item.id[1:]),))
            incidents.escalate(journal, name, why)

    def _settle(self, moment: Moment, observation: Observation) -> None:
        """Incidents whose job ended, or whose subject is well again, are over; those whose time has passed escalate."""
        journal = self._swarm.journal
        for incident in list(journal.incidents.values()):
            job = journal.jobs.get(incident.subject)
            if job is not None and job.state in ENDED_JOBS:
                incidents.settle(journal, incident.incident, "none", {"job": job.state})
            elif job is None and (seen := standing.over(incident, observation)) is not None:
                self._well_again(incident, seen)
            elif incident.due is not None and moment.now > incident.due and not _waits(incident, observation):
                incidents.escalate(journal, incident.incident, f"nothing worked until it was due: {incident.why}")

    def _well_again(self, incident: IncidentRecord, seen: Any) -> None:
        journal = self._swarm.journal
        if incident.class_ == "disk_full":
            journal.tell(Draft("disk.restored", incident.subject, {"seen": seen}, incident.seq))
        incidents.settle(journal, incident.incident, "none", seen)


def _waits(incident: IncidentRecord, observation: Observation) -> bool:
    """Whether nothing is wrong with a job but that it waits its turn: for a lane, for room, for a person's pause."""
    job = observation.jobs.get(incident.subject)
    if job is None or job.state != "queued":
        return False
    return not any(one.job == job.job for one in placements(observation))
