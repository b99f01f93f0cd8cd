"""Days, gaps and times without a trade: each with its figure and its limit, on both sides of it."""

from dataclasses import replace

import numpy as np
import pytest

from btswarm.engine.candles.faults import NAMES
from btswarm.engine.candles.read import Raw, of_bars
from btswarm.engine.checks.rows import days_check, fault_checks, flat_check, gaps_check

from ..candles.raws import LATER, changed, rows_of, without
from ..market import walk

BASE = 5 * 60_000
HOUR = 12  # bars of 5 minutes


def market(days: float = 100) -> Raw:
    return of_bars(walk(days=days))


def cut(raw: Raw, start: int, count: int) -> Raw:
    return without(raw, *range(start, start + count))


def still(raw: Raw, start: int, count: int) -> Raw:
    """Nothing traded in `count` bars from `start` on."""
    price, columns = raw.close[start], {}
    for name in ("open", "high", "low", "close"):
        columns[name] = getattr(raw, name).copy()
        columns[name][start : start + count] = price
    volume = raw.volume.copy()
    volume[start : start + count] = 0
    return replace(raw, volume=volume, **columns)


@pytest.mark.parametrize(("days", "status"), [(89.99, "fail"), (90, "pass"), (400, "pass")])
def test_less_than_ninety_days_fail(days: float, status: str) -> None:
    check = days_check(market(days), BASE)
    assert check.status == status
    assert check.figure == pytest.approx(days, abs=0.01)
    assert check.limit == 90


def test_good_rows_pass_every_check_with_the_figure_0() -> None:
    checks = fault_checks(market(1), BASE, LATER)
    assert [check.name for check in checks] == list(NAMES)
    assert {(check.status, check.figure, check.limit) for check in checks} == {("pass", 0, 0)}


def test_a_fault_fails_with_the_number_of_its_rows_and_the_way_out() -> None:
    spoiled = changed(rows_of(market(1), 0, 1, 2, 2, 3, 5, 4, 6, 7), "low", 0, -1.0)
    failed = {check.name: check for check in fault_checks(spoiled, BASE, LATER) if check.status == "fail"}
    assert {name: check.figure for name, check in failed.items()} == {"order": 1, "duplicates": 1, "prices": 1}
    assert all(check.fix for check in failed.values())


def test_without_a_gap_nothing_is_missing() -> None:
    check = gaps_check(market(1), BASE)
    assert (check.status, check.figure) == ("pass", 0)


@pytest.mark.parametrize(
    ("bars", "status", "minutes"), [(1, "warn", 5), (2 * HOUR, "warn", 120), (2 * HOUR + 1, "fail", 125)]
)
def test_a_gap_of_two_hours_is_a_warning_and_a_longer_one_fails(bars: int, status: str, minutes: int) -> None:
    check = gaps_check(cut(market(200), 1000, bars), BASE)
    assert (check.status, check.figure, check.limit, check.unit) == (status, minutes, 120, "min")
    assert check.detail["missing"] == bars
    assert bool(check.fix) is (status == "fail")


@pytest.mark.parametrize(("bars", "status"), [(28, "warn"), (29, "fail")])
def test_more_than_a_tenth_of_a_percent_missing_fails_however_short_the_gaps(bars: int, status: str) -> None:
    whole = market(100)  # 28,800 bars
    check = gaps_check(without(whole, *range(100, 100 + 7 * bars, 7)), BASE)
    assert check.status == status
    assert check.detail["gaps"] == bars
    assert check.detail["missing_pct"] == pytest.approx(bars / 288, abs=1e-4)
    if status == "fail":
        assert check.figure == pytest.approx(bars / 288, abs=1e-4)
        assert (check.limit, check.unit) == (0.1, "%")


def test_gaps_are_seen_through_disorder_and_duplicates() -> None:
    gap = cut(market(200), 1000, 5)
    mixed = rows_of(gap, *range(len(gap) - 1, -1, -1), 7, 7)
    assert gaps_check(mixed, BASE) == gaps_check(gap, BASE)


@pytest.mark.parametrize(
    ("bars", "status", "minutes"),
    [(0, "pass", 0), (1, "warn", 5), (2 * HOUR, "warn", 120), (2 * HOUR + 1, "fail", 125)],
)
def test_two_hours_without_a_trade_are_a_warning_and_more_fails(bars: int, status: str, minutes: int) -> None:
    check = flat_check(still(market(10), 500, bars), BASE)
    assert (check.status, check.figure) == (status, minutes)


def test_two_times_without_a_trade_are_not_added_up_across_a_gap_or_a_trade() -> None:
    quiet = still(still(market(10), 500, 20), 530, 20)
    assert flat_check(quiet, BASE).figure == 100
    through = still(market(10), 500, 41)
    assert flat_check(without(through, 520), BASE).figure == 100
    assert flat_check(through, BASE).figure == 205


def test_no_volume_with_movement_and_no_movement_with_volume_are_trading() -> None:
    moving, flat = market(10), still(market(10), 500, 50)
    assert flat_check(replace(moving, volume=np.zeros(len(moving))), BASE).status == "pass"
    assert flat_check(replace(flat, volume=np.ones(len(flat))), BASE).status == "pass"
