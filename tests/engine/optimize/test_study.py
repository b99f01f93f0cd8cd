"""Claims on a shared study: none is run twice, none is lost, and the dead are told from the living."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from btswarm.engine import study as module
from btswarm.engine.study import MAX_RETRIES, OWNER, RETRIES, RETRY_OF, Nothing, Study, Workers

from .worker import DISTRIBUTIONS, open_study

Open = Callable[..., Study]


@pytest.fixture
def open_as(tmp_path: Path) -> Iterator[Open]:
    """A worker of the study in tmp_path; `leave()` of its workers is what a death does to its lock."""
    with ExitStack() as stack:

        def opened(part: int, *, shared: bool = False) -> Study:
            workers = stack.enter_context(Workers(tmp_path / "study.journal.locks", part))
            found = open_study(tmp_path, "auto", workers)
            return Study(found.optuna, workers, DISTRIBUTIONS, shared=shared)

        yield opened


def claimed(study: Study, total: int = 100) -> optuna.Trial:
    found = study.claim(total)
    assert isinstance(found, optuna.Trial)
    return found


def tell(study: Study, trial: optuna.Trial) -> bool:
    return study.suggest(trial) is not None and study.tell(trial, 1.0, {"some": 1}, {"c": -1.0})


def die(study: Study) -> None:
    """What SIGKILL does: the kernel closes the lock, the file stays."""
    study.workers._held.close()


def states(study: Study) -> list[str]:
    return [trial.state.name for trial in study.trials()]


def test_two_workers_claim_different_trials_and_each_is_told_once(open_as: Open) -> None:
    one, two = open_as(0), open_as(1)
    first, second = claimed(one), claimed(two)
    assert first.number != second.number
    assert tell(one, first)
    assert tell(two, second)
    assert states(one) == ["COMPLETE"] * 2
    assert [trial.user_attrs["part"] for trial in one.trials()] == [0, 1]


def test_no_more_trials_are_claimed_than_asked_for(open_as: Open) -> None:
    one, two = open_as(0), open_as(1)
    first = claimed(one, total=1)
    assert two.claim(1) is Nothing.WAIT
    tell(one, first)
    assert two.claim(1) is Nothing.DONE
    assert one.claim(1) is Nothing.DONE
    assert isinstance(two.claim(2), optuna.Trial)


def test_the_trial_of_a_dead_worker_is_failed_and_its_very_point_is_run_again(open_as: Open) -> None:
    one, two = open_as(0), open_as(1)
    point = one.suggest(lost := claimed(one))
    die(one)
    again = claimed(two)
    assert two.suggest(again) == point
    assert states(two) == ["FAIL", "RUNNING"]
    assert again.user_attrs[RETRY_OF] == lost.number
    assert tell(two, again)


def test_the_last_trial_of_a_dead_worker_is_not_waited_for(open_as: Open) -> None:
    one, two = open_as(0), open_as(1)
    claimed(one, total=1)
    assert two.claim(1) is Nothing.WAIT
    die(one)
    assert tell(two, claimed(two, total=1))


def test_a_living_worker_keeps_its_trial_however_long_it_takes(open_as: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = open_as(0), open_as(1)
    claimed(one, total=1)
    clock = iter(range(0, 10**9, 10**6))
    monkeypatch.setattr("btswarm.engine.study.time.monotonic", lambda: float(next(clock)))
    assert [two.claim(1) for _ in range(3)] == [Nothing.WAIT] * 3


def test_a_trial_without_an_owner_died_while_it_was_claimed(open_as: Open) -> None:
    one = open_as(0)
    one.optuna.ask()
    assert claimed(one).number == 1
    assert states(one) == ["FAIL", "RUNNING"]


def test_a_queued_point_whose_worker_dies_before_it_was_read_is_queued_again(open_as: Open) -> None:
    one, two = open_as(0), open_as(1)
    one.enqueue_once("seeded", [({"x": 4.5, "kind": 2}, {"rank": 7})], {"n": 1})
    claimed(one)
    die(one)
    again = claimed(two)
    assert two.suggest(again) == {"x": 4.5, "kind": 2}
    assert again.user_attrs["rank"] == 7


def test_a_point_that_dies_again_and_again_is_given_up(open_as: Open) -> None:
    one = open_as(0)
    one.enqueue_once("seeded", [({"x": 4.5, "kind": 2}, {})], {"n": 1})
    for _ in range(MAX_RETRIES + 1):
        victim = open_as(1)
        assert victim.suggest(claimed(victim)) == {"x": 4.5, "kind": 2}
        die(victim)
    assert one.suggest(claimed(one)) != {"x": 4.5, "kind": 2}
    assert [trial.user_attrs.get(RETRIES, 0) for trial in one.trials(TrialState.FAIL)] == list(range(MAX_RETRIES + 1))


@pytest.mark.parametrize("proposed", [False, True])
def test_a_worker_on_another_host_is_given_time_before_its_trial_counts_as_abandoned(
    open_as: Open, monkeypatch: pytest.MonkeyPatch, proposed: bool
) -> None:
    elsewhere, here = open_as(0, shared=True), open_as(1, shared=True)
    lost = claimed(elsewhere)
    lost.set_user_attr(OWNER, "/a/folder/of/another/host/0-abc")
    if proposed:
        elsewhere.suggest(lost)
    now = [100.0]
    monkeypatch.setattr("btswarm.engine.study.time.monotonic", lambda: now[0])
    assert here.claim(1) is Nothing.WAIT
    now[0] += module.ABANDONED_S
    assert here.claim(1) is Nothing.WAIT
    now[0] += 1
    assert claimed(here, total=1).number == 1
    assert not tell(elsewhere, lost), "what comes after all is dropped"
    assert states(here) == ["FAIL", "RUNNING"]


def test_killed_between_queueing_a_point_again_and_failing_its_trial_the_point_is_run_once(
    open_as: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = open_as(0), open_as(1)
    point = one.suggest(claimed(one))
    die(one)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(two.optuna, "tell", killed)
        with pytest.raises(KeyboardInterrupt):
            two.claim(100)
    assert states(two) == ["RUNNING", "WAITING"]
    assert two.suggest(claimed(two)) == point
    assert states(two) == ["FAIL", "RUNNING"]


def test_points_are_queued_by_whoever_comes_first_and_completed_after_a_kill(
    open_as: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = open_as(0), open_as(1)
    points = [({"x": float(number), "kind": 1}, {"rank": number}) for number in range(6)]
    real, calls = one.optuna.enqueue_trial, iter(range(3))

    def dies_later(*given: object, **named: object) -> None:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        real(*given, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(one.optuna, "enqueue_trial", dies_later)
        with pytest.raises(KeyboardInterrupt):
            one.enqueue_once("seeded", points, {"n": 6})
    two.enqueue_once("seeded", points, {"n": 6})
    one.enqueue_once("seeded", points, {"n": 6})
    assert [trial.user_attrs["rank"] for trial in two.trials(TrialState.WAITING)] == list(range(6))
    assert two.optuna.user_attrs["seeded"] == {"n": 6}


def test_a_trial_handed_back_is_run_by_the_next_claimer(open_as: Open) -> None:
    one, two = open_as(0), open_as(1)
    point = one.suggest(trial := claimed(one))
    one.release(trial)
    assert two.suggest(claimed(two)) == point
    one.release(trial)
    assert states(two) == ["FAIL", "RUNNING"]


def test_a_result_carries_its_constraints(open_as: Open) -> None:
    one = open_as(0)
    trial = claimed(one)
    one.suggest(trial)
    one.tell(trial, 1.0, {"a": None}, {"trades": 0.5, "drawdown": -1.0})
    told = one.trials()[0]
    assert (told.constraints, told.user_attrs["result"]) == ({"trades": 0.5, "drawdown": -1.0}, {"a": None})


def test_lock_files_of_the_dead_are_swept_and_those_of_the_living_are_not(open_as: Open, tmp_path: Path) -> None:
    one, two = open_as(0), open_as(1)
    die(one)
    two.workers.sweep()
    assert not one.workers.own.exists()
    assert two.workers.own.exists()


def test_whose_lock_cannot_be_looked_at_is_neither_dead_nor_alive(open_as: Open, tmp_path: Path) -> None:
    workers = open_as(0).workers
    assert workers.is_dead(str(tmp_path / "gone")) is None
    assert workers.is_dead(str(workers.own)) is False
    other = tmp_path / "other"
    descriptor = os.open(other, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert workers.is_dead(str(other)) is False
    os.close(descriptor)
    assert workers.is_dead(str(other)) is True
