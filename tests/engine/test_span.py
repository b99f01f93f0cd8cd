"""--from and --to of commands: whole UTC days, both included."""

import argparse

import pytest

from btswarm.engine.bars import Bars
from btswarm.engine.commands.shared import add_span, days_of
from btswarm.state.errors import BadConfig

from .market import ms, walk


def cut(bars: Bars, *arguments: str) -> Bars:
    parser = argparse.ArgumentParser()
    add_span(parser)
    return days_of(bars, parser.parse_args(arguments))


def test_both_days_are_included_whole() -> None:
    found = cut(walk("2024-01-01", 10), "--from", "2024-01-03", "--to", "2024-01-04")
    assert found.time[0] == ms("2024-01-03")
    assert found.time[-1] == ms("2024-01-04T23:55")


def test_each_end_may_stay_open() -> None:
    bars = walk("2024-01-01", 10)
    assert len(cut(bars)) == len(bars)
    assert cut(bars, "--from", "2024-01-10").time[-1] == bars.time[-1]
    assert cut(bars, "--to", "2024-01-01").time[0] == bars.time[0]


def test_a_span_without_candles_is_refused() -> None:
    with pytest.raises(BadConfig, match="no candles from 2025-01-01"):
        cut(walk("2024-01-01", 10), "--from", "2025-01-01")
    with pytest.raises(BadConfig):
        cut(walk("2024-01-01", 10), "--from", "2024-01-05", "--to", "2024-01-04")


def test_what_is_no_day_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cut(walk("2024-01-01", 1), "--to", "tomorrow")
    assert "'tomorrow' is no day; write it as 2024-01-31" in capsys.readouterr().err
