"""What is kept of a certified configuration, and that everything can be computed again from it alone."""

import shutil
from pathlib import Path

import orjson
import pytest

from btswarm.engine import certified, validate
from btswarm.engine.artifacts import read_model
from btswarm.engine.commands import reproduce
from btswarm.engine.ledger import Ledger
from btswarm.engine.progress import Silent
from btswarm.engine.split import split
from btswarm.engine.validation import thresholds
from btswarm.engine.validation.selection import Effort
from btswarm.state.errors import BadData, InputGone
from btswarm.state.models.validation import Validation

from .validation.case import SPACE, job_for, market

BARS = market()
SMALL = Effort(pairs=10, exits=2, starts=1, rounds=1)
OPEN = tuple(
    thresholds.Threshold(one.name, one.figure, one.rule, {"<=": 1e9, ">=": -1e9, ">": -1e9}[one.rule])
    for one in thresholds.TABLE
)
"""Thresholds that everything passes: a random walk is then certified, and there is something to keep."""


@pytest.fixture
def anything_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "TABLE", OPEN)


@pytest.fixture
def kept(tmp_path: Path, anything_passes: None) -> Path:
    """The one folder of certified/, of a search that is the second in its ledger."""
    ledger = Ledger(tmp_path / "round" / "search_ledger.jsonl")
    other = SPACE.model_copy(update={"stop_loss": (100, 500)})
    ledger.enter_search(BARS, split(BARS), other, stage="prescreen", seed=0, volume=5)
    job = job_for(tmp_path / "round", BARS, paths=10, permutations=2)
    job.certified = str(tmp_path / "certified")
    validate.run(job, BARS, Silent(), effort=SMALL)
    [folder] = (tmp_path / "certified").iterdir()
    return folder


def test_a_certified_configuration_is_kept_with_all_that_its_verdict_rests_on(kept: Path, tmp_path: Path) -> None:
    found = read_model(tmp_path / "round" / "validation.json", Validation)
    assert found.verdict == "CERTIFIED"
    assert kept.name == f"SOLUSDT-balanced-{found.candidate.id}"
    names = {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()}
    assert names == {
        "best_robust/config.json",
        "best_robust/trades.csv",
        "candles.bin.gz",
        "certificate.json",
        "job.json",
        "search_ledger.jsonl",
        "validation.json",
    }
    assert str(tmp_path).encode() not in (kept / "job.json").read_bytes()


def test_from_the_folder_alone_every_figure_is_computed_again_and_no_ledger_hears_of_it(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere" / kept.name
    shutil.copytree(kept, elsewhere)
    before = (tmp_path / "round" / "search_ledger.jsonl").read_bytes()
    shutil.rmtree(tmp_path / "certified")
    assert reproduce.main([str(elsewhere), "--threads", "2"]) == 0
    assert "CERTIFIED, every figure the same" in capsys.readouterr().out
    assert (tmp_path / "round" / "search_ledger.jsonl").read_bytes() == before
    assert {path.name for path in elsewhere.iterdir()} >= {"certificate.json", "job.json"}
    assert not list(elsewhere.rglob("certified"))


def test_a_file_that_was_changed_is_named(kept: Path) -> None:
    config = kept / "best_robust" / "config.json"
    config.write_bytes(config.read_bytes().replace(b'"fast_period"', b'"fast_perioD"'))
    with pytest.raises(BadData, match=r"config\.json is not the file"):
        certified.reproduce(kept, Silent())
    config.unlink()
    with pytest.raises(InputGone, match=r"config\.json cannot be read"):
        certified.reproduce(kept, Silent())
    with pytest.raises(InputGone):
        certified.reproduce(kept / "nowhere", Silent())


def test_a_figure_that_comes_out_otherwise_is_named(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, manifest = kept / "validation.json", kept / "certificate.json"
    told = orjson.loads(path.read_bytes())
    told["p_search"]["value"] = 0.001
    told["search_null"]["nulls"][1]["statistics"][0] = 9.0
    path.write_bytes(orjson.dumps(told))
    facts = orjson.loads(manifest.read_bytes())
    facts["files"]["validation.json"] = certified._sha256(path.read_bytes())
    manifest.write_bytes(orjson.dumps(facts))
    assert reproduce.main([str(kept), "--json"]) == 1
    said = orjson.loads(capsys.readouterr().out)
    assert said["differences"] == ["p_search.value", "search_null.nulls[1].statistics[0]"]
    assert not said["same"]


def test_judged_again_it_takes_the_place_of_what_was_kept_and_leaves_nothing_aside(kept: Path, tmp_path: Path) -> None:
    job = job_for(tmp_path / "round", BARS, paths=10, permutations=2)
    job.certified = str(tmp_path / "certified")
    validate.run(job, BARS, Silent(), effort=SMALL)
    assert list((tmp_path / "certified").iterdir()) == [kept]
    assert certified.reproduce(kept, Silent()).differences == []


def test_what_is_not_certified_is_not_kept(tmp_path: Path) -> None:
    job = job_for(tmp_path, BARS, paths=10, permutations=1)
    job.certified = str(tmp_path / "certified")
    validate.run(job, BARS, Silent(), effort=SMALL)
    assert not (tmp_path / "certified").exists()
