"""What the run is in, what comes next, and what nobody else sees."""

from dataclasses import replace
from typing import Any

import pytest

from btswarm.agents.detectors.steps import MAINTAIN
from btswarm.state.models.actions import HoldSubject, ReleaseHold
from btswarm.state.models.facts import AgentView, DiskView, FileView, Observation, SearchView
from btswarm.state.models.records import Hold, NextStep, RunGate
from btswarm.state.models.state_files import CONTROL

from .world import (
    MONO,
    NOW,
    actions,
    config,
    desired,
    died,
    fleet,
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
    propose,
    worker,
)

ME = "session_state_manager"
SCREEN = "r1/SOLUSDT/balanced/prescreen"


def steps(seen: Observation, memory: Any = None) -> tuple[NextStep, ...]:
    found: tuple[NextStep, ...] = propose(ME, seen, memory)[1].next_steps
    return found


def working(**changes: Any) -> Observation:
    view = worker("cpu000@1", SCREEN)
    return observation(
        **{"lanes": [lane("cpu000")], "jobs": [job(SCREEN, worker=view.worker)], "workers": [view], **changes}
    )


def test_when_all_is_well_there_is_one_step() -> None:
    (step,) = steps(working())
    assert (step.id, step.action, step.actionable) == (MAINTAIN, MAINTAIN, True)
    assert MAINTAIN == "maintain_polling_and_keep_workers_saturated"
    assert "80 %" in step.expected_outcome
    assert [one.action for one in steps(fleet(5))] == [MAINTAIN]


@pytest.mark.parametrize(
    ("changes", "action", "actionable"),
    [
        ({"jobs": [], "swarm": {"round": 0, "desired": desired(life="idle")}}, "launch_plan", False),
        ({"swarm": {"desired": desired(life="drain")}}, "drain", True),
        ({"swarm": {"desired": desired(paused=("cpu000",))}}, "resume", False),
        ({"holds": hold("swarm", "budget", needs="raise budget.per_run")}, "release", False),
        ({"holds": hold("swarm", "x", until=NOW + 60)}, "retry", True),
        ({"lanes": [lane("gpu0", hold=Hold("x", "gpu_lost", NOW, NOW + 9))]}, "retry", True),
        ({"agents": [AgentView("z", quarantine=Hold("x", "agent", NOW, needs="mend it"))]}, "release", False),
        ({"incidents": incident("gpu_hung", "GPU-1")}, "retry_gpu", True),
        ({"files": [FileView(CONTROL, 99.0, True, limit_s=15.0)]}, "ensure_swarm_watchdogs", True),
    ],
)
def test_what_is_not_well_is_a_step_of_its_own(changes: dict[str, Any], action: str, *, actionable: bool) -> None:
    (step,) = steps(working(**changes))
    assert (step.action, step.actionable) == (action, actionable)
    assert step.why
    assert step.expected_outcome
    assert step.actionable or step.blocked_by
    assert len({one.id for one in steps(working(**changes))}) == 1


def test_a_job_in_its_backoff_says_when_it_runs_again() -> None:
    seen = working()
    waiting = replace(died(job(SCREEN), "cpu000@1"), not_before=NOW + 40)
    (step,) = steps(replace(seen, jobs={SCREEN: waiting}, workers={}))
    assert (step.action, step.due) == ("relaunch_job", NOW + 40)


def test_a_queue_that_cannot_start_says_why() -> None:
    seen = working(host=host(mem_free_mb=known(5.0)))
    seen = replace(seen, jobs={**seen.jobs, "r1/BTCUSDT/balanced/report": job("r1/BTCUSDT/balanced/report", "queued")})
    (step,) = steps(seen)
    assert (step.action, step.actionable) == ("start_jobs", False)
    assert "memory" in step.blocked_by[0]


def test_jobs_for_a_gpu_that_is_not_there_are_skipped_by_name() -> None:
    seen = working()
    seen = replace(seen, jobs={**seen.jobs, "r1/B/b/prescreen": job("r1/B/b/prescreen", "queued", spec={"gpu": True})})
    (step,) = steps(seen)
    assert step.action == "skip_gpu_actions_no_gpu_detected"


def test_between_rounds_it_says_what_comes() -> None:
    over = [job("r1/SOLUSDT/balanced/report", "done"), job("r1/BTCUSDT/balanced/report", "done")]
    assert [one.action for one in steps(observation(jobs=over))] == ["start_round"]
    spent = {f"{symbol}/balanced/x/1": SearchView(3, 3, "2027-02-01") for symbol in ("SOLUSDT", "BTCUSDT")}
    (idle,) = steps(observation(jobs=over, searches=spent))
    assert (idle.action, idle.actionable) == ("idle_on_command_jobs", False)
    last = config(plan={"symbols": ["SOLUSDT"], "modes": ["balanced"], "data_path": "/c", "rounds": 1})
    assert [one.actionable for one in steps(observation(jobs=over, config=last))] == [False]
    two = config(plan={"symbols": ["SOLUSDT"], "modes": ["balanced"], "data_path": "/c", "rounds": 2})
    later = [job("r9/SOLUSDT/balanced/report", "done")]
    first, second = ({"round": 9, "first": first} for first in (9, 8))
    assert [one.actionable for one in steps(observation(jobs=later, config=two, swarm=first))] == [True]
    assert [one.actionable for one in steps(observation(jobs=later, config=two, swarm=second))] == [False]


def test_conditions_have_the_names_that_scripts_look_for() -> None:
    conditions = propose(ME, working())[1].conditions
    assert conditions == {
        "skip_gpu_actions_no_gpu_detected": True,
        "knowledge_plane_not_ready": True,
        "process_efficacy_low": False,
        "latest_handoff_recent": False,
    }
    gates = (RunGate("latest_handoff_recent", "met", "HANDOFF"),)
    better = working(gpus=[gpu()], knowledge=known({"ready": True}), run_gates=gates)
    conditions = propose(ME, better)[1].conditions
    assert not conditions["skip_gpu_actions_no_gpu_detected"]
    assert not conditions["knowledge_plane_not_ready"]
    assert conditions["latest_handoff_recent"]


def disk(free_mb: Any, *, writable: bool = True, **changes: Any) -> Observation:
    return working(host=host(disk={"results": DiskView(free_mb, known(writable))}), **changes)


def test_a_full_disk_holds_the_swarm_and_lets_it_go_with_room_to_spare() -> None:
    (held,) = actions(ME, disk(known(2000.0)))
    assert isinstance(held, HoldSubject)
    assert (held.subject, held.class_, held.until) == ("swarm", "disk_full", None)
    assert held.needs
    on_hold = hold("swarm", "disk_full", needs="free space")
    assert actions(ME, disk(known(2000.0), holds=on_hold)) == []
    assert actions(ME, disk(known(2100.0), holds=on_hold)) == []
    assert actions(ME, disk(missing(), holds=on_hold)) == []
    assert actions(ME, disk(known(2300.0), holds=on_hold)) == [ReleaseHold("swarm", "disk_full")]
    assert actions(ME, disk(known(9000.0), writable=False, holds=on_hold)) == []


def test_a_hold_of_the_swarm_ends_when_its_time_has_passed() -> None:
    assert actions(ME, working(holds=hold("swarm", "x", until=NOW - 1))) == [ReleaseHold("swarm", "x")]


def test_a_queue_without_any_worker_becomes_an_incident() -> None:
    seen = observation(jobs=[job(SCREEN, "queued")], lanes=[lane("cpu000")])
    _, memory = propose(ME, seen)
    later = replace(seen, mono=MONO + 29.0)
    assert incidents(ME, later, memory) == set()
    later = replace(seen, mono=MONO + 30.0)
    assert incidents(ME, later, memory) == {("no_worker", "swarm")}
    told = replace(later, incidents=incident("no_worker", "swarm"))
    assert incidents(ME, told, memory) == set()


def test_low_use_with_a_queue_becomes_an_incident_and_without_one_does_not() -> None:
    seen = working(host=host(cpu_ours=known(20.0)))
    queued = replace(seen, jobs={**seen.jobs, "r1/B/b/report": job("r1/B/b/report", "queued")})
    for scene, expected in ((queued, {("low_utilisation", "cpu")}), (seen, set())):
        _, memory = propose(ME, scene)
        assert incidents(ME, replace(scene, mono=MONO + 600.0), memory) == expected
    _, memory = propose(ME, queued)
    blind = replace(queued, mono=MONO + 600.0, host=host(cpu_ours=missing()))
    assert incidents(ME, blind, memory) == set()


def test_workers_that_all_get_nowhere_are_an_incident() -> None:
    seen = working()
    still = replace(seen, workers={"cpu000@1": replace(seen.workers["cpu000@1"], quiet_s=1800.0)})
    assert incidents(ME, still) == {("stalled", "swarm")}
    assert incidents(ME, seen) == set()


def test_stage_and_health_tell_the_run_in_a_word() -> None:
    def told(seen: Observation) -> tuple[str, str]:
        memory = propose(ME, seen)[1]
        return memory.stage, memory.health

    assert told(working()) == ("prescreen", "ok")
    assert told(observation()) == ("idle", "ok")
    assert told(working(incidents=incident("crash", "x"))) == ("prescreen", "degraded")
    bad = {name: replace(one, state="escalated") for name, one in incident("crash", "x").items()}
    assert told(working(incidents=bad))[1] == "critical"
