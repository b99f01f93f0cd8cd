"""Figures as a person reads them."""

import math

import pytest

from btswarm.engine.tearsheet import words


@pytest.mark.parametrize(
    ("x", "shown"),
    [(0.1234, "12.3%"), (-0.05, "−5.0%"), (123.4, "12,340%"), (0.0, "0.0%"), (-0.0001, "0.0%")],
)
def test_a_fraction_is_shown_in_percent(x: float, shown: str) -> None:
    assert words.percent(x).text == shown


def test_a_sign_is_shown_where_it_is_asked_for_and_never_on_zero() -> None:
    assert words.percent(0.01, signed=True).text == "+1.0%"
    assert words.percent(0.00001, signed=True).text == "0.0%"


@pytest.mark.parametrize("x", [None, math.nan, math.inf, -math.inf])
def test_what_is_undefined_is_a_dash_with_its_reason(x: float | None) -> None:
    for show in (words.percent, words.number, words.money, words.whole, words.duration):
        value = show(x, why="no trade")
        assert (value.text, value.why, value.defined) == ("—", "no trade", False)


def test_an_undefined_figure_without_a_reason_still_says_that_it_is_not_defined() -> None:
    assert words.number(None).why == "not defined"


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [(5, "5 min"), (60, "1 h"), (95, "1 h 35 min"), (1440, "1 d"), (1500, "1 d 1 h"), (1440 * 250 + 60, "250 d")],
)
def test_a_span_is_shown_in_its_two_largest_units(minutes: int, shown: str) -> None:
    assert words.duration(minutes * 60_000).text.replace("\N{NO-BREAK SPACE}", " ") == shown


@pytest.mark.parametrize(("minutes", "shown"), [(15, "15 min"), (90, "90 min"), (240, "4 h"), (2880, "2 d")])
def test_a_timeframe_is_shown_in_the_unit_that_divides_it(minutes: int, shown: str) -> None:
    assert words.timeframe(minutes).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_days_and_moments_are_utc() -> None:
    assert words.day(19782).replace("\N{NO-BREAK SPACE}", " ") == "29 Feb 2024"
    assert words.stamp(1_709_164_800_000) == "2024-02-29 00:00"


@pytest.mark.parametrize(
    ("x", "shown"), [(0.01, "0.01"), (950, "950"), (12_500, "12.5k"), (3e6, "3M"), (1.4e14, "140T"), (2e20, "2.0e+20")]
)
def test_an_amount_fits_beside_an_axis(x: float, shown: str) -> None:
    assert words.compact(x) == shown


def test_a_huge_percentage_is_written_short() -> None:
    assert words.percent(1.38e10, signed=True).text == "+1.4e+12%"
