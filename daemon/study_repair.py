"""The hand that repairs a study: a helper of the engine looks, mends, and a second one looks again.

A worker looks at its study before it uses it, under the study's own lock, and exits 74 when that is torn or kept
locked; the daemon never opens one itself, since it knows nothing of numbers. Nothing may use a study while it is
mended, so whoever else works on it ends first, by the same damage or by itself.
"""

import sys
from typing import Any, Final

import orjson

from ..state.errors import BtswarmError, FailureClass
from ..state.models.actions import Order, RepairStorage
from ..state.models.events import Kind
from ..state.models.facts import Observation
from ..state.models.names import is_command
from ..state.models.records import JobRecord, OpenItem
from . import incidents
from .deeds import Answers, Carry, Done, Failed, Look, Plan, Refused
from .ports import ToolEnd
from .swarm import Swarm
from .work import results_folder, study_of

LIMIT_S: Final = 20.0
"""Of one helper; numerics take seconds to import on a busy host."""
TRIES: Final = 3
"""Workers in a row that found it broken while the helper finds nothing: then it is no passing lock."""
MENDING: Final = ("-P", "-m", "btswarm.engine.mending")
STUDY, FOLDER = "BTSWARM_STUDY", "BTSWARM_STUDY_DIR"
Said = dict[str, Any]


class StudyRepair(Answers):
    """The subject is the job whose worker found its study broken."""

    def __init__(self, swarm: Swarm) -> None:
        super().__init__(swarm)
        self._mended: dict[str, Said] = {}
        """What the first helper said, by open item: the second one is looking."""

    def carried(self) -> dict[type, Carry]:
        return {RepairStorage: self._intend}

    def looks(self) -> dict[str, Look]:
        return {"storage_opens": self._look}

    def _intend(self, order: Order, action: RepairStorage, observation: Observation, plan: Plan) -> None:
        journal = self._swarm.journal
        job = journal.jobs.get(action.path)
        if job is None or is_command(job.job):
            raise Refused(f"{action.path} is no job with a study")
        if users := self._users(job):
            raise Refused(f"{users[0]} still uses the study")
        incident = self._incident_of(order, job.job)
        opens = self._item(order, plan.moment, job.job, incident=incident)
        if not incident or not incidents.executed(journal, incident, order.kind, opens=opens):
            raise Refused("no incident asks for it, or it is under way")

    def _users(self, job: JobRecord) -> list[str]:
        """Workers at jobs of the same study."""
        swarm = self._swarm
        study, jobs = study_of(swarm, job), swarm.journal.jobs
        found = []
        for worker in swarm.journal.workers.values():
            other = jobs.get(worker.job)
            if worker.living and other is not None and other.spec.stage == "optimize" and other.job != job.job:
                found += [worker.worker] * (study_of(swarm, other) == study)
        return found

    def _look(self, item: OpenItem) -> Done | Failed | None:
        tools = self._swarm.world.tools
        job = self._swarm.journal.jobs.get(item.subject)
        if job is None:
            return Failed("the job is gone")
        if not tools.running(item.id):
            return self._begin(item, job, mend=item.id not in self._mended)
        end = tools.ended(item.id)
        if end is None:
            return None
        said = _said(end)
        if not said.get("sound"):
            self._mended.pop(item.id, None)
            why = said.get("why") or f"the helper ended with {end.code}: {end.error.strip()[-200:]}"
            return Failed(f"the study cannot be repaired: {why}", said.get("needs") or "look at the study and its disk")
        if item.id not in self._mended:
            self._mended[item.id] = said
            return self._begin(item, job, mend=False)
        return self._sound(item, job, self._mended.pop(item.id))

    def _sound(self, item: OpenItem, job: JobRecord, mended: Said) -> Done | Failed:
        """The study opens. If nothing was wrong with it and its workers say so again and again, it is another thing."""
        told = {name: value for name, value in mended.items() if value not in (None, "")}
        again = [one.class_ for one in job.attempts[-TRIES:]] == [FailureClass.STORAGE] * TRIES
        if not mended.get("source") and again:
            incident = self._swarm.journal.incidents.get(item.incident)
            said = incident.why if incident else "look at the log of its worker"
            return Failed(f"its study is sound, its workers say: {said}", f"mend what they name: {said}")
        kind: Kind = "storage.repaired" if mended.get("source") else "state.restored"
        return Done({"sound": True}, kind, {**told, "study": study_name(job)})

    def _begin(self, item: OpenItem, job: JobRecord, *, mend: bool) -> Failed | None:
        swarm = self._swarm
        if swarm.journal.blocked:
            return None  # nothing is started while the log cannot be written
        argv = (sys.executable, *MENDING, *(["--mend"] if mend else []))
        told = {STUDY: study_of(swarm, job), FOLDER: str(results_folder(swarm, job))}
        try:
            swarm.world.tools.start(item.id, argv, told, LIMIT_S)
        except (OSError, BtswarmError) as error:
            return Failed(f"no helper could be started: {error}")
        return None


def study_name(job: JobRecord) -> str:
    """How a study is called in the log: a URL may hold a password."""
    return f"of {job.job}"


def _said(end: ToolEnd) -> Said:
    if end.late:
        why = f"the helper did not end in {LIMIT_S:g} s: somebody holds the study, or the disk does not answer"
        return {"why": why, "needs": "find out who holds the study, or look at the disk"}
    try:
        said = orjson.loads(end.output)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}
