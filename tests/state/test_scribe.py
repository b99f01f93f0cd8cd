"""Whoever decides never waits for a disk longer than it wants to."""

import errno
import threading
from collections.abc import Iterator

import pytest

from btswarm.state.errors import StorageBroken
from btswarm.state.logread import events_after
from btswarm.state.models.state_files import QUEUE, Queue
from btswarm.state.scribe import ThreadedScribe, Unanswered
from btswarm.tests.sim.disk import FakeDisk
from btswarm.tests.state.fixtures import ROOT, UTC, log_on, stamp, store_on, told


class Stuck(FakeDisk):
    """A disk whose operations of one name wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.holding = ""
        self.entered = threading.Event()
        self.gate = threading.Event()

    def _operation(self, name: str, path: object) -> None:
        if name == self.holding:
            self.entered.set()
            assert self.gate.wait(30)
        super()._operation(name, path)  # type: ignore[arg-type]


class Rig:
    def __init__(self) -> None:
        self.disk = Stuck()
        self.log = log_on(self.disk)
        self.store = store_on(self.disk)
        self.log.open()
        self.mono = 100.0
        self.scribe = ThreadedScribe(self.log, self.store, lambda: self.mono)
        self.scribe.start()

    def finish_saves(self) -> None:
        self.scribe.do(lambda store: None, 30)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.disk.gate.set()
    assert made.scribe.stop(30)


def test_a_flush_says_that_everything_pushed_is_in_the_file(rig: Rig) -> None:
    for _ in range(3):
        rig.log.add(told(), stamp())
    assert rig.scribe.flush(30)
    assert [event["seq"] for event in events_after(rig.disk, ROOT, 0)] == [1, 2, 3]


def test_a_disk_that_hangs_on_a_write_costs_the_caller_its_patience_and_no_more(rig: Rig) -> None:
    rig.disk.holding = "write"
    rig.log.add(told(), stamp())
    assert not rig.scribe.flush(0.01)
    assert rig.disk.entered.wait(30)
    rig.mono += 12.0
    assert rig.scribe.silent_s() == 12.0
    rig.log.add(told(), stamp())
    assert not rig.scribe.flush(30)  # not even that: the hand is known to be full
    assert rig.log.backlog == 2
    rig.disk.holding = ""
    rig.disk.gate.set()
    while not rig.scribe.flush(30):
        pass
    assert rig.scribe.silent_s() == 0.0
    assert [event["seq"] for event in events_after(rig.disk, ROOT, 0)] == [1, 2]


def test_a_disk_that_hangs_on_a_sync_does_not_keep_events_from_being_written(rig: Rig) -> None:
    rig.log.add(told(), stamp())
    assert rig.scribe.flush(30)
    rig.disk.holding = "sync"
    rig.scribe.save({QUEUE: Queue()}, stamp(), 1)
    assert rig.disk.entered.wait(30)
    rig.log.add(told(), stamp())
    assert rig.scribe.flush(30)
    with pytest.raises(Unanswered):
        rig.scribe.audit(UTC, 0.01)
    assert not rig.scribe.outcomes()


def test_of_saves_that_pile_up_only_the_newest_is_done(rig: Rig) -> None:
    rig.disk.holding = "create"
    rig.scribe.save({QUEUE: Queue(run="1")}, stamp(), 0)
    assert rig.disk.entered.wait(30)
    for run in "234":
        rig.scribe.save({QUEUE: Queue(run=run)}, stamp(), 0)
    rig.disk.holding = ""
    rig.disk.gate.set()
    rig.finish_saves()
    assert len(rig.scribe.outcomes()) == 2
    assert rig.scribe.do(lambda store: store.load(QUEUE), 30).payload == Queue(run="4")


def test_files_are_read_back_by_the_hand_that_wrote_them(rig: Rig) -> None:
    rig.scribe.save({QUEUE: Queue()}, stamp(), 0)
    views = rig.scribe.audit(UTC, 30)
    assert views[QUEUE].valid


def test_what_goes_wrong_in_a_thread_is_raised_to_who_asked(rig: Rig) -> None:
    with pytest.raises(StorageBroken, match="not written yet"):
        rig.scribe.do(lambda store: store.rewrite(QUEUE, stamp(), 0), 30)


def test_a_refusal_of_the_disk_is_reported_and_the_thread_goes_on(rig: Rig) -> None:
    rig.disk.fail["create"] = errno.ENOSPC
    rig.scribe.save({QUEUE: Queue()}, stamp(), 0)
    rig.finish_saves()
    (outcome,) = rig.scribe.outcomes()
    assert outcome.saved.failed[QUEUE].errno == errno.ENOSPC
    rig.disk.fail.clear()
    rig.scribe.save({QUEUE: Queue()}, stamp(), 0)
    rig.finish_saves()
    assert not rig.scribe.outcomes()[0].saved.failed


def test_many_events_from_one_thread_while_another_saves_keep_their_order(rig: Rig) -> None:
    for at in range(300):
        rig.log.add(told(), stamp(at))
        assert rig.scribe.flush(30)
        rig.scribe.save({QUEUE: Queue(run=str(at))}, stamp(at), rig.log.written_seq)
    rig.finish_saves()
    assert [event["seq"] for event in events_after(rig.disk, ROOT, 0)] == list(range(1, 301))
    loaded = rig.scribe.do(lambda store: store.load(QUEUE), 30)
    assert (loaded.payload, loaded.log_seq) == (Queue(run="299"), 300)
