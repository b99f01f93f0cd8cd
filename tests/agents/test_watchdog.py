"""State files, the control plane's own agents, and the room to write."""

from dataclasses import replace
from typing import Any

import pytest

from btswarm.state.models.actions import RebuildBallast, ReleaseBallast, RestoreState, RewriteState
from btswarm.state.models.facts import AgentView, DiskView, FileView, Observation
from btswarm.state.models.records import Hold
from btswarm.state.models.state_files import CONTROL

from .world import NOW, actions, host, incident, incidents, known, missing, observation, propose

ME = "watchdog"


def file(**changes: Any) -> Observation:
    return observation(files=[replace(FileView(CONTROL, 2.0, True, limit_s=15.0), **changes)])


@pytest.mark.parametrize("fault", ["deleted", "unreadable", "torn", "edited", "wrong_owner", "wrong_mode"])
def test_a_state_file_that_was_tampered_with_is_written_again_and_told_of(fault: str) -> None:
    seen = file(valid=False, fault=fault)
    assert actions(ME, seen) == [RewriteState(CONTROL)]
    assert incidents(ME, seen) == {("state_file", CONTROL)}
    assert incidents(ME, replace(seen, incidents=incident("state_file", CONTROL))) == set()
    assert "ensure_swarm_watchdogs" in propose(ME, seen)[0][-1].reason


def test_a_file_that_was_not_written_for_too_long_is_written_unless_we_were_away() -> None:
    assert actions(ME, file(age_s=14.0)) == []
    assert actions(ME, file(age_s=16.0)) == [RewriteState(CONTROL)]
    assert propose(ME, replace(file(age_s=900.0), gap_s=890.0))[0] == []


def test_a_file_of_a_newer_version_is_told_of_and_not_touched() -> None:
    seen = file(valid=False, fault="newer")
    assert actions(ME, seen) == []
    assert incidents(ME, seen) == {("state_file", CONTROL)}


def test_a_disk_that_is_late_is_nobodys_fault_until_it_has_been_silent_for_ten_seconds() -> None:
    seen = file(valid=False, fault="unanswered")
    assert propose(ME, seen)[0] == []
    late = replace(file(age_s=60.0), host=host(disk_silent_s=9.9))
    assert propose(ME, late)[0] == []
    silent = replace(seen, host=host(disk_silent_s=10.0))
    assert actions(ME, silent) == []
    assert incidents(ME, silent) == {("disk_silent", "state")}
    assert incidents(ME, replace(silent, incidents=incident("disk_silent", "state"))) == set()


def test_a_memory_that_only_a_copy_knows_is_restored_and_one_in_use_is_written_again() -> None:
    torn = FileView("operation_hang_guard_state.json", None, False, "torn")
    for runs, expected in ((0, RestoreState(torn.name)), (5, RewriteState(torn.name))):
        agents = [AgentView("hang_guard", runs=runs, cycle=1000, at=NOW)]
        assert actions(ME, observation(files=[torn], agents=agents)) == [expected]


def test_an_agent_that_no_longer_runs_is_an_incident_unless_it_is_set_aside() -> None:
    late = AgentView("someone", runs=7, cycle=900, at=NOW - 60.0)
    aside = replace(late, quarantine=Hold("x", "agent", NOW, needs="mend it"))
    assert incidents(ME, observation(agents=[late])) == {("agent", "someone")}
    assert incidents(ME, observation(agents=[aside])) == set()
    assert incidents(ME, observation(agents=[replace(late, at=NOW - 1.0)])) == set()


def disk(free_mb: Any, ballast_mb: Any = None, *, writable: bool = True, backlog: int = 0) -> Observation:
    roots = {"state": DiskView(free_mb, known(writable))}
    return observation(host=host(disk=roots, ballast_mb=ballast_mb or known(256.0), log_backlog=backlog))


def test_the_ballast_goes_when_nothing_can_be_written_and_comes_back_with_room_twice_over() -> None:
    assert actions(ME, disk(known(63.0))) == [ReleaseBallast()]
    assert actions(ME, disk(known(5000.0), writable=False)) == [ReleaseBallast()]
    assert actions(ME, disk(known(5000.0), backlog=1)) == [ReleaseBallast()]
    assert actions(ME, disk(known(10.0), known(0.0))) == []
    assert actions(ME, disk(known(2300.0), known(0.0))) == []
    assert actions(ME, disk(known(2600.0), known(0.0))) == [RebuildBallast()]


def test_a_disk_below_its_floor_is_an_incident_and_one_that_cannot_be_read_is_not() -> None:
    assert incidents(ME, disk(known(2000.0))) == {("disk_full", "state")}
    assert propose(ME, disk(missing(), missing()))[0] == []


def test_it_is_silent_when_all_is_well() -> None:
    assert propose(ME, file())[0] == []
