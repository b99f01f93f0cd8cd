"""The page as a file: whole, small, silent on the network, the same every time, and nobody's instrument."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from btswarm.engine.bars import Bars
from btswarm.engine.tearsheet.configuration import sheet_of
from btswarm.engine.tearsheet.render import SECTIONS, TEMPLATES, page
from btswarm.engine.tearsheet.sheet import Reproduction, Sheet
from btswarm.engine.tearsheet.trade_list import sheet_of as sheet_of_list
from btswarm.engine.tearsheet.trade_table import Reading

from ..market import walk
from .helpers import Page, best_folder, trade

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{7*7}}"


@pytest.fixture(scope="module")
def bars() -> Bars:
    return walk(days=400, minutes=15)


@pytest.fixture(scope="module")
def sheet(bars: Bars, tmp_path_factory: pytest.TempPathFactory) -> Sheet:
    return sheet_of(best_folder(tmp_path_factory.mktemp("out"), "best_sharpe", bars), bars)


def test_the_page_asks_the_network_for_nothing(sheet: Sheet) -> None:
    content = page(sheet)
    assert b"http://" not in content
    assert b"https://" not in content
    seen = Page(content)
    assert not {"link", "iframe", "img", "object", "base"} & set(seen.tags)
    assert not [value for name, value in seen.attributes if name in ("src", "href", "action")]
    assert not re.search(rb"url\(|@import", content)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'") in seen.attributes


def test_the_page_is_small(sheet: Sheet) -> None:
    assert len(page(sheet)) < 300_000


def test_the_same_sheet_gives_the_same_bytes(sheet: Sheet) -> None:
    assert page(sheet) == page(sheet)


def test_the_page_can_be_read_without_its_script(sheet: Sheet) -> None:
    without = re.sub(rb"<script>.*?</script>", b"", page(sheet), flags=re.S)
    text = Page(without).text
    for said in ("NOT JUDGED", "Total return", "Drawdown", "Months", "Rolling Sharpe", "trades, newest first"):
        assert said in text


def test_hostile_names_stay_text() -> None:
    one = trade(0, 1, 0.1, reason=HOSTILE)
    reading = Reading((one, trade(1, 2, -0.1)), None, (("Trades", HOSTILE),))
    hostile = replace(
        sheet_of_list(HOSTILE, reading, 1000.0, HOSTILE),
        eyebrow=HOSTILE,
        summary=HOSTILE,
        notes=[HOSTILE],
        benchmark_note=HOSTILE,
        equity_note=HOSTILE,
        reproduction=Reproduction(rows=[(HOSTILE, HOSTILE)], files=[(HOSTILE, HOSTILE)], command=HOSTILE, note=HOSTILE),
    )
    seen = Page(page(hostile))
    assert seen.tags.count("script") == 2
    assert "img" not in seen.tags
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert "{{7*7}}" in seen.text


def test_no_tag_and_no_path_is_broken(sheet: Sheet) -> None:
    seen = Page(page(sheet))
    drawn = [value or "" for name, value in seen.attributes if name == "d"]
    assert drawn
    assert all(re.fullmatch(r"[MLHVZhv0-9. -]+", d) for d in drawn)


def test_text_of_charts_is_text_of_the_page_and_never_small(sheet: Sheet) -> None:
    assert "text" not in Page(page(sheet)).tags
    style = (TEMPLATES / "style.css").read_text()
    sizes = [float(size) for size in re.findall(r"font-size: (?:clamp\()?([\d.]+)rem", style)]
    assert sizes
    assert min(sizes) * 16 >= 11


def test_synthetic_data_are_said_to_be_so_loudly(bars: Bars, tmp_path: Path) -> None:
    invented = sheet_of(best_folder(tmp_path, "best_sharpe", bars, synthetic=True), bars)
    text = Page(page(invented)).text
    assert text.count("Synthetic data") == 2


def test_real_data_are_not_said_to_be_synthetic(sheet: Sheet) -> None:
    assert "ynthetic" not in Page(page(sheet)).text


def test_every_section_has_its_template_and_every_template_its_use() -> None:
    sections = {f"{name}.html" for name, _ in SECTIONS}
    assert {one.name for one in TEMPLATES.iterdir()} == sections | {
        "page.html",
        "macros.html",
        "style.css",
        "hover.js",
    }


def test_light_and_dark_define_the_same_colours() -> None:
    style = (TEMPLATES / "style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, flags=re.S)
    colours = [set(re.findall(r"(--[a-z-]+):", block)) - {"--sans", "--mono", "--gutter"} for block in blocks]
    full = [one for one in colours if len(one) > 3]
    assert len(full) == 3
    assert full[0] == full[1] == full[2]
