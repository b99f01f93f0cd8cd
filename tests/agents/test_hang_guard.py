"""When silence is too long, and what is never done about it."""

from dataclasses import replace
from typing import Any

import pytest

from btswarm.agents.detectors.overdue import ewma, quiet_limit_s
from btswarm.agents.hang_guard import STOPS, Memory
from btswarm.state.models.actions import HoldSubject, ReleaseHold, RestartProbe, StopWorker
from btswarm.state.models.config import QuietFloor
from btswarm.state.models.facts import DiskView, Observation, ProbeView

from .world import (
    MONO,
    NOW,
    UUID,
    actions,
    gpu,
    hold,
    host,
    incident,
    incidents,
    job,
    known,
    lane,
    missing,
    observation,
    progress,
    propose,
    stopping,
    worker,
)

ME = "hang_guard"
SCREEN = "r1/SOLUSDT/balanced/prescreen"
STUCK, STOPPED = StopWorker("cpu000@2", 2, "stuck"), StopWorker("cpu000@2", 3, "stopped")


def silent(name: str = SCREEN, **changes: Any) -> Observation:
    """A worker with a quiet limit of 60 s."""
    view = worker("cpu000@2", name, **{"quiet_s": 61.0, "quiet_cpu_s": known(0.1), **changes})
    return observation(lanes=[lane("cpu000")], jobs=[job(name, worker=view.worker)], workers=[view])


@pytest.mark.parametrize(
    ("changes", "stuck"),
    [
        ({"quiet_s": 59.0}, False),
        ({"quiet_cpu_s": known(0.60)}, True),
        ({"quiet_cpu_s": known(0.62)}, False),
        ({"quiet_cpu_s": known(61.0), "quiet_s": 239.0}, False),
        ({"quiet_cpu_s": known(240.0), "quiet_s": 240.0}, True),
        ({"quiet_cpu_s": missing()}, False),
        ({"quiet_cpu_s": missing(), "quiet_s": 241.0}, True),
        ({"quiet_cpu_s": missing(), "quiet_s": 241.0, "proc_state": missing()}, False),
        ({"progress": missing()}, False),
        ({"progress": missing(), "state": "starting"}, True),
        ({"name": "cmd/fill.0", "quiet_s": 9999.0}, False),
    ],
)
def test_stuck_is_one_limit_without_cpu_or_four_whatever_the_cpu_says(changes: dict[str, Any], *, stuck: bool) -> None:
    assert actions(ME, silent(**changes)) == [STUCK] * stuck


@pytest.mark.parametrize("name", [SCREEN, "cmd/fill.0"])
def test_any_worker_that_was_stopped_for_thirty_seconds_is_killed(name: str) -> None:
    view = {"quiet_s": 0.0, "proc_state": known("T")}
    assert actions(ME, silent(name, **view, stopped_s=29.0)) == []
    assert actions(ME, silent(name, **view, stopped_s=30.0)) == [STOPPED]
    assert incidents(ME, silent(name, **view, stopped_s=30.0)) == {("stuck", "cpu000@2")}


def test_an_incident_is_told_once_and_the_stop_asked_for_until_it_begins() -> None:
    told = replace(silent(), incidents=incident("stuck", "cpu000@2"))
    assert incidents(ME, told) == set()
    assert actions(ME, told) == [STUCK]
    assert actions(ME, replace(told, workers={"cpu000@2": stopping(told.workers["cpu000@2"])})) == []


def test_after_an_absence_of_the_daemon_nobody_is_stuck() -> None:
    assert actions(ME, replace(silent(), gap_s=15.1)) == []


@pytest.mark.parametrize(
    "changes", [{"log_backlog": 1}, {"disk": {"results": DiskView(known(0.0), known(False))}}], ids=["log", "disk"]
)
def test_a_worker_that_cannot_write_its_progress_is_not_stuck(changes: dict[str, Any]) -> None:
    assert actions(ME, replace(silent(), host=host(**changes))) == []


def test_when_everything_seems_stuck_only_some_are_stopped_in_one_cycle() -> None:
    views = [worker(f"cpu{n:03d}@1", f"{SCREEN}.f{n}", quiet_s=90.0, quiet_cpu_s=known(0.0)) for n in range(40)]
    stops = actions(ME, observation(workers=views, jobs=[job(view.job) for view in views]))
    assert [one.worker for one in stops if isinstance(one, StopWorker)] == [view.worker for view in views[:STOPS]]


def test_the_quiet_limit_is_the_largest_of_floor_habit_and_hint() -> None:
    floors = QuietFloor()
    assert quiet_limit_s(floors, "batch", None, None) == 60
    assert quiet_limit_s(floors, "trial", None, None) == 300
    assert quiet_limit_s(floors, "batch", 10.0, 30.0) == 80
    assert quiet_limit_s(floors, "batch", 10.0, 50.0) == 100
    assert ewma(ewma(None, 10.0), 20.0) == 12.0


@pytest.mark.parametrize(("state", "class_"), [("hung", "gpu_hung"), ("lost", "gpu_lost"), ("detached", "gpu_lost")])
def test_a_device_that_is_ill_is_held_and_tried_again_half_open(state: str, class_: str) -> None:
    ill, well = gpu(state=known(state)), gpu()
    seen = observation(gpus=[ill])
    (held,) = actions(ME, seen)
    assert isinstance(held, HoldSubject)
    assert (held.subject, held.class_, held.until) == (UUID, class_, NOW + 600)
    assert incidents(ME, seen) == {(class_, UUID)}
    waiting, over = hold(UUID, class_, until=NOW + 5), hold(UUID, class_, until=NOW - 5)
    assert actions(ME, observation(gpus=[ill], holds=waiting)) == []
    assert actions(ME, observation(gpus=[well], holds=waiting)) == []
    assert actions(ME, observation(gpus=[well], holds=over)) == [ReleaseHold(UUID, class_)]
    assert actions(ME, observation(gpus=[ill], holds=over)) == [held]


def test_a_fatal_xid_holds_the_device_once_and_an_application_error_does_not() -> None:
    asked, memory = propose(ME, observation(gpus=[gpu(xid=known(79))]))
    assert {one.kind for one in asked} == {"OpenIncident", "Hold"}
    assert actions(ME, observation(gpus=[gpu(xid=known(79))]), memory) == []
    assert actions(ME, observation(gpus=[gpu(xid=known(13))])) == []


def test_a_device_that_nobody_can_read_is_told_of_and_nothing_else() -> None:
    seen = observation(gpus=[gpu(state=missing(), util_pct=missing())])
    assert actions(ME, seen) == []
    assert incidents(ME, seen) == {("probe", UUID)}


def test_a_silent_probe_is_restarted_with_growing_waits_until_it_is_given_up() -> None:
    def at(mono: float, restarts: int, memory: Any) -> tuple[list[Any], Any]:
        probe = ProbeView("gpu", "silent", NOW - 99.0, restarts)
        asked, memory = propose(ME, replace(observation(probes=[probe]), mono=mono), memory)
        return [one.action for one in asked if one.kind == "RestartProbe"], memory

    asked, memory = at(MONO, 0, Memory())
    assert asked == [RestartProbe("gpu")]
    asked, memory = at(MONO + 3.9, 2, memory)
    assert asked == []
    asked, memory = at(MONO + 4.0, 2, memory)
    assert asked == [RestartProbe("gpu")]
    gone = observation(probes=[ProbeView("gpu", "given_up", NOW - 99.0, 9)])
    assert actions(ME, gone, memory) == []
    assert incidents(ME, gone, memory) == {("probe", "gpu")}


def test_a_worker_at_work_is_left_alone() -> None:
    assert propose(ME, silent(quiet_s=3.0, progress=progress()))[0] == []
