"""The stage as a whole: what it writes, what it refuses, what a crash leaves, and that nothing sees the sealed days."""

import math
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from btswarm.engine import validate
from btswarm.engine.artifacts import read_model
from btswarm.engine.bars import Bars
from btswarm.engine.costs import Costs
from btswarm.engine.ledger import Ledger
from btswarm.engine.progress import Silent
from btswarm.engine.split import split
from btswarm.engine.summary import _meaning
from btswarm.state.errors import BadConfig, BadData, CannotWrite, InputGone, Stopped
from btswarm.state.models.validation import Section, Validation

from .case import COMBOS, SPACE, best_of, job_for, leave_candidate, market, with_other_future

BARS = market()
CUT = split(BARS)
NEEDS_PERMUTATIONS = {
    *(f"search_null.{name}" for name in ("observed_sharpe", "p_permutation", "p_sign_flip", "null_markets")),
    *(f"certificate.{name}" for name in ("combined", "adjusted")),
}
MAY_BE_UNDEFINED = NEEDS_PERMUTATIONS | {
    "deflated_sharpe.days_needed",
    "walk_forward_rolling.efficiency",
    "walk_forward_anchored.efficiency",
}
SEES_THE_SEALED_DAYS = {"data", "holdout", "gates", "concentration", "p_holdout"}


def run(folder: Path, bars: Bars = BARS, **options: Any) -> Validation:
    (path,) = validate.run(job_for(folder, bars, **options), bars, Silent())
    return read_model(path, Validation)


def looks(folder: Path) -> int:
    return sum(entry.kind == "look" for entry in Ledger(folder / "search_ledger.jsonl").entries())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Validation]:
    folder = tmp_path_factory.mktemp("done")
    return folder, run(folder)


def sections(found: Validation) -> dict[str, Section]:
    return {name: part for name, part in dict(found).items() if isinstance(part, Section)}


# what it writes


def test_without_permutations_it_reports_and_judges_nothing(done: tuple[Path, Validation]) -> None:
    _, found = done
    assert found.verdict == "UNCERTIFIED"
    assert found.why == "not judged: no permutations were asked for"
    assert found.p_search.value is None
    assert found.p_search.reason == "no permutations were asked for"
    assert found.p_holdout.value is not None
    assert not next(gate for gate in found.gates if gate.figure == "certificate.adjusted").passed


def test_every_statistic_prints_its_null_hypothesis_and_every_null_figure_its_reason(
    done: tuple[Path, Validation],
) -> None:
    parts = sections(done[1])
    assert len(parts) == 15
    for name, part in parts.items():
        assert part.null_hypothesis, name
        for key, figure in part.figures.items():
            assert (figure.value is None) == bool(figure.reason), f"{name}.{key}"
            assert figure.value is None or math.isfinite(figure.value)


def test_the_figures_of_a_plain_market_are_all_defined(done: tuple[Path, Validation]) -> None:
    undefined = {
        f"{name}.{key}" for name, part in sections(done[1]).items() for key, one in part.figures.items() if one.reason
    }
    assert undefined <= MAY_BE_UNDEFINED


def test_it_says_how_much_was_tried_and_how_often_was_looked(done: tuple[Path, Validation]) -> None:
    folder, found = done
    assert found.counts.search.startswith("SOLUSDT/balanced/mtf_ema:")
    assert found.counts.volume == {"validate": COMBOS}
    assert (found.counts.looks, found.counts.looks_of_this_search, found.counts.exposures) == (1, 1, 0)
    assert found.holdout.look is not None
    assert found.holdout.look.k == 1
    assert [entry.kind for entry in Ledger(folder / "search_ledger.jsonl").entries()] == ["search", "look"]


def test_it_names_the_data_the_split_and_the_seeds(done: tuple[Path, Validation]) -> None:
    _, found = done
    assert found.data.sha256 == BARS.sha256
    assert found.training_sha256 == CUT.training(BARS).sha256
    assert (found.split.train_days, found.split.embargo_days, found.split.holdout_days) == (393, 7, 100)
    assert found.split.holdout_to == CUT.holdout.to_ms
    assert found.sample.combos == COMBOS
    assert 0 < found.sample.usable <= COMBOS
    assert found.versions.keys() >= {"btswarm", "arch", "scipy"}


def test_its_file_holds_no_number_that_json_does_not_know(done: tuple[Path, Validation]) -> None:
    text = (done[0] / "validation.json").read_bytes()
    assert b"NaN" not in text
    assert b"Infinity" not in text
    assert orjson.loads(text)["v"] == 1


# what it must not see


def test_nothing_but_the_look_depends_on_the_embargo_or_the_holdout(
    done: tuple[Path, Validation], tmp_path: Path
) -> None:
    other = with_other_future(BARS, CUT.train_to)
    assert other.sha256 != BARS.sha256
    changed, before = dict(run(tmp_path, other)), dict(done[1])
    for name, value in before.items():
        if name not in SEES_THE_SEALED_DAYS:
            assert changed[name] == value, name
    assert changed["holdout"].metrics != before["holdout"].metrics


def test_a_candidate_that_was_found_on_later_days_is_refused(tmp_path: Path) -> None:
    leave_candidate(tmp_path, BARS, best_of(BARS))
    with pytest.raises(BadData, match=r"not the .* training bars"):
        run(tmp_path)
    assert not (tmp_path / "validation.json").exists()
    assert not (tmp_path / "search_ledger.jsonl").exists()


def test_another_space_or_other_costs_than_it_was_found_with_are_refused(tmp_path: Path) -> None:
    job = job_for(tmp_path, BARS)
    job.space = {**job.space, "stop_loss": [100, 700]}
    with pytest.raises(BadConfig, match="another parameter space"):
        validate.run(job, BARS, Silent())
    leave_candidate(tmp_path, CUT.training(BARS), best_of(CUT.training(BARS)), costs=Costs(0.001, 0.0002))
    with pytest.raises(BadConfig, match=r"found at fee 0\.001"):
        run(tmp_path)


def test_without_a_candidate_the_optimize_stage_is_named(tmp_path: Path) -> None:
    job = job_for(tmp_path, BARS)
    (tmp_path / "best_robust" / "config.json").unlink()
    with pytest.raises(InputGone, match="best_robust"):
        validate.run(job, BARS, Silent())


# looks


def test_run_again_it_finds_the_same_and_adds_no_look(tmp_path: Path) -> None:
    first, again = run(tmp_path), run(tmp_path)
    assert again == first
    assert looks(tmp_path) == 1


def test_threads_change_nothing(tmp_path: Path, done: tuple[Path, Validation]) -> None:
    job = job_for(tmp_path, BARS)
    job.claims.cpus = 2
    validate.run(job, BARS, Silent())
    found = read_model(tmp_path / "validation.json", Validation)
    assert found.model_dump(exclude={"holdout": {"look"}}) == done[1].model_dump(exclude={"holdout": {"look"}})


def test_another_candidate_is_another_look_and_the_fourth_finds_the_holdout_spent(tmp_path: Path) -> None:
    training = CUT.training(BARS)
    for rank in range(4):
        leave_candidate(tmp_path, training, best_of(training, rank=rank))
        found = run(tmp_path, paths=5)
    assert looks(tmp_path) == 3
    assert found.holdout.look is None
    assert found.holdout.metrics is None
    assert "spent until it begins on 2023-03-07" in found.holdout.figures["sharpe"].reason
    assert not next(gate for gate in found.gates if gate.figure.startswith("holdout.")).passed


def test_too_few_days_are_insufficient_evidence_and_the_holdout_stays_sealed(tmp_path: Path) -> None:
    bars = market(290)
    found = run(tmp_path, bars)
    assert found.verdict == "INSUFFICIENT EVIDENCE"
    assert "58 of 60 hold-out days" in found.why
    assert "300 would suffice" in found.why
    assert looks(tmp_path) == 0
    assert "not looked at" in found.holdout.figures["sharpe"].reason
    assert _meaning(found).endswith("300 whole days are needed); the hold-out was not looked at"), "said once"


def test_fewer_training_days_than_blocks_leave_figures_null_and_nothing_breaks(tmp_path: Path) -> None:
    bars = market(26)
    leave_candidate(tmp_path, split(bars).training(bars), best_of(CUT.training(BARS)))
    found = run(tmp_path, bars)
    assert found.verdict == "INSUFFICIENT EVIDENCE"
    assert found.pbo.figures["pbo"].reason == "there are too few training days"
    assert found.monte_carlo.figures["sharpe_p50"].reason == "there are too few training days"
    assert found.sample.combos == 0


def test_no_paths_leave_the_bootstrap_null(tmp_path: Path) -> None:
    found = run(tmp_path, paths=0)
    assert found.monte_carlo.figures["max_drawdown_p95"].reason == "no paths were asked for"
    assert found.trade_order.figures["max_drawdown_p95"].reason == "no paths were asked for"


# crashes


class StopsAfter(Silent):
    """Asks the stage to stop at its n-th step."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        self.left -= 1
        if self.left < 0:
            raise Stopped("stopped")


@pytest.mark.parametrize("steps", [0, 150, 302, 560])
def test_stopped_anywhere_it_leaves_nothing_half_done_and_has_not_looked(tmp_path: Path, steps: int) -> None:
    with pytest.raises(Stopped):
        validate.run(job_for(tmp_path, BARS), BARS, StopsAfter(steps))
    assert not (tmp_path / "validation.json").exists()
    assert looks(tmp_path) == 0


def test_a_result_that_could_not_be_written_after_the_look_is_found_again_without_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: tuple[Path, Validation]
) -> None:
    def full(path: Path, model: Validation) -> Path:
        raise CannotWrite(f"no space left writing {path}")

    monkeypatch.setattr(validate, "write_model", full)
    with pytest.raises(CannotWrite):
        run(tmp_path)
    assert looks(tmp_path) == 1
    monkeypatch.undo()
    found = run(tmp_path)
    assert looks(tmp_path) == 1
    assert found.holdout.metrics == done[1].holdout.metrics


KILLED = """
import os, signal, sys
from pathlib import Path
from btswarm.engine import validate
from btswarm.engine.progress import Silent
from btswarm.tests.engine.validation.case import job_for, market
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
validate.write_model = die
bars = market()
validate.run(job_for(Path(sys.argv[1]), bars), bars, Silent())
"""


def test_kill_9_between_the_look_and_its_result_costs_no_second_look(
    tmp_path: Path, done: tuple[Path, Validation]
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert looks(tmp_path) == 1
    assert not (tmp_path / "validation.json").exists()
    assert run(tmp_path).holdout.metrics == done[1].holdout.metrics
    assert looks(tmp_path) == 1


def test_the_combos_are_those_of_the_round_and_its_search_is_continued(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "search_ledger.jsonl")
    ledger.enter_search(BARS, CUT, SPACE, stage="prescreen", seed=0, volume=9_000)
    ledger.enter_search(BARS, CUT, SPACE, stage="optimize", seed=0, volume=40)
    found = run(tmp_path, paths=5)
    assert found.counts.volume == {"prescreen": 9_000, "optimize": 40}
    assert found.counts.searches == 1
