"""The log of a process that dies, or whose machine does, at every operation in turn."""

import pytest

from btswarm.state.models.events import Draft
from btswarm.tests.sim.disk import Crash, FakeDisk
from btswarm.tests.state.fixtures import log_on, stamp, told
from btswarm.tests.state.test_eventlog import numbers, opened_log


@pytest.mark.parametrize("torn", [0.0, 0.3, 0.99, 1.0])
def test_a_kill_at_any_operation_loses_no_event_that_was_acknowledged(torn: float) -> None:
    at = 0
    while True:
        disk = FakeDisk()
        disk.crash_at, disk.torn = at, torn
        acknowledged = 0
        try:
            acknowledged = _write_some(disk)
        except Crash as crash:
            acknowledged = crash.args[0]
        else:
            break
        after = disk.killed()
        log = opened_log(after)
        log.add(told("again"), stamp())
        assert log.flush()
        assert numbers(after) == list(range(1, log.next_seq)), at
        assert log.next_seq > acknowledged + 1, at
        at += 1
    assert at > 20


@pytest.mark.parametrize("kept", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("zeros", [False, True])
def test_a_power_loss_at_any_operation_loses_no_event_that_was_synced(kept: float, zeros: bool) -> None:
    at = 0
    while True:
        disk = FakeDisk()
        disk.crash_at, disk.torn = at, 0.5
        try:
            _write_some(disk)
        except Crash as crash:
            synced = crash.args[1]
        else:
            break
        for names in range(len(disk.pending) + 1):
            after = disk.after_power_loss(names, kept, zeros=zeros)
            log = opened_log(after)
            log.add(told("again"), stamp())
            assert log.flush()
            assert numbers(after) == list(range(1, log.next_seq)), (at, names)
            assert log.next_seq > synced + 1, (at, names)
        at += 1


def _write_some(disk: FakeDisk) -> int:
    """Events, flushes, syncs and rotations; a Crash carries what was acknowledged and what was synced by then."""
    log = log_on(disk, rotate_bytes=700, keep=100)
    acknowledged = synced = 0
    try:
        log.open()
        for at in range(12):
            log.add(told(), stamp(at))
            if at % 2:
                log.add(Draft("clock.jumped", "host", agent="session_state_manager"), stamp(at))
            assert log.flush()
            acknowledged = log.written_seq
            if at % 2 == 0:
                synced = log.sync()
    except Crash:
        raise Crash(acknowledged, synced) from None
    return acknowledged
