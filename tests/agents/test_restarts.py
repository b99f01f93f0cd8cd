"""The arithmetic of relaunches."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btswarm.agents.detectors.restarts import Death, after, ceiling_s, chance, full
from btswarm.agents.detectors.volume import half_batch, halved, smaller
from btswarm.state.models.config import RestartTable, VolumeTable
from btswarm.state.models.records import JobSpec, Restarts

LIMITS = RestartTable()
DEATHS = st.builds(
    Death,
    step=st.integers(0, 100),
    life_s=st.floats(0, 1000),
    new_checkpoint=st.booleans(),
    blame=st.booleans(),
    credit=st.booleans(),
)
STEPS = st.lists(st.tuples(DEATHS, st.floats(0, 400), st.floats(0, 1, exclude_max=True)), max_size=40)


def crashes(count: int, *, every_s: float = 0.0, **death: Any) -> list[Any]:
    restarts, found = None, []
    for n in range(count):
        found.append(after(restarts, Death(**death), LIMITS, n * every_s, 1.0))
        restarts = found[-1].restarts
    return found


def test_five_relaunches_are_immediate_and_then_the_wait_doubles_to_its_cap() -> None:
    waits = [one.wait_s for one in crashes(16, step=0, blame=False)]
    assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_credit_comes_back_every_minute() -> None:
    assert all(one.wait_s == 0 for one in crashes(50, every_s=60.0, blame=False))


@pytest.mark.parametrize("calm", [{"life_s": 300.0}, {"new_checkpoint": True}])
def test_a_long_life_or_a_new_checkpoint_begins_the_waits_anew(calm: dict[str, Any]) -> None:
    tired = Restarts(0.0, 0.0, n=8)
    assert after(tired, Death(**calm), LIMITS, 0.0, 1.0).wait_s == 1.0
    assert after(tired, Death(life_s=299.0), LIMITS, 0.0, 1.0).wait_s == 256.0


def test_three_deaths_in_a_row_without_progress_are_poison_and_then_one_try_each() -> None:
    assert [one.poison for one in crashes(5)] == [False, False, True, True, True]
    assert not any(one.poison for one in crashes(9, blame=False))


def test_a_job_that_gets_on_is_never_poison() -> None:
    restarts = None
    for step in range(1, 50):
        last = after(restarts, Death(step=step), LIMITS, 0.0, 0.5)
        assert not last.poison
        restarts = last.restarts


def test_an_end_that_costs_nothing_changes_nothing() -> None:
    assert after(None, Death(blame=False, credit=False), LIMITS, 9.0, 0.5).restarts == full(LIMITS, 9.0)


@given(steps=STEPS)
def test_waits_and_credits_stay_in_their_bounds_whatever_happens(
    steps: list[tuple[Death, float, float]],
) -> None:
    restarts, mono, last_best = None, 0.0, 0
    for death, passed, luck in steps:
        mono += passed
        before = restarts or full(LIMITS, mono)
        had = before.credits(mono, LIMITS.credits, LIMITS.refill_s)
        step = after(restarts, death, LIMITS, mono, luck)
        restarts = step.restarts
        assert 0 <= step.wait_s <= LIMITS.cap_s
        assert -1e-9 <= restarts.level <= LIMITS.credits
        assert restarts.best_step >= last_best
        assert (step.wait_s == 0) or had < 1
        assert not step.poison or (death.blame and restarts.deaths >= LIMITS.poison)
        last_best = restarts.best_step


@given(draw=st.integers(0, 2**64 - 1), n=st.integers(0, 200))
def test_chance_is_even_of_each_job_its_own_and_the_same_when_asked_again(draw: int, n: int) -> None:
    one, two = chance(draw, f"job{n}"), chance(draw, f"job{n + 1}")
    assert 0 <= one < 1
    assert one != two
    assert one == chance(draw, f"job{n}")
    assert ceiling_s(LIMITS, n) <= LIMITS.cap_s


def test_chance_fills_the_whole_range() -> None:
    values = [chance(7, f"job{n}") for n in range(2000)]
    assert abs(sum(values) / len(values) - 0.5) < 0.03
    assert max(values) > 0.99
    assert min(values) < 0.01


def test_in_ten_minutes_a_crash_loop_starts_about_as_often_as_credits_and_waits_allow() -> None:
    mono, restarts, starts = 0.0, None, 1
    while True:
        step = after(restarts, Death(blame=False), LIMITS, mono, 1.0)
        restarts, mono = step.restarts, mono + step.wait_s
        if mono > 600.0:
            break
        starts += 1
    assert 15 <= starts <= 26


def test_half_a_job_keeps_what_it_had_and_never_goes_below_what_means_something() -> None:
    defaults = VolumeTable()
    assert halved(JobSpec(stage="optimize"), defaults) == {"trials": 100}
    assert halved(JobSpec(stage="validate"), defaults) == {"paths": 500, "permutations": 99}
    assert halved(JobSpec(stage="prescreen", volume={"combos": 1100, "batch": 7}), defaults) == {
        "combos": 1000,
        "batch": 7,
    }
    assert halved(JobSpec(stage="prescreen", volume={"combos": 1000}), defaults) is None
    assert halved(JobSpec(stage="report"), defaults) is None
    assert half_batch(JobSpec(), 4096) == {"batch": 2048}
    assert half_batch(JobSpec(), None) == {"batch": 16_384}
    assert half_batch(JobSpec(), 500) is None
    learned = smaller(JobSpec(), {"batch": 2048}, 9000)
    assert (learned.volume, learned.claims.gpu_mem_mb) == ({"batch": 2048}, 9000)
