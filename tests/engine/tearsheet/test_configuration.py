"""A best folder becomes a sheet, and the hold-out stays where it belongs."""

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from btswarm.engine.bars import DAY_MS, Bars
from btswarm.engine.commands import backtest
from btswarm.engine.costs import Costs
from btswarm.engine.kernels.exact import simulate
from btswarm.engine.metrics import jsonable, metrics
from btswarm.engine.split import split
from btswarm.engine.tearsheet.configuration import sheet_of
from btswarm.engine.tearsheet.render import page
from btswarm.state.errors import BadData, InputGone, StorageBroken

from ..market import walk
from .helpers import PARAMS, Page, best_folder, validated


@pytest.fixture(scope="module")
def bars() -> Bars:
    return walk(days=400, minutes=15)


@pytest.fixture(scope="module")
def looked_at(bars: Bars, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose candidate was validated; nobody writes into it."""
    return validated(tmp_path_factory.mktemp("validated"), bars)


def with_another_future(bars: Bars) -> Bars:
    """The same candles up to the end of training, other ones after it."""
    later = bars.time >= split(bars).train_to
    swing = 1.0 + 0.3 * np.sin(np.arange(len(bars)) / 700.0)
    moved = {name: getattr(bars, name) * np.where(later, swing, 1.0) for name in ("open", "high", "low", "close")}
    return replace(bars, **moved)


def test_the_page_shows_the_exact_metrics_of_training(bars: Bars, tmp_path: Path) -> None:
    sheet = sheet_of(best_folder(tmp_path, "best_sharpe", bars), bars)
    result = simulate(split(bars).training(bars), PARAMS, Costs(), 2.0)
    assert sheet.main.metrics == jsonable(metrics(result))
    assert sheet.main.equity == pytest.approx(result.equity)
    assert not sheet.notes


@pytest.mark.parametrize("name", ["best_sharpe", "best_returns", "lowest_drawdown", "best_winrate", "best_robust"])
def test_bars_after_training_change_no_byte_of_a_page_that_has_no_look(name: str, bars: Bars, tmp_path: Path) -> None:
    folder = best_folder(tmp_path, name, bars)
    ends_in_training = split(bars).training(bars)
    pages = {page(sheet_of(folder, one)) for one in (bars, with_another_future(bars), ends_in_training)}
    assert len(pages) == 1


@pytest.mark.parametrize("name", ["best_sharpe", "best_returns", "lowest_drawdown", "best_winrate"])
def test_no_other_best_shows_the_hold_out_even_when_it_was_looked_at(
    name: str, bars: Bars, looked_at: Path, tmp_path: Path
) -> None:
    folder = best_folder(tmp_path, name, bars)
    shutil.copy(looked_at / "validation.json", tmp_path)
    sheet = sheet_of(folder, bars)
    assert sheet.hold_out is None
    assert sheet.main.last_day < split(bars).embargo.first
    assert "Hold-out" not in Page(page(sheet)).text


def test_the_validated_candidate_shows_the_hold_out_it_was_looked_at_on(bars: Bars, looked_at: Path) -> None:
    sheet, cut = sheet_of(looked_at / "best_robust", bars), split(bars)
    assert sheet.hold_out is not None
    assert sheet.hold_out.first_day == cut.holdout.first
    assert sheet.hold_out.last_day == cut.holdout.stop - 1
    start, stop = cut.holdout_range(bars)
    expected = simulate(bars.slice(0, stop), PARAMS, Costs(), 2.0, trade_from=start)
    assert sheet.hold_out.metrics == jsonable(metrics(expected))
    assert all(one.entry_time >= cut.holdout.first * DAY_MS for one in sheet.hold_out.trades)
    assert not sheet.notes


def test_the_page_of_a_candidate_shows_every_part_of_its_validation(bars: Bars, looked_at: Path) -> None:
    content = page(sheet_of(looked_at / "best_robust", bars))
    text = Page(content).text
    said = (
        "REJECTED",
        "Against luck",
        "Both in one",
        "2 null markets",
        "At twice the costs",
        "Gates",
        "Walk-forward",
        "Plateau",
        "Cost stress",
        "Monte Carlo",
    )
    assert [one for one in (*said, "Statistics", "Null hypothesis", "Looks at the hold-out") if one not in text] == []
    assert len(content) < 300_000


def nulled(raw: Any) -> Any:
    """A validation in which nothing could be computed: every figure null for a reason, every fold and metric gone."""
    if isinstance(raw, list):
        return [nulled(one) for one in raw]
    if not isinstance(raw, dict):
        return raw
    if set(raw) == {"value", "reason"}:
        return {"value": None, "reason": "nothing was there"}
    emptied: dict[str, Any] = {
        "folds": [],
        "logits": None,
        "metrics": None,
        "metrics_at_twice_the_costs": None,
        "look": None,
    }
    found: dict[str, Any] = {name: emptied[name] if name in emptied else nulled(one) for name, one in raw.items()}
    if "sharpes" in found:
        found["sharpes"] = [None] * len(found["sharpes"])
    if "multiple" in found:
        found["reason"] = "refused at these costs"
    return found


def test_a_validation_in_which_nothing_is_defined_still_makes_a_page_that_says_why(
    bars: Bars, looked_at: Path, tmp_path: Path
) -> None:
    folder = best_folder(tmp_path, "best_robust", bars)
    found = nulled(orjson.loads((looked_at / "validation.json").read_bytes()))
    found["gates"] = [one | {"value": None, "passed": False} for one in found["gates"]]
    (tmp_path / "validation.json").write_bytes(orjson.dumps(found))
    text = Page(page(sheet_of(folder, bars))).text
    assert text.count("— nothing was there") > 40
    assert "refused at these costs" in text
    assert "0 of 11 met" in text
    assert [text[max(0, at.start() - 60) : at.end()] for at in re.finditer(r"\b(None|nan|inf)\b", text)] == []


def test_drawing_the_page_is_no_look(bars: Bars, looked_at: Path) -> None:
    before = (looked_at / "search_ledger.jsonl").read_bytes()
    sheet_of(looked_at / "best_robust", bars)
    assert (looked_at / "search_ledger.jsonl").read_bytes() == before


def test_a_candidate_whose_hold_out_was_spent_shows_none_and_says_why(
    bars: Bars, looked_at: Path, tmp_path: Path
) -> None:
    folder = best_folder(tmp_path, "best_robust", bars)
    found = orjson.loads((looked_at / "validation.json").read_bytes())
    held = found["holdout"]
    held |= {"look": None, "metrics": None, "metrics_at_twice_the_costs": None}
    held["figures"] = {name: {"value": None, "reason": "the hold-out is spent"} for name in held["figures"]}
    (tmp_path / "validation.json").write_bytes(orjson.dumps(found))
    sheet = sheet_of(folder, bars)
    assert sheet.hold_out is None
    assert "— the hold-out is spent" in Page(page(sheet)).text


def test_a_validation_of_another_configuration_is_not_this_ones(bars: Bars, looked_at: Path, tmp_path: Path) -> None:
    folder = best_folder(tmp_path, "best_robust", bars, replace(PARAMS, stop_loss=0.03))
    shutil.copy(looked_at / "validation.json", tmp_path)
    sheet = sheet_of(folder, bars)
    assert sheet.hold_out is None
    assert sheet.validation is None
    assert "about another configuration" in sheet.notes[0]


def test_a_hold_out_on_other_candles_is_said_to_differ(bars: Bars, looked_at: Path) -> None:
    sheet = sheet_of(looked_at / "best_robust", with_another_future(bars))
    assert any("On the hold-out" in note for note in sheet.notes)


def test_a_hold_out_the_candles_do_not_reach_is_not_drawn(bars: Bars, looked_at: Path) -> None:
    assert sheet_of(looked_at / "best_robust", bars.slice(0, len(bars) - 500)).hold_out is None


def test_other_candles_are_refused(bars: Bars, tmp_path: Path) -> None:
    folder = best_folder(tmp_path, "best_sharpe", bars)
    with pytest.raises(BadData, match="other candles"):
        sheet_of(folder, replace(bars, close=bars.close * 1.0001))
    with pytest.raises(BadData, match="other candles"):
        sheet_of(folder, bars.slice(0, 0))


def test_stored_metrics_that_do_not_come_out_again_are_pointed_out(bars: Bars, tmp_path: Path) -> None:
    folder = best_folder(tmp_path, "best_sharpe", bars)
    path = folder / "metrics.json"
    stored = orjson.loads(path.read_bytes())
    stored["metrics"]["sharpe"] += 0.1
    path.write_bytes(orjson.dumps(stored))
    assert "sharpe came out different from metrics.json" in sheet_of(folder, bars).notes[0]


def test_a_folder_without_its_configuration_is_refused(bars: Bars, tmp_path: Path) -> None:
    with pytest.raises(InputGone):
        sheet_of(tmp_path / "best_sharpe", bars)


@pytest.mark.parametrize(("content", "error"), [(b"{", BadData), (b"{}", BadData), (b'{"v": 99}', StorageBroken)])
def test_a_damaged_or_newer_validation_is_refused(
    content: bytes, error: type[Exception], bars: Bars, tmp_path: Path
) -> None:
    folder = best_folder(tmp_path, "best_robust", bars)
    (tmp_path / "validation.json").write_bytes(content)
    with pytest.raises(error):
        sheet_of(folder, bars)


def test_the_command_on_the_page_gives_the_figures_on_the_page(
    bars: Bars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    sheet = sheet_of(best_folder(tmp_path, "best_sharpe", bars), bars)
    frame = pl.DataFrame(
        {"timestamp": bars.time, **dict(zip(("open", "high", "low", "close", "volume"), bars.columns, strict=True))}
    )
    monkeypatch.chdir(tmp_path)
    frame.write_parquet("SOLUSDT-15m.parquet")
    for name, content in sheet.reproduction.files:
        Path(name).write_text(content)
    words = shlex.split(sheet.reproduction.command)
    assert words[:2] == ["btswarm", "backtest"]
    assert backtest.main(words[2:]) == 0
    (found,) = orjson.loads(capfd.readouterr().out)
    assert found["metrics"] == pytest.approx(dict(sheet.main.metrics))
    assert len(found["trades"]) == len(sheet.main.trades)
