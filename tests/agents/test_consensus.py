"""Who wins, how much is done, and what the dispatch looks like then."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.agents.consensus import CAPS, PRECEDENCE, Hour, deviation, efficiency, performance, rank
from btswarm.agents.main_orchestrator import ladder_s
from btswarm.state.models.actions import (
    MAX_SPAWNS,
    RULES,
    Action,
    Decision,
    EnqueueJobs,
    HoldSubject,
    NewJob,
    OpenIncident,
    Order,
    Proposal,
    ReleaseBallast,
    ReleaseHold,
    ReplaceJob,
    RewriteState,
    SetLanes,
    SpawnWorker,
    StartRound,
    StopWorker,
    subject_of,
)
from btswarm.state.models.facts import FileView, Observation
from btswarm.state.models.records import Bucket, JobSpec

from .world import (
    MONO,
    NOW,
    ROSTER,
    UUID,
    desired,
    gpu,
    hold,
    host,
    job,
    known,
    lane,
    missing,
    observation,
    progress,
    stopping,
    worker,
)

JOBS = [f"r1/S{n}USDT/balanced/prescreen" for n in range(4)]
WORKERS = [f"cpu{n:03d}@1" for n in range(4)]
LANES = [f"cpu{n:03d}" for n in range(4)]


def world(**changes: Any) -> Observation:
    workers = [worker(name, job) for name, job in zip(WORKERS, JOBS, strict=True)]
    jobs = [job(name, worker=place) for name, place in zip(JOBS, WORKERS, strict=True)]
    return observation(**{"workers": workers, "jobs": jobs, "lanes": [*map(lane, LANES), lane("gpu0")], **changes})


def asks(agent: str, action: Action, subject: str = "") -> Proposal:
    return Proposal(agent, action, subject or subject_of(action), "for a test", ("x",))


def decide(proposals: list[Proposal], seen: Observation | None = None) -> Decision:
    return ROSTER.arbiter.arbitrate(seen or world(), proposals, ROSTER.arbiter.fresh())[0]


def dispatch(decision: Decision, seen: Observation | None = None) -> tuple[Order, ...]:
    orders: tuple[Order, ...] = ROSTER.dispatcher.dispatch(seen or world(), decision, ROSTER.dispatcher.fresh())[0]
    return orders


SPAWN = asks("worker_sentry", SpawnWorker("cpu000", JOBS[0]), "cpu000")
FILL = asks("util_controller", SpawnWorker("cpu000", JOBS[1]), "cpu000")
STUCK = asks("hang_guard", StopWorker(WORKERS[0], 2, "stuck"))
PAUSE = asks("worker_sentry", StopWorker(WORKERS[0], 1, "pause"))
SCALE = asks("util_controller", SetLanes("cpu", 4))
TELL = asks("hang_guard", OpenIncident("stuck", WORKERS[0]))
REWRITE = asks("watchdog", RewriteState("workers.json"))
DISK = asks("session_state_manager", HoldSubject("swarm", "disk_full", "full", needs="room"))


@pytest.mark.parametrize(
    ("first", "second"),
    [(PAUSE, DISK), (DISK, STUCK), (STUCK, REWRITE), (REWRITE, SPAWN), (SPAWN, SCALE), (SCALE, TELL)],
)
def test_precedence_is_a_persons_word_then_safety_stops_repairs_starts_scale_and_notes(
    first: Proposal, second: Proposal
) -> None:
    assert rank(first) < rank(second)


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (PAUSE, STUCK),
        (STUCK, SPAWN),
        (DISK, SPAWN),
        (SPAWN, asks("auto_scheduler", SpawnWorker("cpu001", JOBS[0]), "cpu001")),
        (asks("hang_guard", HoldSubject(UUID, "gpu_hung", "x", until=NOW + 9)),
         asks("auto_scheduler", SpawnWorker("gpu0", JOBS[1]), "gpu0")),
        (asks("worker_sentry", HoldSubject(JOBS[0], "x", "x", until=NOW + 9)),
         asks("worker_sentry", ReleaseHold(JOBS[0], "y"))),
    ],
)  # fmt: skip
def test_the_loser_of_a_conflict_is_refused_with_the_winners_name(winner: Proposal, loser: Proposal) -> None:
    for proposals in ([winner, loser], [loser, winner]):
        decision = decide(proposals)
        assert decision.accepted == (winner,)
        (refusal,) = decision.refused
        assert refusal.proposal == loser
        assert winner.agent in refusal.why


def test_a_note_stands_beside_the_action_it_tells_of() -> None:
    assert set(decide([STUCK, TELL]).accepted) == {STUCK, TELL}


def test_two_agents_conflict_and_the_dispatch_changes() -> None:
    """The scheduler would start a job where the guard finds a worker stuck: the stop goes out, the start waits."""
    start = asks("auto_scheduler", SpawnWorker("cpu000", JOBS[3]), "cpu000")
    alone, together = decide([start]), decide([start, STUCK, TELL])
    assert [one.kind for one in dispatch(alone)] == ["SpawnWorker"]
    orders = dispatch(together)
    assert [(one.n, one.kind, one.after) for one in orders] == [(1, "OpenIncident", ()), (2, "StopWorker", (1,))]
    waiting = ROSTER.dispatcher.dispatch(world(), together, ROSTER.dispatcher.fresh())[1].waiting
    assert [(one.action, one.subject, one.agent) for one in waiting] == [("SpawnWorker", "cpu000", "auto_scheduler")]
    assert "hang_guard" in waiting[0].blocked_by


def test_no_more_than_thirty_two_spawn_in_a_cycle_nor_than_the_bucket_holds() -> None:
    many = [asks("worker_sentry", SpawnWorker(f"cpu{n:03d}", f"cmd/fill.{n}"), f"cpu{n:03d}") for n in range(40)]
    decision = decide(many)
    assert (len(decision.accepted), len(decision.refused)) == (MAX_SPAWNS, 8)
    low = world()
    low = replace(low, buckets=replace(low.buckets, spawn=Bucket(3.0, MONO)))
    assert len(decide(many, low).accepted) == 3


def test_lanes_change_at_most_so_often_an_hour() -> None:
    empty = world()
    empty = replace(empty, buckets=replace(empty.buckets, flap=Bucket(0.5, MONO)))
    assert decide([SCALE], empty).accepted == ()
    later = replace(empty, mono=MONO + 120.0)
    assert decide([SCALE], later).accepted == (SCALE,)


@pytest.mark.parametrize(
    "wish", [{"life": "drain"}, {"paused": ("swarm",)}, {"paused": (JOBS[0],)}, {"cancel": (JOBS[0],)}]
)
def test_nothing_starts_against_what_people_asked_for(wish: dict[str, Any]) -> None:
    seen = world()
    assert decide([SPAWN], replace(seen, swarm=replace(seen.swarm, desired=desired(**wish)))).accepted == ()


ANY_ACTION = st.one_of(
    st.builds(SpawnWorker, st.sampled_from(LANES), st.sampled_from(JOBS)),
    st.builds(StopWorker, st.sampled_from(WORKERS), st.sampled_from([1, 2]), st.sampled_from(["pause", "stuck"])),
    st.builds(SetLanes, st.sampled_from(["cpu", "gpu"]), st.integers(0, 9)),
    st.builds(lambda one, c: HoldSubject(one, c, "x", until=NOW + 9), st.sampled_from([*JOBS, *LANES, "swarm"]),
              st.sampled_from(["disk_full", "crash"])),
    st.builds(ReleaseHold, st.sampled_from([*JOBS, *LANES]), st.just("crash")),
    st.builds(lambda n: EnqueueJobs((NewJob(JOBS[n], JobSpec()),)), st.integers(0, 3)),
    st.builds(StartRound, st.integers(1, 3)),
    st.builds(OpenIncident, st.just("stuck"), st.sampled_from(WORKERS)),
    st.builds(ReplaceJob, st.sampled_from(JOBS), st.just({"combos": 5})),
    st.builds(ReleaseBallast),
)  # fmt: skip
PROPOSALS = st.lists(
    st.builds(asks, st.sampled_from(["worker_sentry", "hang_guard", "util_controller"]), ANY_ACTION), max_size=60
)


@settings(max_examples=60, deadline=None)
@given(proposals=PROPOSALS, chance=st.randoms(use_true_random=False))
def test_arbitration_is_order_free_loses_nothing_and_keeps_its_caps(proposals: list[Proposal], chance: Any) -> None:
    decision = decide(proposals)
    mixed = list(proposals)
    chance.shuffle(mixed)
    other = decide(mixed)
    assert list(map(repr, decision.accepted)) == list(map(repr, other.accepted))
    assert Counter(map(repr, decision.refused)) == Counter(map(repr, other.refused))
    heard = [*decision.accepted, *(one.proposal for one in decision.refused)]
    assert Counter(map(repr, heard)) == Counter(map(repr, proposals))
    assert all(one.why for one in decision.refused)
    kinds = Counter(one.kind for one in decision.accepted)
    assert all(kinds[cap.kind] <= cap.most for cap in CAPS)
    lanes = [one.action.lane for one in decision.accepted if isinstance(one.action, SpawnWorker)]
    jobs = [one.action.job for one in decision.accepted if isinstance(one.action, SpawnWorker)]
    assert len(set(lanes)) == len(lanes)
    assert len(set(jobs)) == len(jobs)
    assert [rank(one) for one in decision.accepted] == sorted(map(rank, decision.accepted))


@settings(max_examples=60, deadline=None)
@given(proposals=PROPOSALS)
def test_every_accepted_proposal_becomes_one_order_that_waits_for_earlier_ones_only(proposals: list[Proposal]) -> None:
    decision = decide(proposals)
    orders = dispatch(decision)
    assert [one.n for one in orders] == list(range(1, len(orders) + 1))
    assert Counter(repr(one.action) for one in orders) == Counter(repr(one.action) for one in decision.accepted)
    assert all(n < one.n for one in orders for n in one.after)
    assert all(one.done_when == RULES[one.kind].done_when and one.due >= MONO for one in orders)


def test_what_needs_another_order_comes_after_it() -> None:
    round_, jobs = (
        asks("auto_scheduler", StartRound(2), "swarm"),
        asks("auto_scheduler", EnqueueJobs((NewJob("r2/A/b/c", JobSpec()),)), "r2"),
    )
    replace_, ballast = asks("worker_sentry", ReplaceJob(JOBS[0], {})), asks("watchdog", ReleaseBallast(), "ballast")
    orders = dispatch(Decision((ballast, STUCK, REWRITE, replace_, jobs, round_)))
    place = {one.kind: one for one in orders}
    assert place["EnqueueJobs"].after == (place["StartRound"].n,)
    assert place["ReplaceJob"].after == (place["StopWorker"].n,)
    assert place["RewriteState"].after == (place["ReleaseBallast"].n,)


def test_a_stop_is_due_when_its_ladder_ends() -> None:
    assert [ladder_s(world(), asks("x", StopWorker(WORKERS[0], rung, "stuck"))) for rung in (1, 2, 3)] == [33, 13, 10]
    assert ladder_s(world(), asks("x", StopWorker("gpu0@1", 3, "stuck"))) == 60


def test_deviation_is_the_share_of_subjects_not_as_desired() -> None:
    seen = world(gpus=[gpu()], files=[FileView("workers.json", 3.0, True, limit_s=15.0)])
    assert deviation(seen) == 0.0
    ill = replace(
        seen,
        gpus={UUID: gpu(state=missing())},
        workers={**seen.workers, WORKERS[0]: stopping(seen.workers[WORKERS[0]])},
        jobs={**seen.jobs, JOBS[0]: replace(seen.jobs[JOBS[0]], hold=hold("x", "y", needs="z")["x#y"])},
    )
    assert deviation(ill) == pytest.approx(3 / 10)
    assert deviation(observation()) is None


def test_performance_is_this_hour_against_the_best_of_twenty_four() -> None:
    hours = (Hour(1, 3600.0, {"combos": 3600.0 * 100}), Hour(2, 60.0, {"combos": 60.0 * 50, "trials": 60.0}))
    assert performance(hours) == pytest.approx((0.5 + 1.0) / 2)
    assert performance(()) is None


def test_throughput_is_gathered_by_the_hour_and_forgotten_after_a_day() -> None:
    memory, seen = ROSTER.arbiter.fresh(), world()
    for n in range(30):
        at = replace(seen, now=NOW + 3600.0 * n, mono=MONO + 3600.0 * n)
        _, memory = ROSTER.arbiter.arbitrate(at, [], memory)
    assert len(memory.hours) == 25
    assert memory.scores.performance == 1.0


def test_efficiency_is_cpu_at_work_against_cpu_reserved() -> None:
    seen = world(host=host(cpus=8.0, cpu_ours=known(25.0)))
    assert efficiency(seen) == 0.5
    first = seen.workers[WORKERS[0]]
    loading = replace(first, record=replace(first.record, state="starting"), progress=progress(phase="load"))
    assert efficiency(replace(seen, workers={**seen.workers, WORKERS[0]: loading})) == 0.375
    assert efficiency(replace(seen, host=host(cpu_ours=missing()))) is None


def test_every_row_of_precedence_is_of_use() -> None:
    assert {rank(one) for one in (PAUSE, DISK, STUCK, REWRITE, SPAWN, SCALE, TELL)} == set(range(len(PRECEDENCE)))
