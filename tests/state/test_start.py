"""A daemon that is killed at any instant starts again with everything it had acknowledged."""

from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest

from btswarm.state.errors import StorageBroken
from btswarm.state.logread import LOG_NAME, events_after
from btswarm.state.models.events import Draft
from btswarm.state.models.state_files import CONTROL, FLEET, QUEUE, Payload
from btswarm.state.replay import Live, Recorder, SwarmState, fold, settled
from btswarm.state.scribe import Scribe
from btswarm.state.start import Begun, begin
from btswarm.tests.sim.disk import Crash, FakeDisk
from btswarm.tests.state.fixtures import (
    ROOT,
    UTC,
    exited,
    finished,
    hold,
    log_on,
    opened,
    queued,
    spawning,
    stamp,
    started,
    store_on,
    told,
)

JOB = "r1/S/balanced/prescreen"


class Daemon:
    """The memory of one life of the daemon on a disk."""

    def __init__(self, disk: FakeDisk) -> None:
        self.log = log_on(disk)
        self.store = store_on(disk)
        self.begun: Begun = begin(self.store, self.log)
        self.recorder = Recorder(Live(self.begun.state), self.log)
        self.scribe = Scribe(self.log, self.store, lambda: 0.0)
        for draft in self.begun.said:
            self.recorder.record(draft, stamp())

    @property
    def state(self) -> SwarmState:
        return self.recorder.state

    def save(self, at: float = 0.0, *names: str) -> None:
        state = self.state
        payloads: dict[str, Payload] = {CONTROL: state.control, QUEUE: state.queue, FLEET: state.fleet}
        chosen = {name: one for name, one in payloads.items() if not names or name in names}
        self.scribe.save(chosen, stamp(at), state.seq)


def life() -> Iterator[Draft]:
    """What a swarm with one lane and one job that crashes once has to say."""
    yield opened("cpu000")
    yield queued(JOB, "cmd/fill.0")
    for gen in (1, 2):
        worker = f"cpu000@{gen}"
        yield spawning(worker, JOB)
        yield started(worker)
        if gen == 1:
            yield exited(worker, JOB, then={"state": "queued", "not_before": UTC})
            yield Draft("incident.detected", worker, {"class": "crash", "why": "exit 1"})
        else:
            yield exited(worker, JOB, "done")
            yield finished(JOB, artifacts=["a"])
    yield Draft("hold.set", "swarm", {"hold": hold("cannot_write")})
    yield told()


def test_a_folder_without_anything_is_a_fresh_start() -> None:
    begun = begin(store_on(FakeDisk()), log_on(FakeDisk()))
    assert begun.fresh
    assert begun.state == SwarmState()
    assert not begun.said


def test_a_start_folds_in_the_events_that_each_file_lacks() -> None:
    disk = FakeDisk()
    daemon = Daemon(disk)
    for at, draft in enumerate(life()):
        daemon.recorder.record(draft, stamp(at))
        daemon.scribe.flush()
        if at in (2, 5, 7):
            daemon.save(at, {2: CONTROL, 5: QUEUE, 7: FLEET}[at])
    again = Daemon(disk.killed())
    assert settled(again.state) == settled(daemon.state)
    assert not again.begun.refused
    assert not again.begun.fresh
    assert again.begun.applied == daemon.state.seq - 3


def test_a_state_rebuilt_from_the_log_alone_is_the_same() -> None:
    disk = FakeDisk()
    daemon = Daemon(disk)
    for draft in life():
        daemon.recorder.record(draft, stamp())
    daemon.scribe.flush()
    daemon.save()
    for name in (CONTROL, QUEUE, FLEET):
        disk.put(ROOT / name, b"rubbish")
    again = Daemon(disk.killed())
    assert settled(replace(again.state, seq=0)) == settled(replace(daemon.state, seq=0))
    assert [draft.kind for draft in again.begun.said] == ["state.quarantined"] * 3


def test_a_previous_copy_is_brought_up_to_date_and_said_so() -> None:
    disk = FakeDisk()
    daemon = Daemon(disk)
    for at, draft in enumerate(life()):
        daemon.recorder.record(draft, stamp(at))
        daemon.scribe.flush()
        daemon.save(at)
    disk.edit(ROOT / QUEUE, disk.read(ROOT / QUEUE)[:-20])
    again = Daemon(disk.killed())
    assert settled(replace(again.state, seq=0)) == settled(replace(daemon.state, seq=0))
    assert [draft.kind for draft in again.begun.said] == ["state.quarantined", "state.restored"]
    assert again.begun.said[1].data["from"] == f"{QUEUE}.prev"


def test_events_that_cannot_be_are_passed_over_and_told() -> None:
    disk = FakeDisk()
    daemon = Daemon(disk)
    forged = daemon.log.add(finished("r9/S/balanced/report"), stamp())
    daemon.log.add(opened("cpu000"), stamp())
    daemon.log.flush()
    begun = begin(store_on(disk), log_on(disk))
    assert [seq for seq, _ in begun.refused] == [forged.seq]
    assert list(begun.state.fleet.lanes) == ["cpu000"]
    (said,) = begun.said
    assert (said.kind, said.data["events"]) == ("state.refused", 1)


def test_a_log_of_a_newer_version_is_refused_and_left_alone() -> None:
    disk = FakeDisk()
    daemon = Daemon(disk)
    daemon.log.add(told(), stamp())
    daemon.log.flush()
    disk.files[ROOT / LOG_NAME].data += orjson.dumps({"v": 2, "seq": 2, "kind": "swarm.dreamed"}) + b"\n"
    before = disk.read(ROOT / LOG_NAME)
    with pytest.raises(StorageBroken, match="newer version"):
        begin(store_on(disk), log_on(disk))
    assert disk.read(ROOT / LOG_NAME) == before


def test_lines_that_are_missing_or_scribbled_over_are_told() -> None:
    disk = FakeDisk()
    daemon = Daemon(disk)
    for at in range(5):
        daemon.recorder.record(told(), stamp(at))
    daemon.scribe.flush()
    first, _, _, fourth, fifth, _ = disk.read(ROOT / LOG_NAME).split(b"\n")
    disk.edit(ROOT / LOG_NAME, b"\n".join([first, b"scribble", fourth, fifth, b""]))
    said = begin(store_on(disk), log_on(disk)).said
    assert [(draft.outcome, draft.data) for draft in said] == [
        ("missing", {"missing": [2, 3]}),
        ("bad lines", {"bad_lines": 1}),
    ]


def test_no_file_is_saved_ahead_of_what_the_log_has_on_disk() -> None:
    disk = FakeDisk()
    daemon = Daemon(disk)
    daemon.recorder.record(told(), stamp())
    daemon.save()
    (outcome,) = daemon.scribe.outcomes()
    assert outcome.error is not None
    assert QUEUE not in disk.names(ROOT)
    daemon.scribe.flush()
    daemon.save()
    (outcome,) = daemon.scribe.outcomes()
    assert (outcome.error, outcome.synced_seq, outcome.saved.synced) == (None, 1, 3)


def test_a_log_that_cannot_be_synced_keeps_the_files_as_they_are() -> None:
    disk = FakeDisk()
    daemon = Daemon(disk)
    daemon.recorder.record(told(), stamp())
    daemon.scribe.flush()
    disk.fail["sync"] = 5
    daemon.save()
    (outcome,) = daemon.scribe.outcomes()
    assert outcome.error is not None
    assert QUEUE not in disk.names(ROOT)


def _live(disk: FakeDisk, states: list[SwarmState]) -> None:
    """A life with flushes and saves; a Crash carries the newest number that was acknowledged, and the newest synced."""
    acknowledged = synced = 0
    try:
        daemon = Daemon(disk)
        for at, draft in enumerate(life()):
            daemon.recorder.record(draft, stamp(at))
            states.append(daemon.state)
            if at % 2:
                assert daemon.scribe.flush()
                acknowledged = daemon.log.written_seq
            if at % 4 == 3:
                daemon.save(at)
                (outcome,) = daemon.scribe.outcomes()
                assert outcome.error is None
                synced = outcome.synced_seq
    except Crash:
        raise Crash(acknowledged, synced) from None


@pytest.mark.parametrize("torn", [0.0, 0.6, 1.0])
def test_a_kill_at_any_operation_loses_nothing_that_was_acknowledged(torn: float) -> None:
    at = 0
    while True:
        disk, states = FakeDisk(), [SwarmState()]
        disk.crash_at, disk.torn = at, torn
        try:
            _live(disk, states)
        except Crash as crash:
            acknowledged, _ = crash.args
        else:
            break
        after = disk.killed()
        again = Daemon(after)
        reached = again.begun.state.seq
        assert reached >= acknowledged, at
        assert not again.begun.refused, at
        assert settled(again.begun.state) == settled(states[reached]), at
        again.recorder.record(told("again"), stamp(99))
        assert again.scribe.flush()
        numbers = [event["seq"] for event in events_after(after, ROOT, 0)]
        assert numbers == list(range(1, again.log.next_seq)), at
        at += 1
    assert at > 60


@pytest.mark.parametrize("kept", [0.0, 0.4, 1.0])
def test_a_power_loss_at_any_operation_loses_nothing_that_was_synced(kept: float) -> None:
    at = 0
    while True:
        disk, states = FakeDisk(), [SwarmState()]
        disk.crash_at, disk.torn = at, 0.5
        try:
            _live(disk, states)
        except Crash as crash:
            _, synced = crash.args
        else:
            break
        for names in range(len(disk.pending) + 1):
            again = Daemon(disk.after_power_loss(names, kept, zeros=True))
            reached = again.begun.state.seq
            assert reached >= synced, (at, names)
            assert not again.begun.refused, (at, names)
            assert settled(again.begun.state) == settled(states[reached]), (at, names)
        at += 1


def test_dying_again_and_again_during_the_start_changes_nothing() -> None:
    disk = FakeDisk()
    daemon = Daemon(disk)
    for at, draft in enumerate(life()):
        daemon.recorder.record(draft, stamp(at))
        daemon.scribe.flush()
        daemon.save(at)
    disk.files[ROOT / LOG_NAME].data += b'{"v":1,"seq":'
    disk.edit(ROOT / FLEET, b"")
    for at in range(99):
        disk = disk.killed()
        disk.crash_at = at
        try:
            again = Daemon(disk)
            break
        except Crash:
            continue
    assert at > 2
    assert settled(replace(again.begun.state, seq=0)) == settled(replace(daemon.state, seq=0))


def test_replaying_a_whole_log_is_the_fold_of_its_events() -> None:
    disk = FakeDisk()
    daemon = Daemon(disk)
    for draft in life():
        daemon.recorder.record(draft, stamp())
    daemon.scribe.flush()
    assert fold(SwarmState(), daemon.log.replay(0)) == daemon.state
