"""`btswarm validate` and `btswarm data`: what they print, what they leave, what they exit with."""

import json
from pathlib import Path

import pytest

from btswarm.cli import main
from btswarm.engine.bars import Bars
from btswarm.engine.candles import read
from btswarm.engine.candles.load import load
from btswarm.engine.candles.synthetic import synthetic
from btswarm.engine.candles.write import parquet
from btswarm.engine.commands.validate import ALLOWABLE
from btswarm.engine.preflight import ALLOWABLE as REALLY_ALLOWABLE
from btswarm.engine.preflight import CHECKS
from btswarm.state.models.preflight import PreflightReport

from .candles.layouts import klines, rows, to_csv, to_json
from .candles.raws import decode_here
from .market import ms


@pytest.fixture(scope="module")
def bars() -> Bars:
    return synthetic("SOLUSDT", days=100, base_minutes=15, end_ms=ms("2023-04-11"))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_decode_apart", decode_here)
    monkeypatch.setenv("RESULTS_ROOT", str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def good(tmp_path: Path, bars: Bars) -> Path:
    path = tmp_path / "SOLUSDT-15m.parquet"
    path.write_bytes(parquet(bars))
    return path


@pytest.fixture
def shuffled(tmp_path: Path, bars: Bars) -> Path:
    """Two rows swapped and one twice."""
    lines = rows(bars)
    lines[5], lines[6] = lines[6], lines[5]
    path = tmp_path / "SOL_USDT-15m.json"
    path.write_bytes(to_json([*lines, lines[50]]))
    return path


def test_good_candles_are_valid(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--check-all", "--data-path", str(good.parent), "--symbol", "SOL"]) == 0
    said = capsys.readouterr().out
    assert all(f" {name} " in said for name in CHECKS)
    assert "9,600 bars of 15 min, 2023-01-01 00:00 to 2023-04-10 23:45 UTC" in said
    assert "passed, with " in said


def test_the_report_is_printed_and_written_as_json(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--data-path", str(good), "--mode", "balanced", "--json", "--output", "checked"]) == 0
    printed = PreflightReport.model_validate_json(capsys.readouterr().out)
    assert printed == PreflightReport.model_validate_json(Path("checked/preflight.json").read_bytes())
    assert (printed.symbol, printed.mode, printed.data.path) == ("SOLUSDT", "balanced", str(good))


def test_a_failed_check_exits_1_and_says_how_to_go_on(shuffled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--data-path", str(shuffled)]) == 1
    said = capsys.readouterr().out
    assert "FAILED   order" in said
    assert f"-> btswarm data convert {shuffled} --repair --output NEW.parquet" in said
    assert said.rstrip().endswith("failed: order, duplicates")


def test_a_failure_can_be_allowed_by_name(bars: Bars, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "SOLUSDT-15m.parquet"
    path.write_bytes(parquet(bars.slice(0, 5000)))
    assert main(["validate", "--data-path", str(path)]) == 1
    assert main(["validate", "--data-path", str(path), "--allow", "days"]) == 0
    assert "allowed  days" in capsys.readouterr().out
    Path("btswarm.toml").write_text('[plan]\nallow = ["days"]\n')
    assert main(["validate", "--data-path", str(path)]) == 0


def test_the_help_names_what_may_be_allowed() -> None:
    assert ", ".join(REALLY_ALLOWABLE) == ALLOWABLE


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--data-path", "nowhere.parquet"], 66),
        (["--data-path", "empty"], 65),
        (["--data-path", "broken.parquet", "--symbol", "SOL"], 65),
        (["--data-path", "SOLUSDT-15m.parquet", "--symbol", "BTC"], 64),
        (["--data-path", "SOLUSDT-15m.parquet", "--allow", "everything"], 64),
        (["--data-path", "SOLUSDT-15m.parquet", "--mode", "greedy"], 64),
        (["--data-path", "SOLUSDT-15m.parquet", "--engine", "cpu", "--gpu", "0"], 64),
        (["--data-path", "SOLUSDT-15m.parquet", "--gpu", "0"], 1),
    ],
)
def test_what_cannot_be_checked_is_refused_in_one_line(
    arguments: list[str], code: int, good: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good.with_name("broken.parquet").write_bytes(good.read_bytes()[:-2000])
    Path("empty").mkdir()
    if "empty" in arguments:
        arguments = [*arguments, "--symbol", "SOL"]
    assert main(["validate", "--check-all", *arguments]) == code
    said = capfd.readouterr().err
    assert said.count("\n") == (code != 1)
    assert "Traceback" not in said


def test_without_data_the_invented_market_is_validated_and_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--mode", "conservative"]) == 0
    assert "SYNTH, conservative: synthetic (invented: no real market" in capsys.readouterr().out


def test_data_check_counts_the_faults_and_exits_1(shuffled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(shuffled), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    figures = {check["name"]: check["figure"] for check in report["checks"] if check["status"] == "fail"}
    assert figures == {"order": 2, "duplicates": 1}
    assert not report["passed"]


def test_data_check_of_good_candles_exits_0_however_few_days(tmp_path: Path, bars: Bars) -> None:
    path = tmp_path / "SOLUSDT-15m-2023-01.csv"
    path.write_bytes(to_csv(klines(bars.slice(0, 200))))
    assert main(["data", "check", str(path)]) == 0


def test_data_list_shows_each_file_readable_or_not(
    good: Path, shuffled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good.with_name("BTCUSDT-5m.csv").write_text("<html>")
    good.with_name("BTC_USDT_USDT-8h-mark.feather").touch()
    assert main(["data", "list", "--json"]) == 0
    listed = {row["file"]: row for row in json.loads(capsys.readouterr().out)}
    assert len(listed) == 4
    assert (listed[good.name]["symbol"], listed[good.name]["rows"], listed[good.name]["state"]) == ("SOLUSDT", 9600, "")
    assert listed[shuffled.name]["state"] == "faults: order, duplicates"
    assert "no column" in listed["BTCUSDT-5m.csv"]["state"]
    assert main(["data", "list", str(good.parent)]) == 0
    assert "9,600 bars of 15 min, 2023-01-01 00:00 to 2023-04-10 23:45" in capsys.readouterr().out


def test_data_list_of_a_folder_without_candles_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    assert "no candle files" in capsys.readouterr().out
    assert main(["data", "list", "nowhere"]) == 66


def test_convert_writes_the_same_candles_into_a_new_file(
    tmp_path: Path, bars: Bars, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "dump.csv"
    source.write_bytes(to_csv(klines(bars)))
    assert main(["data", "convert", str(source), "--symbol", "SOL", "--output", str(tmp_path)]) == 0
    assert f"sha256 {bars.sha256}" in capsys.readouterr().out
    assert load(tmp_path, "SOL").sha256 == bars.sha256


def test_convert_joins_the_months_of_a_market(tmp_path: Path, bars: Bars) -> None:
    months = []
    for month, (start, stop) in enumerate([(0, 3000), (3000, 6000), (5900, 9600)]):
        path = tmp_path / f"SOLUSDT-15m-2023-0{month + 1}.csv"
        path.write_bytes(to_csv(klines(bars.slice(start, stop), 1000 if month else 1)))
        months.append(str(path))
    assert main(["data", "convert", *months, "--output", "all.parquet"]) == 65
    assert main(["data", "convert", *months[:2], "--output", "two.parquet"]) == 0
    assert main(["data", "convert", *months, "--repair", "--output", "all.parquet"]) == 0
    assert load("all.parquet", "SOL").sha256 == bars.sha256


def test_repair_mends_into_a_new_file_and_leaves_the_old_one(
    shuffled: Path, bars: Bars, capsys: pytest.CaptureFixture[str]
) -> None:
    before = shuffled.read_bytes()
    assert main(["data", "convert", str(shuffled), "--output", "new.parquet"]) == 65
    assert not Path("new.parquet").exists()
    assert main(["data", "convert", str(shuffled), "--repair", "--output", "new.parquet"]) == 0
    said = capsys.readouterr().out
    assert "sorted 9,601 rows that went back in time at 2 places\ndropped 1 exact duplicates\nwrote 9,600 bars" in said
    assert shuffled.read_bytes() == before
    assert load("new.parquet", "SOL").sha256 == bars.sha256


@pytest.mark.parametrize("output", ["taken.parquet", "SOLUSDT-15m.parquet", "link.parquet", "new.csv"])
def test_nothing_that_exists_is_ever_replaced(good: Path, output: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("taken.parquet").write_text("mine")
    Path("link.parquet").symlink_to("nowhere")
    before = {path: path.read_bytes() for path in good.parent.iterdir() if path.is_file()}
    assert main(["data", "convert", str(good), "--repair", "--output", output]) == 64
    assert capfd.readouterr().err.count("\n") == 1
    assert {path: path.read_bytes() for path in good.parent.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("output", ["BTCUSDT-15m.parquet", "SOLUSDT-PERP-15m.parquet", "SOLUSDT-5m.parquet"])
def test_a_name_that_says_another_market_or_timeframe_is_refused(
    good: Path, tmp_path: Path, output: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / output
    assert main(["data", "convert", str(good), "--output", str(path)]) == 64
    assert f"use --output {path.with_name('SOLUSDT-15m.parquet')}" in capfd.readouterr().err
    assert not path.parent.exists()
    for fits in ("SOL_USDT-15m.parquet", "mine.parquet", "2024 copy.parquet"):
        assert main(["data", "convert", str(good), "--output", str(tmp_path / "new" / fits)]) == 0


def test_a_contradiction_is_not_mended(tmp_path: Path, bars: Bars, capfd: pytest.CaptureFixture[str]) -> None:
    lines = rows(bars)
    (tmp_path / "two.json").write_bytes(to_json([*lines, [*lines[-1][:5], 1.25]]))
    assert main(["data", "convert", "two.json", "--symbol", "SOL", "--repair", "--output", "new.parquet"]) == 65
    assert "with other values" in capfd.readouterr().err
    assert not Path("new.parquet").exists()


def test_a_full_disk_leaves_nothing_behind(
    good: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    before = sorted(good.parent.iterdir())
    monkeypatch.setattr("os.write", full)
    assert main(["data", "convert", str(good), "--output", "new.parquet"]) == 73
    assert "no space left" in capfd.readouterr().err
    assert sorted(good.parent.iterdir()) == before


def test_fetching_says_what_to_use_instead(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "--symbol", "SOL", "--days", "800"]) == 64
    assert "freqtrade download-data" in capfd.readouterr().err


def test_the_invented_market_is_no_file_to_check(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "synthetic"]) == 65
    assert "names the invented market" in capfd.readouterr().err
