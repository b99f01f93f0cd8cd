"""The control slice: what people want, agents, probes, buckets, incidents, holds of the swarm and of GPUs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from ..models.events import Event, Kind
from ..models.names import hold_name, incident_name, parse_hold, subject_kind
from ..models.records import AgentRecord, Bucket, Buckets, IncidentRecord, ProbeRecord
from ..models.state_files import Control
from ..models.transitions import IncidentState, UnknownSubject, incident_to
from .edit import Edit, Table
from .parts import hold_of, moved, restarts_of

COMMANDS_KEPT: Final = 256
EVIDENCE_KEPT: Final = 16


class ControlEdit(Edit):
    """`spawn`, `flap`, `restarts` are the buckets."""

    def __init__(self, control: Control) -> None:
        super().__init__()
        self.swarm_id = control.swarm_id
        self.boot = control.boot
        self.build = control.build
        self.config = control.config
        self.started = control.started
        self.desired = control.desired
        self.spawn = control.buckets.spawn
        self.flap = control.buckets.flap
        self.restarts = Table("restart budget of", control.buckets.restarts, self.undo)
        self.agents = Table("agent", control.agents, self.undo)
        self.probes = Table("probe", control.probes, self.undo)
        self.incidents = Table("open incident", control.incidents, self.undo)
        self.holds = Table("hold", control.holds, self.undo)

    def frozen(self) -> Control:
        return Control(
            swarm_id=self.swarm_id,
            boot=self.boot,
            build=self.build,
            config=self.config,
            started=self.started,
            desired=self.desired,
            agents=self.agents.share(),
            probes=self.probes.share(),
            buckets=Buckets(self.spawn, self.flap, self.restarts.share()),
            incidents=self.incidents.share(),
            holds=self.holds.share(),
        )


Reducer = Callable[[ControlEdit, Event], None]


def _daemon_started(edit: ControlEdit, event: Event) -> None:
    data = event.data
    if data["epoch"] != edit.boot:
        _begin_time_anew(edit, event.mono)
    edit.set("swarm_id", data["swarm_id"])
    edit.set("boot", data["epoch"])
    edit.set("build", data["build"])
    edit.set("config", data["config"])
    edit.set("started", event.ts)
    if edit.desired.life in ("drain", "restart"):
        edit.set("desired", replace(edit.desired, life="run" if edit.desired.has_plan else "idle"))


def _begin_time_anew(edit: ControlEdit, mono: float) -> None:
    """Monotonic time of another boot says nothing: levels are kept, their time begins now."""
    for name in ("spawn", "flap"):
        if (bucket := getattr(edit, name)) is not None:
            edit.set(name, replace(bucket, mono=mono))
    for job, restarts in list(edit.restarts.rows.items()):
        edit.restarts.put(job, replace(restarts, mono=mono))


def _agent_loaded(edit: ControlEdit, event: Event) -> None:
    known = edit.agents.find(event.subject) or AgentRecord(event.subject)
    edit.agents.put(event.subject, replace(known, source=event.data["source"]))


def _agent_failed(edit: ControlEdit, event: Event) -> None:
    if "failures" in event.data:
        known = edit.agents.get(event.subject)
        edit.agents.put(event.subject, replace(known, crashes=known.crashes + 1, failures=event.data["failures"]))


def _agent_quarantined(edit: ControlEdit, event: Event) -> None:
    known = edit.agents.get(event.subject)
    edit.agents.put(event.subject, replace(known, quarantine=hold_of(event.data["hold"])))


def _spend(edit: ControlEdit, event: Event) -> None:
    data = event.data
    if "spawn" in data:
        edit.set("spawn", Bucket(data["spawn"], event.mono))
    if "flap" in data:
        edit.set("flap", Bucket(data["flap"], event.mono))
    if "restarts" in data:
        edit.restarts.put(data.get("job") or event.subject, restarts_of(data["restarts"]))


def _job_ended(edit: ControlEdit, event: Event) -> None:
    for job in (event.subject, *event.data.get("cancelled", ())):
        edit.restarts.drop(job)
        _forget(edit, "cancel", job)


def _job_gated(edit: ControlEdit, event: Event) -> None:
    for job in event.data.get("cancelled", ()):
        edit.restarts.drop(job)
        _forget(edit, "cancel", job)


def _forget(edit: ControlEdit, wish: str, subject: str) -> None:
    """A person's wish that was carried out."""
    wanted: tuple[str, ...] = getattr(edit.desired, wish)
    if subject in wanted:
        changes: dict[str, Any] = {wish: tuple(one for one in wanted if one != subject)}
        edit.set("desired", replace(edit.desired, **changes))


def _incident_detected(edit: ControlEdit, event: Event) -> None:
    name = incident_name(event.seq)
    record = IncidentRecord(
        incident=name,
        class_=event.data["class"],
        subject=event.subject,
        state="detected",
        severity=event.severity,
        since=event.ts,
        seq=event.seq,
        why=event.data["why"],
        evidence=tuple(event.data.get("evidence", ()))[:EVIDENCE_KEPT],
        due=event.data.get("due"),
        needs=event.data.get("needs", ""),
    )
    edit.incidents.put(name, record)


def _incident_step(state: IncidentState) -> Reducer:
    def step(edit: ControlEdit, event: Event) -> None:
        data = event.data
        known = edit.incidents.get(data["incident"])
        record = replace(
            known,
            state=incident_to(known.incident, known.state, state),
            seq=event.seq,
            due=data.get("due"),
            why=data.get("why", known.why),
            needs=data.get("needs", known.needs),
            actions=(*known.actions, data["action"])[-EVIDENCE_KEPT:] if state == "executed" else known.actions,
            escalations=known.escalations + (state == "escalated"),
        )
        edit.incidents.put(known.incident, record)

    return step


def _incident_closed(edit: ControlEdit, event: Event) -> None:
    known = edit.incidents.get(event.data["incident"])
    incident_to(known.incident, known.state, "closed")
    edit.incidents.drop(known.incident)


def _hold_set(edit: ControlEdit, event: Event) -> None:
    if subject_kind(event.subject) in ("swarm", "gpu"):
        hold = hold_of(event.data["hold"])
        edit.holds.put(hold.name(event.subject), hold)


def _hold_released(edit: ControlEdit, event: Event) -> None:
    class_ = event.data["class"]
    kind = subject_kind(event.subject)
    if kind in ("swarm", "gpu"):
        edit.holds.get(hold_name(event.subject, class_))
        edit.holds.drop(hold_name(event.subject, class_))
    if not any(parse_hold(name)[0] == event.subject for name in edit.holds.rows):
        _forget(edit, "release", event.subject)  # a person released all of its holds, which end one a cycle
    if kind == "other":
        known = edit.agents.get(event.subject)
        if known.quarantine is None:
            raise UnknownSubject("quarantine of agent", event.subject)
        edit.agents.put(event.subject, replace(known, quarantine=None, failures=0))


def _command_accepted(edit: ControlEdit, event: Event) -> None:
    data = event.data
    commands = {**edit.desired.commands, data["id"]: event.seq}
    changes: dict[str, Any] = {"commands": dict(list(commands.items())[-COMMANDS_KEPT:])}
    for name, value in data.get("desired", {}).items():
        changes[name] = tuple(value) if isinstance(value, list) else value
    edit.set("desired", replace(edit.desired, **changes))
    if "config" in data:
        edit.set("config", data["config"])


def _probe_silent(edit: ControlEdit, event: Event) -> None:
    known = edit.probes.find(event.subject) or ProbeRecord(event.subject)
    state = event.data.get("state", "silent")
    since = known.since if known.state == state else event.ts
    restarts = event.data.get("restarts", known.restarts)
    why = event.data.get("why", "")
    edit.probes.put(event.subject, replace(known, state=state, since=since, restarts=restarts, why=why))


def _probe_restored(edit: ControlEdit, event: Event) -> None:
    edit.probes.put(event.subject, ProbeRecord(event.subject, "ok", event.ts, event.data.get("restarts", 0)))


def _clock_jumped(edit: ControlEdit, event: Event) -> None:
    by_s = event.data.get("by_s", 0.0)
    for name, hold in list(edit.holds.rows.items()):
        edit.holds.put(name, moved(hold, by_s) or hold)
    for name, agent in list(edit.agents.rows.items()):
        if agent.quarantine is not None:
            edit.agents.put(name, replace(agent, quarantine=moved(agent.quarantine, by_s)))
    for name, incident in list(edit.incidents.rows.items()):
        if incident.due is not None:
            edit.incidents.put(name, replace(incident, due=incident.due + by_s))


CONTROL: Final[Mapping[Kind, Reducer]] = {
    "daemon.started": _daemon_started,
    "agent.loaded": _agent_loaded,
    "agent.raised": _agent_failed,
    "agent.overran": _agent_failed,
    "agent.quarantined": _agent_quarantined,
    "worker.spawning": _spend,
    "worker.exited": _spend,
    "lane.opened": _spend,
    "scale.up": _spend,
    "scale.down": _spend,
    "job.queued": _spend,
    "job.finished": _job_ended,
    "job.replaced": _job_ended,
    "job.gated": _job_gated,
    "incident.detected": _incident_detected,
    "incident.classified": _incident_step("classified"),
    "incident.executed": _incident_step("executed"),
    "incident.verified": _incident_step("verified"),
    "incident.escalated": _incident_step("escalated"),
    "incident.closed": _incident_closed,
    "hold.set": _hold_set,
    "hold.released": _hold_released,
    "command.accepted": _command_accepted,
    "probe.silent": _probe_silent,
    "probe.restored": _probe_restored,
    "clock.jumped": _clock_jumped,
}
