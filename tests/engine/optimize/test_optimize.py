"""The optimize stage on a real market with a real prescreen before it."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from btswarm.engine import optimize
from btswarm.engine.artifacts import ALL_TRIALS, BEST, PHASE0, read_model, read_phase0
from btswarm.engine.bars import Bars
from btswarm.engine.progress import Silent
from btswarm.engine.seeds import NO_SEEDS, SHARE
from btswarm.state.errors import BadConfig, GateFailed, InputGone, Stopped, StorageBroken
from btswarm.state.models.jobs import Inputs, Job, SeedsLoaded
from btswarm.state.models.trials import AllTrials

from .conftest import MODE, MakeJob, job_of


class Listener(Silent):
    """Keeps what it is told, in order; asks to stop once `stop_at` trials are told."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.told: list[tuple[str, Any]] = []
        self._stop_at = stop_at

    def phase(self, name: str, steps: int | None = None, unit: str = "") -> None:
        self.told.append(("phase", (name, steps, unit)))

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        self.told.append(("step", (done, checkpoint)))
        if self._stop_at is not None and done >= self._stop_at:
            raise Stopped("stopped")

    def fact(self, **facts: object) -> None:
        self.told.append(("fact", facts))

    def line(self, text: str) -> None:
        self.told.append(("line", text))

    def steps(self) -> list[int]:
        return [what[0] for kind, what in self.told if kind == "step"]


def trials_of(job: Job) -> AllTrials:
    return read_model(Path(job.out_dir) / ALL_TRIALS, AllTrials)


def results(job: Job) -> list[Any]:
    return [one.model_dump(exclude={"duration_s"}) for one in trials_of(job).trials]


def test_the_stage_leaves_all_trials_and_the_five_best_folders(make_job: MakeJob, bars: Bars) -> None:
    job = make_job()
    paths = optimize.run(job, bars, Silent())
    assert [path.name for path in paths] == [ALL_TRIALS, *BEST]
    assert all(path.exists() for path in paths)
    found = trials_of(job)
    assert found.header.told == 40 == len(found.trials)
    assert [one.number for one in found.trials] == list(range(40))
    assert 0 < found.header.feasible <= 40
    assert all(len(one.fold_sharpes) == 5 for one in found.trials)


def test_the_best_prescreened_points_are_among_the_first_trials(make_job: MakeJob, bars: Bars, seed_dir: Path) -> None:
    job = make_job()
    optimize.run(job, bars, Silent())
    phase0 = {row.rank: row for row in read_phase0(seed_dir / PHASE0).rows}
    found = trials_of(job)
    first, later = found.trials[: 40 // SHARE], found.trials[40 // SHARE :]
    assert first[0].seed_rank == 1
    for trial in first:
        assert trial.seed_rank is not None
        assert trial.params == phase0[trial.seed_rank].params
        assert trial.metrics == phase0[trial.seed_rank].metrics, "the prescreen's exact figures are these"
    assert all(trial.seed_rank is None for trial in later)
    assert (found.header.seeds.n, found.header.seeds.source) == (10, str(seed_dir / PHASE0))


def test_the_seeds_are_logged_and_reported_before_the_first_trial(
    make_job: MakeJob, bars: Bars, seed_dir: Path
) -> None:
    heard = Listener()
    optimize.run(make_job(trials=4), bars, heard)
    kinds = [kind for kind, _ in heard.told]
    line = next(what for kind, what in heard.told if kind == "line")
    assert line.startswith(f"Loaded Phase0 seed: SOLUSDT/{MODE} n=")
    fact = next(what["seeds"] for kind, what in heard.told if kind == "fact" and "seeds" in what)
    assert isinstance(fact, SeedsLoaded)
    assert line.endswith(f"source={fact.source} sha256={fact.sha256}")
    assert kinds.index("line") < kinds.index("step")
    assert ("phase", ("trial", 4, "trials")) in heard.told
    assert heard.steps() == [0, 1, 2, 3, 4]


def test_without_seeds_nothing_is_begun(bars: Bars, tmp_path: Path) -> None:
    job = job_of(tmp_path / "out")
    with pytest.raises(InputGone) as refused:
        optimize.run(job, bars, Silent())
    assert refused.value.code == 66
    assert not (tmp_path / "out").exists()


def test_a_job_that_wants_no_seeds_begins_at_random(bars: Bars, tmp_path: Path) -> None:
    job = job_of(tmp_path / "out", trials=12, inputs=Inputs(data="x", seed_dirs=NO_SEEDS))
    heard = Listener()
    optimize.run(job, bars, heard)
    assert trials_of(job).header.seeds.n == 0
    assert not [what for kind, what in heard.told if kind == "line"]


def test_one_worker_with_the_same_seed_gets_the_same_trials(make_job: MakeJob, bars: Bars, tmp_path: Path) -> None:
    one, two, other = (
        make_job(out_dir=str(tmp_path / name), seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    for job in (one, two, other):
        optimize.run(job, bars, Silent())
    assert results(one) == results(two)
    assert results(one) != results(other)


def test_a_stopped_study_goes_on_where_it_was(make_job: MakeJob, bars: Bars) -> None:
    job = make_job()
    with pytest.raises(Stopped):
        optimize.run(job, bars, Listener(stop_at=17))
    assert not (Path(job.out_dir) / ALL_TRIALS).exists()
    heard = Listener()
    optimize.run(job, bars, heard)
    assert heard.steps() == list(range(17, 41))
    found = trials_of(job)
    assert found.header.told == len(found.trials) == 40
    assert [trial.seed_rank is not None for trial in found.trials] == [True] * 10 + [False] * 30


@pytest.mark.parametrize("stops", [(1, 17, 18, 30), (9, 10, 11)])
def test_a_study_that_was_stopped_again_and_again_has_the_trials_of_one_that_was_not(
    make_job: MakeJob, bars: Bars, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    stopped, straight = make_job(out_dir=str(tmp_path / "stopped")), make_job(out_dir=str(tmp_path / "straight"))
    for told in stops:
        with pytest.raises(Stopped):
            optimize.run(stopped, bars, Listener(stop_at=told))
    for job in (stopped, straight):
        optimize.run(job, bars, Silent())
    assert results(stopped) == results(straight)


def test_a_finished_study_can_be_carried_on_with_more_trials(make_job: MakeJob, bars: Bars) -> None:
    optimize.run(make_job(trials=12), bars, Silent())
    before = results(make_job())
    optimize.run(make_job(trials=20), bars, Silent())
    assert results(make_job())[:12] == before
    assert trials_of(make_job()).header.told == 20


def test_other_candles_space_costs_or_seed_in_the_same_folder_are_another_study(make_job: MakeJob, bars: Bars) -> None:
    optimize.run(make_job(trials=8), bars, Silent())
    before = results(make_job())
    optimize.run(make_job(trials=8, costs={"fee": 0.001}), bars, Silent())
    after = trials_of(make_job())
    assert after.header.told == 8
    assert after.header.search.costs.fee == 0.001
    assert after.trials[0].metrics != before[0]["metrics"]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"gpu": 0}, BadConfig),
        ({"study": "sqlite://"}, BadConfig),
        ({"mode": "reckless"}, BadConfig),
        ({"costs": {"slippage": 0.01}}, BadConfig),
    ],
)
def test_what_cannot_work_is_refused(
    make_job: MakeJob, bars: Bars, changed: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        optimize.run(make_job(trials=4, **changed), bars, Silent())


def test_fewer_than_thirty_trades_cannot_be_asked_for(make_job: MakeJob) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 30"):
        make_job(min_trades=29)


def test_a_damaged_study_is_refused_before_it_is_used(make_job: MakeJob, bars: Bars) -> None:
    job = make_job(trials=6)
    optimize.run(job, bars, Silent())
    journal = Path(job.out_dir) / "study.journal"
    raw = journal.read_bytes()
    journal.write_bytes(raw[:500] + b"#" + raw[501:])
    with pytest.raises(StorageBroken) as refused:
        optimize.run(make_job(trials=8), bars, Silent())
    assert refused.value.code == 74


def test_a_study_in_sqlite_gives_the_same_trials(make_job: MakeJob, bars: Bars, tmp_path: Path) -> None:
    journal = make_job(trials=14)
    database = make_job(trials=14, out_dir=str(tmp_path / "b"), study=f"sqlite:///{tmp_path}/study.db")
    optimize.run(journal, bars, Silent())
    optimize.run(database, bars, Silent())
    assert results(journal) == results(database)


def test_an_evaluation_that_fails_hands_its_trial_back(
    make_job: MakeJob, bars: Bars, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(trials=6)

    def fails(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("btswarm.engine.neighbourhood.Evaluator.evaluate", fails)
        with pytest.raises(MemoryError):
            optimize.run(job, bars, Silent())
    optimize.run(job, bars, Silent())
    found = trials_of(job)
    assert found.header.told == 6
    assert [one.state for one in found.trials].count("failed") == 1
    assert found.trials[0].state == "failed"
    assert [one.params for one in found.trials].count(found.trials[0].params) == 2


def test_timings_say_what_the_trials_cost(make_job: MakeJob, bars: Bars) -> None:
    timings = optimize.Timings()
    optimize.run(make_job(trials=12), bars, Silent(), timings=timings)
    assert timings.trials == 12
    assert min(timings.sampler_s, timings.storage_s, timings.evaluate_s) > 0


class Meets(Silent):
    """Waits at its first step for the other workers, so that all of them have a share."""

    def __init__(self, barrier: Barrier) -> None:
        self._wait: Callable[[], object] | None = barrier.wait

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        if self._wait:
            self._wait()
            self._wait = None


def _part(job: Job, bars: Bars, barrier: Barrier) -> None:
    optimize.run(job, bars, Meets(barrier))


@pytest.mark.slow
def test_several_workers_on_one_study_tell_exactly_the_trials_asked_for(make_job: MakeJob, bars: Bars) -> None:
    job = make_job(trials=60)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2, timeout=60)
    parts = [make_job(trials=60, job=f"{job.job}.{number}") for number in range(2)]
    processes = [context.Process(target=_part, args=(part, bars, barrier)) for part in parts]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    found = trials_of(job)
    assert found.header.told == len(found.trials) == 60
    assert {one.part for one in found.trials} == {0, 1}
    ranks = [one.seed_rank for one in found.trials if one.seed_rank is not None]
    assert len(ranks) == len(set(ranks)) == 60 // SHARE


def test_a_gate_that_fails_is_told_apart_from_a_crash() -> None:
    assert (GateFailed.code, GateFailed.failure.value) == (1, "done")
