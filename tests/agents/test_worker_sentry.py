"""What worker_sentry does about workers that are wrong and jobs whose worker is gone."""

from dataclasses import replace
from typing import Any

import pytest

from btswarm.agents.worker_sentry import FALLBACKS, Memory
from btswarm.state.models.actions import (
    HoldSubject,
    OpenIncident,
    ReleaseHold,
    RepairStorage,
    ReplaceJob,
    SpawnWorker,
    StopWorker,
)
from btswarm.state.models.facts import AgentView, ExitView, Observation
from btswarm.state.models.records import Attempt, Bucket, Hold

from .world import (
    MONO,
    NOW,
    UUID,
    actions,
    desired,
    died,
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

ME = "worker_sentry"
SCREEN, OPTIMIZE = "r1/SOLUSDT/balanced/prescreen", "r1/SOLUSDT/balanced/optimize"
COMMAND = "cmd/fill.0"


def after_death(class_: str = "crash", name: str = SCREEN, **changes: Any) -> Observation:
    """One job queued again after a death in cpu003, with two lanes free."""
    lanes = [lane("cpu001"), lane("cpu003", gen=1)]
    return observation(**{"lanes": lanes, "jobs": [died(job(name), "cpu003@1", class_)], **changes})


def at_work(name: str = SCREEN, *, spec: dict[str, Any] | None = None, **changes: Any) -> Observation:
    place = "gpu0" if spec and spec.get("gpu") else "cpu000"
    view = worker(f"{place}@2", name, **changes)
    gpus = [gpu()] if place == "gpu0" else []
    return observation(
        lanes=[lane(place, gen=2)], jobs=[job(name, spec=spec, worker=view.worker)], workers=[view], gpus=gpus
    )


def test_a_job_whose_worker_died_runs_again_in_the_lane_it_had() -> None:
    assert actions(ME, after_death()) == [SpawnWorker("cpu003", SCREEN)]


def test_another_lane_serves_while_its_own_is_taken() -> None:
    seen = after_death()
    other = worker("cpu003@2", OPTIMIZE)
    jobs = {**seen.jobs, OPTIMIZE: job(OPTIMIZE, worker=other.worker)}
    seen = replace(seen, workers={other.worker: other}, jobs=jobs)
    assert actions(ME, seen) == [SpawnWorker("cpu001", SCREEN)]


def test_a_job_waits_out_its_backoff() -> None:
    seen = after_death()
    waiting = replace(seen.jobs[SCREEN], not_before=NOW + 3.0)
    assert actions(ME, replace(seen, jobs={SCREEN: waiting})) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"swarm": {"desired": desired(life="drain")}},
        {"swarm": {"desired": desired(life="restart")}},
        {"swarm": {"desired": desired(paused=("swarm",))}},
        {"swarm": {"desired": desired(paused=(SCREEN,))}},
        {"swarm": {"desired": desired(cancel=(SCREEN,))}},
        {"holds": hold("swarm", "disk_full", needs="free space")},
        {"host": host(log_backlog=1)},
        {"host": host(mem_free_mb=known(10.0))},
        {"host": host(disk={"state": replace(host().disk["state"], free_mb=known(3.0))})},
        {"host": host(disk={"state": replace(host().disk["state"], free_mb=missing())})},
        {"host": host(pids_max=100, pids_used=known(90))},
        {"host": host(mem_mb=1500)},
        {"lanes": [lane("cpu003", state="draining"), lane("cpu001", hold=Hold("x", "crash", NOW, NOW + 9))]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_nothing_starts_while_something_forbids_it(changes: dict[str, Any]) -> None:
    assert not [one for one in actions(ME, after_death(**changes)) if isinstance(one, SpawnWorker)]


def test_no_more_starts_are_asked_for_than_the_spawn_bucket_holds() -> None:
    jobs = [died(job(f"cmd/fill.{n}"), f"cpu{n:03d}@1") for n in range(9)]
    lanes = [lane(f"cpu{n:03d}", role="command") for n in range(9)]
    seen = observation(jobs=jobs, lanes=lanes)
    low = replace(seen, buckets=replace(seen.buckets, spawn=Bucket(1.5, MONO - 0.1)))
    assert len(actions(ME, low)) == 3
    assert len(actions(ME, seen)) == 9


def test_a_device_that_nobody_can_read_gets_no_new_worker() -> None:
    name = SCREEN
    for state, expected in ((known("ok"), 1), (known("hung"), 0), (missing(), 0)):
        seen = observation(
            lanes=[lane("gpu0")],
            jobs=[died(job(name, spec={"gpu": True}), "gpu0@1")],
            gpus=[gpu(state=state)],
        )
        assert len(actions(ME, seen)) == expected


def test_a_gpu_lane_is_free_only_once_its_memory_was_seen_to_return() -> None:
    seen = observation(
        lanes=[lane("gpu0")],
        jobs=[died(job(SCREEN, spec={"gpu": True}), "gpu0@1")],
        gpus=[gpu()],
        workers=[worker("gpu0@1", SCREEN, "exited")],
    )
    assert actions(ME, seen) == []


def test_a_torn_study_is_repaired_before_its_job_runs_again() -> None:
    seen = after_death("storage", OPTIMIZE)
    (open_,) = incident("storage", OPTIMIZE).values()

    def asked(state: str, **changes: Any) -> list[Any]:
        return actions(ME, replace(seen, incidents={open_.incident: replace(open_, state=state, **changes)}))  # type: ignore[arg-type]

    assert asked("classified") == [RepairStorage(OPTIMIZE)]
    assert asked("executed") == []
    (held,) = asked("escalated", why="nobody can", needs="end process 7")
    assert (held.subject, held.class_, held.needs) == (OPTIMIZE, "storage", f"end process 7; then release {OPTIMIZE}")
    assert actions(ME, seen) == [SpawnWorker("cpu003", OPTIMIZE)]


@pytest.mark.parametrize(
    ("wish", "reason", "rung"),
    [
        ({"life": "drain"}, "drain", 1),
        ({"draining": ("cpu000",)}, "drain", 1),
        ({"paused": (SCREEN,)}, "pause", 1),
        ({"paused": ("swarm",)}, "pause", 1),
        ({"cancel": (SCREEN,)}, "cancel", 1),
    ],
)
def test_what_people_ask_for_stops_workers_gently(wish: dict[str, Any], reason: str, rung: int) -> None:
    seen = at_work()
    seen = replace(seen, swarm=replace(seen.swarm, desired=desired(**wish)))
    assert actions(ME, seen) == [StopWorker("cpu000@2", rung, reason)]  # type: ignore[arg-type]
    ladder = {"cpu000@2": stopping(seen.workers["cpu000@2"])}
    assert actions(ME, replace(seen, workers=ladder)) == []


def test_a_restart_of_the_daemon_leaves_workers_alone() -> None:
    seen = at_work()
    assert actions(ME, replace(seen, swarm=replace(seen.swarm, desired=desired(life="restart")))) == []


def test_of_two_workers_on_one_job_the_one_that_is_not_its_own_is_killed() -> None:
    seen = at_work()
    twin = worker("cpu001@1", SCREEN)
    seen = replace(seen, workers={**seen.workers, twin.worker: twin}, lanes={**seen.lanes, "cpu001": lane("cpu001")})
    assert actions(ME, seen) == [StopWorker("cpu001@1", 3, "twin")]


def test_a_gpu_job_on_the_cpu_is_stopped_told_and_held_the_second_time() -> None:
    seen = at_work(spec={"gpu": True}, progress=progress(backend="cpu"))
    asked, memory = propose(ME, seen)
    assert [type(one.action) for one in asked] == [OpenIncident, StopWorker]
    assert asked[1].action == StopWorker("gpu0@2", 1, "fallback")
    memory = replace(memory, fallbacks={SCREEN: FALLBACKS})
    again = died(job(SCREEN, spec={"gpu": True}), "gpu0@2", "stopped")
    held, memory = propose(ME, replace(seen, workers={}, jobs={SCREEN: again}), memory)
    holds = [one.action for one in held if isinstance(one.action, HoldSubject)]
    assert [(one.subject, one.class_, one.until) for one in holds] == [(SCREEN, "cpu_fallback", NOW + 600)]
    assert not [one for one in actions(ME, replace(seen, workers={}, jobs={SCREEN: again}), memory) if one in holds]


def test_a_worker_that_claims_memory_its_device_does_not_show_is_not_on_it() -> None:
    late = replace(gpu(), mem_used_mb=replace(known(100.0), at=MONO + 1.0))
    seen = at_work(spec={"gpu": True}, progress=progress(backend="cuda", device="0", gpu_mem_mb=900, rate=9000.0))
    assert actions(ME, seen) == []
    assert actions(ME, replace(seen, gpus={UUID: late})) == [StopWorker("gpu0@2", 1, "fallback")]


def test_a_job_over_its_budget_is_stopped_by_time_that_no_clock_jump_moves() -> None:
    seen = at_work()
    _, memory = propose(ME, seen)
    jumped = replace(seen, now=NOW + 1e6)
    assert actions(ME, jumped, memory) == []
    later = replace(seen, mono=MONO + 3601.0)
    assert actions(ME, later, memory) == [StopWorker("cpu000@2", 1, "budget")]
    assert incidents(ME, later, memory) == {("over_budget", "cpu000@2")}
    told = replace(later, incidents=incident("over_budget", "cpu000@2"))
    assert incidents(ME, told, memory) == set()


def test_a_command_has_no_budget() -> None:
    seen = at_work(COMMAND)
    _, memory = propose(ME, seen)
    assert actions(ME, replace(seen, mono=MONO + 1e6), memory) == []


def left(class_: str, volume: dict[str, int] | None = None, **workers: Any) -> Observation:
    """A job that its worker left and that was not queued again."""
    made = died(job(SCREEN, spec={"volume": volume or {}}), "cpu000@2", class_)
    return observation(jobs=[replace(made, state="running", worker="cpu000@2")], **workers)


def test_a_job_that_was_over_budget_is_replaced_by_half_of_it() -> None:
    assert actions(ME, left("over_budget")) == [ReplaceJob(SCREEN, {"combos": 125_000})]
    assert actions(ME, left("over_budget", {"combos": 3000})) == [ReplaceJob(SCREEN, {"combos": 1500})]


def test_what_cannot_be_halved_any_more_waits_for_a_person() -> None:
    (held,) = actions(ME, left("over_budget", {"combos": 1000}))
    assert isinstance(held, HoldSubject)
    assert held.until is None
    assert held.needs


def test_a_batch_that_did_not_fit_the_device_is_halved() -> None:
    ended = worker("cpu000@2", SCREEN, "exited", exit=known(ExitView(72, "cuda_oom", batch=8192)))
    assert actions(ME, left("cuda_oom", workers=[ended])) == [ReplaceJob(SCREEN, {"batch": 4096})]


def gpu_ends(*classes: str, since: float = NOW - 1000.0) -> Observation:
    ends = tuple(Attempt(f"gpu0@{n}", one, 76, 0, NOW - 100.0 + n) for n, one in enumerate(classes, 1))
    made = replace(job(SCREEN, "queued", spec={"gpu": True}), attempts=ends, tries=len(ends), not_before=NOW + 99)
    return observation(lanes=[lane("gpu0", since=since)], jobs=[made], gpus=[gpu()])


@pytest.mark.parametrize(
    ("classes", "held"),
    [
        (("gpu_lost",), True),
        (("cuda_context",), False),
        (("cuda_context", "cuda_context"), True),
        (("cuda_context", "crash", "cuda_context"), False),
        (("crash", "crash", "crash"), False),
    ],
)
def test_a_lane_is_set_aside_after_the_deaths_its_class_allows(classes: tuple[str, ...], *, held: bool) -> None:
    holds = [one for one in actions(ME, gpu_ends(*classes)) if isinstance(one, HoldSubject)]
    assert [(one.subject, one.class_, one.until) for one in holds] == [("gpu0", classes[-1], NOW + 600)] * held


def test_a_lane_that_was_opened_again_has_a_try_before_it_is_set_aside_again() -> None:
    assert actions(ME, gpu_ends("gpu_lost", since=NOW - 1.0)) == []


def test_holds_end_when_their_time_has_passed_and_when_a_person_says_so() -> None:
    over, wait = Hold("x", "poison", NOW - 9, NOW - 1), Hold("x", "bad_config", NOW - 9, needs="mend it")
    jobs = [job(SCREEN, "held", hold=over), job(OPTIMIZE, "held", hold=wait)]
    lanes = [lane("gpu0", state="quarantined", hold=replace(over, class_="gpu_lost"))]
    agents = [AgentView("someone", quarantine=Hold("x", "agent", NOW, needs="mend it"))]
    seen = observation(jobs=jobs, lanes=lanes, agents=agents)
    assert set(map(repr, actions(ME, seen))) == {
        repr(ReleaseHold(SCREEN, "poison")),
        repr(ReleaseHold("gpu0", "gpu_lost")),
    }
    wanted = replace(seen, swarm=replace(seen.swarm, desired=desired(release=(OPTIMIZE, "someone"))))
    assert ReleaseHold(OPTIMIZE, "bad_config") in actions(ME, wanted)
    assert ReleaseHold("someone", "agent") in actions(ME, wanted)


def test_trials_without_seeds_are_an_incident() -> None:
    seen = at_work(OPTIMIZE, progress=progress(phase="trial", seeds=0))
    assert incidents(ME, seen) == {("no_seeds", "cpu000@2")}
    assert incidents(ME, at_work(OPTIMIZE, progress=progress(phase="trial", seeds=40))) == set()


@pytest.mark.parametrize("state", ["starting", "running"])
def test_an_optimizer_that_has_loaded_no_seeds_by_the_end_of_its_time_to_start_is_an_incident(state: str) -> None:
    def loading(start_due: float, **more: Any) -> Observation:
        record = {"state": state, "start_due": start_due}
        return at_work(OPTIMIZE, progress=progress(phase="load", **more), record=record)

    assert incidents(ME, loading(NOW + 1.0)) == set()
    assert incidents(ME, loading(NOW)) == {("no_seeds", "cpu000@2")}
    assert incidents(ME, loading(NOW, seeds=40)) == set()
    assert incidents(ME, at_work(OPTIMIZE, progress=missing())) == set()


def test_a_gpu_slower_than_expected_or_than_itself_is_an_incident() -> None:
    def at(rate: float, memory: Memory | None = None) -> set[tuple[str, str]]:
        seen = at_work(spec={"gpu": True}, progress=progress(backend="cuda", device="0", rate=rate))
        return incidents(ME, seen, memory)

    assert at(8400.0) == set()
    assert at(8200.0) == {("slow_kernel", "gpu0@2")}
    assert at(20_000.0, Memory(best={UUID: 50_000.0})) == {("slow_kernel", "gpu0@2")}


def test_workers_of_another_build_finish_and_are_told_of_once() -> None:
    seen = at_work(record={"build": "0"})
    assert actions(ME, seen) == []
    assert incidents(ME, seen) == {("drift", "swarm")}
