"""The fleet slice: lanes, workers, and the open items that verification looks at."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from ..models.events import Event, Kind
from ..models.names import parse_lane, parse_worker, subject_kind, worker_name
from ..models.records import LaneRecord, OpenItem, Stop, WorkerRecord
from ..models.state_files import Fleet
from ..models.transitions import EventRefused, LaneState, UnknownSubject, lane_to, worker_to
from .edit import Edit, Table
from .parts import claims_of, hold_of, moved


class FleetEdit(Edit):
    def __init__(self, fleet: Fleet) -> None:
        super().__init__()
        self.lanes = Table("lane", fleet.lanes, self.undo)
        self.workers = Table("worker", fleet.workers, self.undo)
        self.verify = fleet.verify

    def frozen(self) -> Fleet:
        return Fleet(self.lanes.share(), self.workers.share(), self.verify)


Reducer = Callable[[FleetEdit, Event], None]


def _open_lane(edit: FleetEdit, lane: str, event: Event) -> None:
    data = event.data
    parse_lane(lane)
    known = edit.lanes.find(lane) or LaneRecord(lane, data["kind"], "closed", event.ts)
    state = lane_to(lane, known.state, "open")
    record = replace(known, state=state, since=event.ts, role=data["role"], hold=None)
    if "claims" in data:
        record = replace(record, claims=claims_of(data["claims"]))
    if "gpu_uuid" in data:
        record = replace(record, gpu_uuid=data["gpu_uuid"])
    edit.lanes.put(lane, record)


def _move_lane(edit: FleetEdit, lane: str, state: LaneState, event: Event, **changes: Any) -> None:
    known = edit.lanes.get(lane)
    edit.lanes.put(lane, replace(known, state=lane_to(lane, known.state, state), since=event.ts, **changes))


def _lane_opened(edit: FleetEdit, event: Event) -> None:
    _open_lane(edit, event.subject, event)


def _lane_closed(edit: FleetEdit, event: Event) -> None:
    _move_lane(edit, event.subject, "closed", event, hold=None)


def _lane_quarantined(edit: FleetEdit, event: Event) -> None:
    _move_lane(edit, event.subject, "quarantined", event, hold=hold_of(event.data["hold"]))


def _lane_restored(edit: FleetEdit, event: Event) -> None:
    _move_lane(edit, event.subject, "open", event, hold=None)


def _scaled_up(edit: FleetEdit, event: Event) -> None:
    for lane in event.data["lanes"]:
        _open_lane(edit, lane, event)


def _scaled_down(edit: FleetEdit, event: Event) -> None:
    for lane in event.data["lanes"]:
        _move_lane(edit, lane, "draining", event)


def _hold_set(edit: FleetEdit, event: Event) -> None:
    if subject_kind(event.subject) == "lane":
        known = edit.lanes.get(event.subject)
        edit.lanes.put(known.lane, replace(known, hold=hold_of(event.data["hold"])))


def _hold_released(edit: FleetEdit, event: Event) -> None:
    if subject_kind(event.subject) != "lane":
        return
    known = edit.lanes.get(event.subject)
    if known.hold is None or known.hold.class_ != event.data["class"]:
        raise UnknownSubject("hold", f"{event.subject}#{event.data['class']}")
    if known.state == "quarantined":
        _move_lane(edit, known.lane, "open", event, hold=None)
    else:
        edit.lanes.put(known.lane, replace(known, hold=None))


def _worker_spawning(edit: FleetEdit, event: Event) -> None:
    """A generation is never used twice, and a lane has one living worker."""
    data = event.data
    name, gen = parse_worker(event.subject)
    lane = edit.lanes.get(name)
    before = edit.workers.find(worker_name(name, lane.gen))
    if gen <= lane.gen:
        raise EventRefused(f"worker {event.subject} is not newer than generation {lane.gen} of its lane")
    if before is not None and before.living:
        raise EventRefused(f"lane {name} is taken by {before.worker}")
    if lane.state != "open":
        raise EventRefused(f"lane {name} is {lane.state}")
    if lane.hold is not None and not lane.hold.over(event.ts):
        raise EventRefused(f"lane {name} is held: {lane.hold.reason}")
    edit.lanes.put(name, replace(lane, gen=gen))
    record = WorkerRecord(
        worker=event.subject,
        token=data["token"],
        job=data["job"],
        state="intended",
        since=event.ts,
        epoch=data["epoch"],
        start_due=data["start_due"],
        claims=claims_of(data.get("claims")),
        gpu_uuid=data.get("gpu_uuid", ""),
        build=data["build"],
        log=data["log"],
    )
    edit.workers.put(event.subject, record)


def _worker_started(edit: FleetEdit, event: Event) -> None:
    data = event.data
    known = edit.workers.get(event.subject)
    worker_to(known.worker, known.state, "starting")
    state = "starting" if data["state"] == "starting" else worker_to(known.worker, "starting", data["state"])
    record = replace(known, state=state, since=event.ts, pid=data["pid"], start_ticks=data["start_ticks"])
    edit.workers.put(known.worker, record)


def _worker_adopted(edit: FleetEdit, event: Event) -> None:
    """In its state; an intent whose process was found is starting by that."""
    data = event.data
    known = edit.workers.get(event.subject)
    if known.state != data["state"]:
        path = ("starting", data["state"]) if known.state == "intended" else (data["state"],)
        for state in dict.fromkeys(path):
            known = replace(known, state=worker_to(known.worker, known.state, state), since=event.ts)
    record = replace(known, pid=data["pid"], start_ticks=data["start_ticks"], adopted=True)
    edit.workers.put(known.worker, record)


def _worker_stopping(edit: FleetEdit, event: Event) -> None:
    data = event.data
    known = edit.workers.get(event.subject)
    if known.state != "stopping":
        known = replace(known, state=worker_to(known.worker, known.state, "stopping"), since=event.ts)
    elif known.stop is not None and data["rung"] < known.stop.rung:
        raise EventRefused(f"the ladder of {known.worker} stands at {known.stop.rung} and does not go back")
    since = known.stop.since if known.stop is not None else event.ts
    edit.workers.put(known.worker, replace(known, stop=Stop(data["rung"], data["reason"], since, data["due"])))


def _worker_unkillable(edit: FleetEdit, event: Event) -> None:
    known = edit.workers.get(event.subject)
    state = worker_to(known.worker, known.state, "lost")
    stop = replace(known.stop, rung=4) if known.stop is not None else None
    edit.workers.put(known.worker, replace(known, state=state, since=event.ts, stop=stop))


def _worker_exited(edit: FleetEdit, event: Event) -> None:
    known = edit.workers.get(event.subject)
    state = event.data["state"]
    if state == "reaped" and known.state != "exited":
        known = replace(known, state=worker_to(known.worker, known.state, "exited"))
    worker_to(known.worker, known.state, state)
    if state == "exited":
        edit.workers.put(known.worker, replace(known, state="exited", since=event.ts))
    else:
        edit.workers.drop(known.worker)


def items(edit: FleetEdit, event: Event) -> None:
    """`opens` and `closes`, which any event may carry."""
    data = event.data
    if closes := data.get("closes"):
        edit.set("verify", tuple(item for item in edit.verify if item.id not in closes))
    if opens := data.get("opens"):
        item = OpenItem(
            id=f"v{event.seq}",
            action=opens["action"],
            subject=opens["subject"],
            done_when=opens["done_when"],
            since=event.ts,
            due=opens["due"],
            incident=opens.get("incident", ""),
            agent=opens.get("agent", ""),
            args=opens.get("args", {}),
        )
        edit.set("verify", (*edit.verify, item))


def _clock_jumped(edit: FleetEdit, event: Event) -> None:
    by_s = event.data.get("by_s", 0.0)
    for name, lane in list(edit.lanes.rows.items()):
        edit.lanes.put(name, replace(lane, since=lane.since + by_s, hold=moved(lane.hold, by_s)))
    for name, worker in list(edit.workers.rows.items()):
        stop = worker.stop and replace(worker.stop, due=worker.stop.due + by_s)
        edit.workers.put(name, replace(worker, start_due=worker.start_due + by_s, stop=stop))
    if edit.verify:
        edit.set("verify", tuple(replace(item, due=item.due + by_s) for item in edit.verify))


FLEET: Final[Mapping[Kind, Reducer]] = {
    "clock.jumped": _clock_jumped,
    "lane.opened": _lane_opened,
    "lane.closed": _lane_closed,
    "lane.quarantined": _lane_quarantined,
    "lane.restored": _lane_restored,
    "scale.up": _scaled_up,
    "scale.down": _scaled_down,
    "hold.set": _hold_set,
    "hold.released": _hold_released,
    "worker.spawning": _worker_spawning,
    "worker.started": _worker_started,
    "worker.adopted": _worker_adopted,
    "worker.stopping": _worker_stopping,
    "worker.exited": _worker_exited,
    "worker.unkillable": _worker_unkillable,
}
