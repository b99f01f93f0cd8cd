"""Rounds of the plan, fill jobs for idle lanes, first starts."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from btswarm.agents.auto_scheduler import COOLDOWN_S, FRUITLESS_COOLDOWN_S, Memory
from btswarm.state.models.actions import EnqueueJobs, SpawnWorker, StartRound
from btswarm.state.models.facts import ArtifactsView, JobView, Observation, SearchView
from btswarm.state.models.names import parse_job
from btswarm.state.models.records import Hold

from .world import (
    NOW,
    actions,
    config,
    desired,
    gpu,
    job,
    lane,
    missing,
    observation,
    progress,
    propose,
    worker,
)

ME = "auto_scheduler"
STAGES = ("preflight", "prescreen", "optimize", "validate", "report")
BEFORE: dict[str, Any] = {"swarm": {"round": 0, "run": ""}}


def enqueued(seen: Observation, memory: Any = None) -> tuple[Any, ...]:
    return tuple(one for action in actions(ME, seen, memory) if isinstance(action, EnqueueJobs) for one in action.jobs)


def round_of(number: int = 1, state: str = "done", since: float = NOW - 120.0, **changes: Any) -> list[JobView]:
    names = [f"r{number}/{symbol}/balanced/{stage}" for symbol in ("SOLUSDT", "BTCUSDT") for stage in STAGES]
    return [replace(job(name, state), since=since, **changes) for name in names]


def test_a_launched_plan_begins_with_its_first_round() -> None:
    seen = observation(**BEFORE)
    assert actions(ME, seen)[0] == StartRound(1)
    jobs = enqueued(seen)
    assert Counter(parse_job(one.job).stage for one in jobs) == dict.fromkeys(STAGES, 2)
    names = {one.job for one in jobs}
    assert all(set(one.after) <= names for one in jobs)
    first = {one.job: one for one in jobs}
    assert first["r1/SOLUSDT/balanced/preflight"].after == ()
    assert first["r1/SOLUSDT/balanced/validate"].after == ("r1/SOLUSDT/balanced/optimize",)
    assert len({one.spec.seed for one in jobs}) == len(jobs)


def test_with_many_lanes_a_study_has_several_workers() -> None:
    seen = observation(**BEFORE, lanes=[lane(f"cpu{n:03d}") for n in range(8)])
    parts = [one.job for one in enqueued(seen) if parse_job(one.job).stage == "optimize"]
    assert len(parts) == 8
    validate = next(one for one in enqueued(seen) if one.job == "r1/SOLUSDT/balanced/validate")
    assert validate.after == tuple(name for name in parts if "SOLUSDT" in name)


def test_prescreens_ask_for_a_gpu_only_where_there_is_one() -> None:
    assert not any(one.spec.gpu for one in enqueued(observation(**BEFORE)))
    stages = {parse_job(one.job).stage for one in enqueued(observation(**BEFORE, gpus=[gpu()])) if one.spec.gpu}
    assert stages == {"prescreen"}


def test_the_invented_market_has_its_own_symbol() -> None:
    plan = config(plan={"data_path": "synthetic", "modes": ["balanced"]})
    assert {one.spec.symbol for one in enqueued(observation(**BEFORE, config=plan))} == {"SYNTH"}


@pytest.mark.parametrize("life", ["idle", "drain", "restart"])
def test_nothing_begins_without_a_launch_or_while_the_swarm_ends(life: Any) -> None:
    assert actions(ME, observation(swarm={"round": 0, "desired": desired(life=life)})) == []


def test_the_next_round_begins_once_all_is_done_and_cooled_down() -> None:
    assert actions(ME, observation(jobs=round_of(since=NOW - COOLDOWN_S + 1))) == []
    assert actions(ME, observation(jobs=round_of(since=NOW - COOLDOWN_S)))[0] == StartRound(2)
    working = [*round_of()[:-1], job("r1/BTCUSDT/balanced/report")]
    assert actions(ME, observation(jobs=working)) == []


def test_a_round_that_came_to_nothing_is_not_repeated_at_once() -> None:
    fruitless = round_of(state="cancelled", since=NOW - COOLDOWN_S)
    assert actions(ME, observation(jobs=fruitless)) == []
    old = round_of(state="cancelled", since=NOW - FRUITLESS_COOLDOWN_S)
    assert actions(ME, observation(jobs=old))[0] == StartRound(2)


def test_fill_jobs_do_not_hold_a_round_open() -> None:
    fill = job("r1/SOLUSDT/balanced/prescreen.f0", spec={"lane_role": "fill"}, since=NOW - 120.0)
    assert actions(ME, observation(jobs=[*round_of(), fill]))[0] == StartRound(2)


def test_the_last_round_of_the_plan_is_the_last() -> None:
    plan = config(plan={"symbols": ["SOLUSDT", "BTCUSDT"], "modes": ["balanced"], "data_path": "/c", "rounds": 1})
    assert actions(ME, observation(jobs=round_of(), config=plan)) == []
    assert actions(ME, observation(jobs=round_of(), config=plan), Memory("f" * 64, first=0)) == []


def test_another_plan_begins_a_round_of_its_own_at_once() -> None:
    seen = observation(jobs=[job("r1/SOLUSDT/balanced/prescreen")])
    assert actions(ME, seen, Memory("e" * 64, 1))[0] == StartRound(2)
    assert actions(ME, seen, Memory("f" * 64, 1)) == []


def test_what_waits_for_a_person_neither_holds_a_round_open_nor_is_begun_again() -> None:
    held = [
        replace(one, state="held", hold=Hold("x", "bad_data", NOW, needs="mend it")) if "SOL" in one.job else one
        for one in round_of()
    ]
    assert {parse_job(one.job).symbol for one in enqueued(observation(jobs=held))} == {"BTCUSDT"}
    all_held = [replace(one, state="held", hold=Hold("x", "bad_data", NOW, needs="mend it")) for one in round_of()]
    assert actions(ME, observation(jobs=all_held)) == []


def test_a_round_whose_jobs_were_lost_gets_them_again() -> None:
    assert [type(one) for one in actions(ME, observation())] == [EnqueueJobs]


def test_the_first_round_of_all_writes_over_nobody_s_results() -> None:
    seen = observation(swarm={"round": 0, "run": ""}, artifacts=ArtifactsView(newest=12))
    asked, memory = propose(ME, seen)
    assert asked[0].action == StartRound(13)
    assert memory.first == 13


def test_what_is_spent_is_searched_no_more() -> None:
    searches = {"SOLUSDT/balanced/ema:1/0": SearchView(3, 3, spent_until="2027-02-01")}
    symbols = {parse_job(one.job).symbol for one in enqueued(observation(jobs=round_of(), searches=searches))}
    assert symbols == {"BTCUSDT"}
    both = {**searches, "BTCUSDT/balanced/ema:1/0": SearchView(3, 3, spent_until="2027-02-01")}
    assert actions(ME, observation(jobs=round_of(), searches=both)) == []


def test_only_the_newest_search_of_that_very_mode_tells_whether_it_is_spent() -> None:
    spent = {"SOLUSDT/balanced/ema:1/0": SearchView(3, 3, spent_until="2027-02-01")}
    later = {**spent, "SOLUSDT/balanced/ema:2/0": SearchView(0, 0)}
    other = {f"{symbol}/aggressive/ema:1/0": SearchView(3, 3, "2027-02-01") for symbol in ("SOLUSDT", "BTCUSDT")}
    for searches in (later, other):
        asked = enqueued(observation(jobs=round_of(), searches=searches))
        assert {parse_job(one.job).symbol for one in asked} == {"SOLUSDT", "BTCUSDT"}


def test_a_plan_launched_anew_gets_one_round_whatever_is_spent() -> None:
    searches = {f"{symbol}/balanced/ema:1/0": SearchView(3, 3, "2027-02-01") for symbol in ("SOLUSDT", "BTCUSDT")}
    seen = observation(jobs=round_of(), searches=searches)
    assert actions(ME, seen, Memory("e" * 64, 1))[0] == StartRound(2)
    assert actions(ME, seen, Memory("f" * 64, 1)) == []


def idle(lanes: int, **changes: Any) -> Observation:
    """The round is at its optimize stage; lanes have nothing to do."""
    jobs = [one for one in round_of() if parse_job(one.job).stage in ("preflight", "prescreen")]
    jobs += [
        job(f"r1/{symbol}/balanced/optimize", worker=f"cpu{n:03d}@1") for n, symbol in enumerate(("SOLUSDT", "BTCUSDT"))
    ]
    workers = [worker(one.worker, one.job, progress=progress(phase="trial", seeds=9)) for one in jobs if one.worker]
    return observation(
        **{"jobs": jobs, "workers": workers, "lanes": [lane(f"cpu{n:03d}") for n in range(lanes + 2)], **changes}
    )


def test_idle_lanes_get_small_prescreens_of_symbols_whose_preflight_passed() -> None:
    new = enqueued(idle(5))
    assert [one.job.rpartition(".")[2] for one in new] == ["f0", "f1", "f2", "f3", "f4"]
    assert {one.spec.lane_role for one in new} == {"fill"}
    assert {one.spec.volume["combos"] for one in new} == {100_000}
    assert Counter(one.spec.symbol for one in new) == {"SOLUSDT": 3, "BTCUSDT": 2}
    assert enqueued(idle(0)) == ()


def test_no_more_fill_is_asked_for_than_lanes_are_idle() -> None:
    seen = idle(3)
    waiting = [job(f"r1/SOLUSDT/balanced/prescreen.f{n}", "queued", spec={"lane_role": "fill"}) for n in range(2)]
    seen = replace(seen, jobs={**seen.jobs, **{one.job: one for one in waiting}})
    assert [one.job for one in enqueued(seen)] == ["r1/SOLUSDT/balanced/prescreen.f2"]


def test_a_fill_job_takes_at_most_a_quarter_of_an_hour_at_the_rate_that_was_seen() -> None:
    seen = idle(2)
    slow = worker("cpu009@1", "r1/SOLUSDT/balanced/prescreen.f7", progress=progress(rate=20.0))
    seen = replace(seen, workers={**seen.workers, slow.worker: slow})
    assert {one.spec.volume["combos"] for one in enqueued(seen)} == {18_000}
    blind = replace(seen, workers={**seen.workers, slow.worker: replace(slow, progress=missing())})
    assert {one.spec.volume["combos"] for one in enqueued(blind)} == {100_000}


def test_main_and_command_work_starts_by_priority_each_in_its_own_kind_of_lane() -> None:
    late, early = "r1/SOLUSDT/balanced/validate", "r1/BTCUSDT/balanced/prescreen"
    jobs = [job(early, "queued", priority=20), job(late, "queued", priority=40), job("cmd/fill.0", "queued")]
    seen = observation(jobs=jobs, lanes=[lane("cpu000"), lane("cpu001", role="command")])
    starts = [one for one in actions(ME, seen) if isinstance(one, SpawnWorker)]
    assert set(map(repr, starts)) == {repr(SpawnWorker("cpu000", late)), repr(SpawnWorker("cpu001", "cmd/fill.0"))}


def test_commands_run_without_a_plan() -> None:
    jobs, lanes = [job("cmd/fill.0", "queued")], [lane("cpu001", role="command")]
    seen = observation(jobs=jobs, lanes=lanes, swarm={"desired": desired(life="idle"), "round": 0})
    assert actions(ME, seen) == [SpawnWorker("cpu001", "cmd/fill.0")]


def test_its_memory_is_the_plan_whose_rounds_these_are() -> None:
    assert propose(ME, observation(**BEFORE))[1] == Memory("f" * 64, 1)
