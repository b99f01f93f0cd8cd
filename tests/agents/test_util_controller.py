"""Lanes follow the targets: at once by arithmetic, then patiently by what is seen."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.agents.util_controller import GPU_LANES_MAX, Memory
from btswarm.state.models.actions import SetLanes, SpawnWorker, StopWorker
from btswarm.state.models.facts import Observation
from btswarm.state.models.names import cpu_lane

from .world import (
    MONO,
    NOW,
    UUID,
    actions,
    config,
    desired,
    died,
    gpu,
    host,
    job,
    known,
    lane,
    missing,
    observation,
    propose,
    worker,
)

ME = "util_controller"


def busy(count: int, *, opened_s: float = 1000.0, seen: Observation | None = None, **changes: Any) -> Observation:
    """`count` CPU lanes, each with a worker."""
    names = [f"r1/SOLUSDT/balanced/prescreen.f{n}" for n in range(count)]
    made = observation(
        lanes=[lane(cpu_lane(n), since=NOW - opened_s) for n in range(count)],
        jobs=[job(name, worker=f"{cpu_lane(n)}@1") for n, name in enumerate(names)],
        workers=[worker(f"{cpu_lane(n)}@1", name) for n, name in enumerate(names)],
        **changes,
    )
    return replace(made, now=seen.now, mono=seen.mono) if seen else made


def after(seen: Observation, *, seconds: float, step_s: float = 5.0, memory: Any = None) -> tuple[list[Any], Any]:
    """What is asked for at the end of a time in which nothing changed."""
    memory = Memory() if memory is None else memory
    asked: list[Any] = []
    for n in range(int(seconds / step_s) + 1):
        at = replace(seen, mono=seen.mono + n * step_s, now=seen.now + n * step_s)
        proposals, memory = propose(ME, at, memory)
        asked = [one.action for one in proposals]
    return asked, memory


@pytest.mark.parametrize(
    ("cpus", "threads", "target", "lanes"), [(8.0, 1, 80, 7), (2.0, 1, 80, 2), (384.0, 2, 80, 154), (0.5, 1, 80, 1)]
)
def test_the_feed_forward_count_is_opened_at_once(cpus: float, threads: int, target: int, lanes: int) -> None:
    tables = config(lanes={"threads": threads}, targets={"cpu_pct": target})
    seen = observation(host=host(cpus=cpus), config=tables)
    assert actions(ME, seen) == [SetLanes("cpu", lanes)]


def test_a_number_in_the_configuration_wins() -> None:
    assert actions(ME, observation(config=config(lanes={"cpu": 3}))) == [SetLanes("cpu", 3)]
    idle = replace(busy(3, config=config(lanes={"cpu": 3})), host=host(cpu_ours=known(10.0)))
    assert after(idle, seconds=600)[0] == []


@pytest.mark.parametrize("life", ["idle", "drain", "restart"])
def test_nothing_is_scaled_before_a_launch_or_while_the_swarm_ends(life: Any) -> None:
    assert actions(ME, observation(swarm={"desired": desired(life=life)})) == []


def test_lanes_that_give_less_than_the_target_are_trimmed_up_once_the_window_is_settled() -> None:
    seen = busy(7, host=host(cpu_ours=known(40.0), cpu_others=known(0.0)))
    assert after(seen, seconds=55)[0] == []
    assert after(seen, seconds=60)[0] == [SetLanes("cpu", 8)]


def test_one_step_up_is_bounded_by_four_more_or_twice_as_many() -> None:
    modest = config(targets={"cpu_pct": 10})
    for cpus, before, then in ((20.0, 2, 6), (100.0, 10, 20)):
        starved = host(cpus=cpus, cpu_ours=known(1.0), cpu_others=known(0.0))
        assert after(busy(before, host=starved, config=modest), seconds=60)[0] == [SetLanes("cpu", then)]


def test_no_more_lanes_are_opened_than_cpus_may_be_reserved() -> None:
    full = host(cpus=8.0, cpu_ours=known(40.0), cpu_others=known(0.0))
    assert after(busy(8, host=full), seconds=600)[0] == []


def test_no_lane_is_added_while_one_is_idle() -> None:
    seen = busy(7, host=host(cpu_ours=known(40.0)))
    idle = replace(seen, workers={name: view for name, view in seen.workers.items() if view.lane != "cpu006"})
    assert after(idle, seconds=300)[0] == []


def test_within_the_band_above_the_target_nothing_moves() -> None:
    for pct in (80.0, 84.0, 88.0):
        assert after(busy(9, host=host(cpus=9.0, cpu_ours=known(pct), cpu_others=known(0.0))), seconds=900)[0] == []


def test_lanes_go_down_only_after_the_window_by_its_largest_recommendation() -> None:
    crowded = host(cpus=14.0, cpu_ours=known(100.0), cpu_others=known(0.0))
    over = busy(14, host=crowded)
    assert after(over, seconds=355)[0] == []
    assert after(over, seconds=360)[0] == [SetLanes("cpu", 12)]
    _, memory = after(over, seconds=200)
    at = replace(over, mono=MONO + 205.0, now=NOW + 205.0, host=replace(crowded, cpu_ours=known(89.0)))
    _, memory = propose(ME, at, memory)
    later = replace(over, mono=MONO + 210.0, now=NOW + 210.0)
    assert after(later, seconds=155, memory=memory)[0] == [SetLanes("cpu", 13)]


def test_lanes_that_were_just_opened_stay() -> None:
    seen = busy(14, host=host(cpus=14.0, cpu_ours=known(100.0), cpu_others=known(0.0)))
    young = {name: replace(one, since=NOW + 100.0) for name, one in list(seen.lanes.items())[:13]}
    seen = replace(seen, lanes={**seen.lanes, **young})
    assert after(seen, seconds=360)[0] == [SetLanes("cpu", 13)]


def test_the_cpu_of_others_is_not_ours_to_use() -> None:
    shared = host(cpu_ours=known(42.0), cpu_others=known(50.0))
    assert after(busy(7, host=shared), seconds=400)[0] == []


@pytest.mark.parametrize("changes", [{"cpu_ours": missing()}, {"cpu_others": missing()}, {"cpu_others": known(99.5)}])
def test_lanes_stay_as_they_are_when_use_is_unknown(changes: dict[str, Any]) -> None:
    assert after(busy(7, host=host(cpu_ours=known(9.0), **changes) if "cpu_ours" not in changes else host(**changes)),
                 seconds=900)[0] == []  # fmt: skip


def test_after_an_out_of_memory_lanes_are_halved_and_come_back_one_by_one() -> None:
    seen = busy(7)
    name = "r1/BTCUSDT/balanced/prescreen"
    dead = replace(died(job(name), "cpu006@1", "host_oom"), not_before=NOW + 1e9)
    seen = replace(seen, jobs={**seen.jobs, name: dead})
    asked, memory = propose(ME, seen)
    assert [one.action for one in asked] == [SetLanes("cpu", 3)]
    few = busy(3, seen=replace(seen, mono=MONO + 30.0, now=NOW + 30.0))
    assert after(few, seconds=25, memory=memory)[0] == []
    assert after(few, seconds=35, memory=memory)[0] == [SetLanes("cpu", 4)]
    short = replace(few, host=host(mem_free_mb=known(800.0)))
    assert after(short, seconds=300, memory=memory)[0] == []


def test_a_counter_of_oom_kills_that_moves_halves_too_but_not_when_it_is_first_read() -> None:
    seen = busy(7)
    _, memory = propose(ME, replace(seen, host=host(oom_kills=known(4))))
    assert actions(ME, replace(seen, host=host(oom_kills=missing())), memory) == []
    assert actions(ME, replace(seen, host=host(oom_kills=known(5))), memory) == [SetLanes("cpu", 3)]


def test_while_memory_is_short_draining_lanes_are_emptied_one_at_a_time() -> None:
    seen = busy(7, host=host(mem_free_mb=known(300.0)))
    for name in ("cpu005", "cpu006"):
        seen = replace(seen, lanes={**seen.lanes, name: replace(seen.lanes[name], state="draining")})
    stops = [one for one in actions(ME, seen) if isinstance(one, StopWorker)]
    assert stops == [StopWorker("cpu006@1", 1, "scale")]


def test_an_idle_lane_is_filled() -> None:
    name = "r1/SOLUSDT/balanced/prescreen.f1"
    seen = observation(
        lanes=[lane(cpu_lane(n)) for n in range(7)], jobs=[job(name, "queued", spec={"lane_role": "fill"})]
    )
    assert actions(ME, seen) == [SpawnWorker("cpu000", name)]


def gpus(count: int, lanes: int, pct: Any, **changes: Any) -> Observation:
    cards = [replace(gpu(util_pct=pct, **changes), uuid=f"{UUID}{n}") for n in range(count)]
    places = [lane(f"gpu0.{n}", gpu_uuid=cards[0].uuid if cards else "") for n in range(lanes)]
    names = [f"r1/SOLUSDT/balanced/prescreen.g{n}" for n in range(lanes)]
    cpu = busy(7)
    jobs = [job(name, worker=f"gpu0.{n}@1", spec={"gpu": True}) for n, name in enumerate(names)]
    workers = [worker(f"gpu0.{n}@1", name) for n, name in enumerate(names)]
    return replace(
        cpu,
        gpus={one.uuid: one for one in cards},
        lanes={**cpu.lanes, **{one.lane: one for one in places}},
        jobs={**cpu.jobs, **{one.job: one for one in jobs}},
        workers={**cpu.workers, **{one.worker: one for one in workers}},
    )


def test_devices_have_a_lane_each_and_one_more_while_they_are_under_their_target() -> None:
    assert actions(ME, gpus(2, 0, known(0.0))) == [SetLanes("gpu", 2)]
    assert after(gpus(1, 1, known(30.0)), seconds=60)[0] == [SetLanes("gpu", 2)]
    assert after(gpus(1, GPU_LANES_MAX, known(30.0)), seconds=60)[0] == []
    assert after(gpus(1, 1, missing()), seconds=600)[0] == []
    assert after(gpus(1, 0, known(0.0), state=missing()), seconds=600)[0] == []


Plant = Callable[[int], float]


def linear(per_lane: float) -> Plant:
    return lambda lanes: min(100.0, per_lane * lanes)


def saturating(half: float) -> Plant:
    return lambda lanes: 100.0 * lanes / (lanes + half)


def capped(per_lane: float, most: float) -> Plant:
    return lambda lanes: min(most, per_lane * lanes)


PLANTS = st.one_of(
    st.floats(2.0, 25.0).map(linear),
    st.floats(0.5, 12.0).map(saturating),
    st.tuples(st.floats(2.0, 25.0), st.floats(20.0, 100.0)).map(lambda both: capped(*both)),
)


crew = cache(busy)


def simulate(plant: Plant, cpus: float, noise: list[float], hours: float = 1.0) -> list[int]:
    """Lane counts, one per tick of 15 s, of a host that answers with a 60 s mean of what its lanes use."""
    memory, count, step_s = Memory(), 0, 15.0
    counts: list[int] = []
    used: list[float] = []
    opened: list[float] = []
    for n in range(int(hours * 3600 / step_s)):
        at = MONO + n * step_s
        used.append(plant(count))
        measured = min(100.0, max(0.0, sum(used[-4:]) / len(used[-4:]) + noise[n % len(noise)]))
        seen = replace(crew(count), host=host(cpus=cpus, cpu_ours=known(measured), cpu_others=known(0.0)))
        lanes = {one.lane: replace(one, since=opened[i]) for i, one in enumerate(seen.lanes.values())}
        seen = replace(seen, lanes=lanes, mono=at, now=NOW - MONO + at)
        proposals, memory = propose(ME, seen, memory)
        for one in proposals:
            if isinstance(one.action, SetLanes):
                count = one.action.n
        opened = [*opened, *[seen.now] * (count - len(opened))][:count]
        counts.append(count)
    return counts


@settings(max_examples=25, deadline=None)
@given(
    plant=PLANTS, cpus=st.sampled_from([2.0, 8.0, 16.0]), noise=st.lists(st.floats(-2.0, 2.0), min_size=1, max_size=5)
)
def test_it_does_not_oscillate_whatever_lanes_bring(plant: Plant, cpus: float, noise: list[float]) -> None:
    counts = simulate(plant, cpus, noise)
    assert turns(counts) <= 4
    assert turns(counts[len(counts) // 2 :]) <= 1


def turns(counts: list[int]) -> int:
    """How often the count changed its direction."""
    moves = [now - before for before, now in pairwise(counts) if now != before]
    return sum((one > 0) != (two > 0) for one, two in pairwise(moves))


@settings(max_examples=25, deadline=None)
@given(per_lane=st.floats(5.0, 12.0))
def test_it_settles_at_or_above_the_target_when_the_host_can(per_lane: float) -> None:
    counts = simulate(linear(per_lane), 16.0, [0.0])
    assert all(linear(per_lane)(count) >= 80.0 for count in counts[len(counts) // 2 :])
