"""Equity out of nothing but trades."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.engine.tearsheet.render import page
from btswarm.engine.tearsheet.sheet import Trade
from btswarm.engine.tearsheet.trade_list import sheet_of
from btswarm.engine.tearsheet.trade_table import Reading

from .helpers import Page, trade


def listed(*trades: Trade) -> Reading:
    return Reading(tuple(sorted(trades, key=lambda one: one.exit_time)), None, ())


def test_equity_compounds_at_each_exit_and_stands_still_between() -> None:
    sheet = sheet_of("x", listed(trade(0, 1, 0.1), trade(2, 3.5, -0.5)), 1000.0, "f.csv")
    assert sheet.main.equity == pytest.approx([1.0, 1.1, 1.1, 0.55])
    assert sheet.main.metrics["total_return"] == pytest.approx(-0.45)
    assert sheet.main.metrics["max_drawdown_daily"] == pytest.approx(0.5)


def test_profits_in_money_are_taken_over_the_equity_of_the_moment() -> None:
    reading = Reading((trade(0, 1, np.nan), trade(1, 2, np.nan)), (100.0, -550.0), ())
    sheet = sheet_of("x", reading, 1000.0, "f.csv")
    assert [one.net_return for one in sheet.main.trades] == pytest.approx([0.1, -0.5])
    assert sheet.main.equity[-1] == pytest.approx(0.55)


def test_nothing_is_traded_after_ruin() -> None:
    reading = Reading((trade(0, 1, np.nan), trade(1, 2, np.nan)), (-2000.0, 5000.0), ())
    sheet = sheet_of("x", reading, 1000.0, "f.csv")
    assert sheet.main.equity == pytest.approx([1.0, 0.0, 0.0])
    assert "nan" not in Page(page(sheet)).text.lower()


def test_overlapping_trades_are_counted_and_said() -> None:
    sheet = sheet_of("x", listed(trade(0, 5, 0.1), trade(1, 2, 0.1), trade(6, 7, 0.1)), 1000.0, "f.csv")
    assert sheet.notes[0].startswith("1 trade begins before")
    assert sheet.main.metrics["exposure"] == pytest.approx(6 / 7)


def test_figures_a_list_cannot_give_are_dashes_with_their_reason() -> None:
    text = Page(page(sheet_of("x", listed(trade(0, 0, 0.1)), 1000.0, "f.csv"))).text
    assert "— not known between trades" in text
    assert "— no losing trade" in text
    assert "The only trade" in text


def test_the_page_says_how_the_equity_was_made_and_that_nothing_was_judged() -> None:
    text = Page(page(sheet_of("x", listed(trade(0, 1, 0.1)), 1000.0, "f.csv"))).text
    assert "Equity compounds at the exit of each trade" in text
    assert "NOT JUDGED" in text


TRADES = st.tuples(
    st.floats(0, 4000), st.floats(0, 400), st.floats(-1, 1e3), st.sampled_from([1, -1, 0]), st.text(max_size=5)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(TRADES, min_size=1, max_size=30), st.floats(0.01, 1e12))
def test_any_list_of_trades_makes_a_well_formed_page(
    rows: list[tuple[float, float, float, int, str]], capital: float
) -> None:
    trades = [trade(start, start + span, net, side, reason) for start, span, net, side, reason in rows]
    content = page(sheet_of("x", listed(*trades), capital, "f.csv"))
    seen = Page(content)
    assert not {"nan%", "inf%", "nan×", "inf×", "None"} & set(seen.text.split())
    assert all("nan" not in (value or "") for name, value in seen.attributes if name in ("d", "style"))
