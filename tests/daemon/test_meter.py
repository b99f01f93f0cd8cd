"""Agents' calls under watch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from btswarm.daemon.meter import AlarmMeter, BlackBox


@pytest.fixture
def meter() -> Iterator[AlarmMeter]:
    with AlarmMeter() as made:
        yield made


def endless() -> int:
    n = 0
    while True:
        try:
            n += 1
        except Exception:  # noqa: BLE001  what a bad agent does
            return n


def test_what_comes_back_in_time_is_the_value(meter: AlarmMeter) -> None:
    metered = meter.call("watchdog", 5.0, lambda: 42)
    assert (metered.value, metered.error, metered.overran) == (42, "", False)


def test_what_raises_is_told_and_contained(meter: AlarmMeter) -> None:
    empty: dict[str, int] = {}
    metered = meter.call("watchdog", 5.0, lambda: empty["nothing"])
    assert metered.value is None
    assert metered.error == "KeyError: 'nothing'"


def test_an_endless_call_is_interrupted_past_its_own_excepts(meter: AlarmMeter) -> None:
    metered = meter.call("watchdog", 0.02, endless)
    assert metered.overran
    assert meter.call("watchdog", 5.0, lambda: 1).value == 1


def test_the_black_box_counts_deaths_in_a_row_inside_the_same_agent(tmp_path: Path) -> None:
    for expected in (1, 2):
        BlackBox(tmp_path / "box").enter("watchdog")  # and then the process dies
        box = BlackBox(tmp_path / "box")
        assert (box.last, box.deaths) == ("watchdog", expected)
    box.enter("consensus")
    assert BlackBox(tmp_path / "box").deaths == 1
    assert BlackBox(tmp_path / "box").deaths == 0
