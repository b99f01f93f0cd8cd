"""The command: what it prints, its exit codes, and the stage on real candles."""

from pathlib import Path

import orjson
import polars as pl
import pytest

from btswarm.engine import validate
from btswarm.engine.artifacts import read_model
from btswarm.engine.bars import Bars
from btswarm.engine.candles.load import load
from btswarm.engine.commands import certify
from btswarm.engine.ledger import Ledger
from btswarm.engine.progress import Silent
from btswarm.engine.split import split
from btswarm.engine.stages import run_stage
from btswarm.engine.strategies.api import Params
from btswarm.engine.strategies.mtf_ema import space_for
from btswarm.state.errors import BadConfig, BadData, InputGone
from btswarm.state.models.artifacts import Phase0
from btswarm.state.models.jobs import Inputs, Job, Volume
from btswarm.state.models.validation import Validation

from .case import best_of, leave_candidate, market

BARS = market()
TRAINING = split(BARS).training(BARS)


def write_candles(folder: Path, bars: Bars) -> Path:
    names = ("open", "high", "low", "close", "volume")
    columns = dict(zip(names, bars.columns, strict=True))
    path = folder / "SOLUSDT-1h.parquet"
    pl.DataFrame({"timestamp": bars.time, **columns}).write_parquet(path)
    return path


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_ROOT", str(tmp_path / "state"))
    leave_candidate(tmp_path / "round", TRAINING, best_of(TRAINING))
    data = write_candles(tmp_path, BARS)
    return [
        "--data-path",
        str(data),
        "--symbol",
        "SOL",
        "--from",
        str(tmp_path / "round"),
        "--paths",
        "20",
        "--permutations",
        "0",
    ]


def test_it_prints_the_verdict_the_figures_with_their_null_hypotheses_and_what_was_tried(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert certify.main(arguments) == 0
    said = capsys.readouterr().out
    assert said.startswith("SOLUSDT balanced: UNCERTIFIED")
    assert "not judged: no permutations were asked for" in said
    assert said.count("null hypothesis:") == len(certify.SHOWN)
    assert "looks at this hold-out: 1, 1 of them by this search" in said
    assert (tmp_path / "round" / "validation.json").exists()
    assert len(Ledger(tmp_path / "state" / "search_ledger.jsonl").entries()) == 2


def test_as_json_it_prints_the_artifact_and_appended_bars_keep_the_training_days(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_candles(tmp_path, market(510))
    assert certify.main([*arguments, "--json", "--mode", "balanced", "--out", str(tmp_path / "other")]) == 0
    said = orjson.loads(capsys.readouterr().out)
    assert said == orjson.loads((tmp_path / "other" / "validation.json").read_bytes())
    assert said["training_sha256"] == TRAINING.sha256
    assert said["split"]["holdout_days"] == 110


def test_what_cannot_be_validated_is_refused(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="is of mode balanced, not aggressive"):
        certify.main([*arguments, "--mode", "aggressive"])
    with pytest.raises(BadConfig, match="--paths"):
        certify.main([*arguments, "--paths", "-1"])
    with pytest.raises(InputGone, match="is no folder"):
        certify.main([*arguments, "--from", str(tmp_path / "nowhere")])
    write_candles(tmp_path, market(500, seed=5))
    with pytest.raises(BadData, match=r"not the .* training bars"):
        certify.main(arguments)
    assert not (tmp_path / "state").exists()


def test_the_stage_on_real_candles_takes_its_combos_from_the_prescreen(market_data: Path, tmp_path: Path) -> None:
    bars = load(str(market_data), "SOL").last_days(400)
    cut = split(bars)
    job = Job(
        job="r1/SOLUSDT/aggressive/prescreen",
        stage="prescreen",
        symbol=bars.symbol,
        mode="aggressive",
        inputs=Inputs(data=str(market_data)),
        volume=Volume(combos=600, top_k=20, paths=100, permutations=0),
        seed=5,
        out_dir=str(tmp_path),
    )
    (path,) = run_stage(job, bars, Silent())
    best = read_model(path, Phase0).rows[0]
    leave_candidate(tmp_path, cut.training(bars), Params.parse(best.params), space=space_for("aggressive"))
    another = job.volume.model_copy(update={"combos": 9_000})  # a plan may have changed since
    validate.run(job.model_copy(update={"stage": "validate", "seed": 0, "volume": another}), bars, Silent())
    found = read_model(tmp_path / "validation.json", Validation)
    assert (found.sample.seed, found.sample.combos) == (5, 600)
    assert found.deflated_sharpe.figures["combos_tried"].value == 600
    assert found.training == best.metrics
    assert found.counts.volume == {"prescreen": 600}
    assert found.holdout.metrics is not None
    assert found.split.holdout_days == 79
