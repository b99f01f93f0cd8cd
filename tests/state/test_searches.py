"""What the ledger says of each search, as it grows."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from btswarm.engine.validation.thresholds import LOOK_ALPHA
from btswarm.state.ledger_file import LedgerFile
from btswarm.state.models.ledger import LOOKS
from btswarm.state.searches import Searches

SOL, BTC = "SOLUSDT/balanced/mtf_ema:aa/2024-01-01", "BTCUSDT/balanced/mtf_ema:bb/2024-01-01"
BEGINS = "2026-01-10"
NOW = datetime(2026, 7, 10, tzinfo=UTC).timestamp()
DAY = 86_400.0


class Written:
    """A real ledger whose entries are made at `at`."""

    def __init__(self, folder: Path) -> None:
        self.path, self.at = folder / "search_ledger.jsonl", NOW
        self._file = LedgerFile(self.path, now=lambda: self.at)

    def add(self, kind: str, search: str = SOL, **facts: Any) -> None:
        symbol, mode = search.split("/")[:2] if search else ("SOLUSDT", "")
        days = {"holdout_from": BEGINS, "holdout_to": "2026-07-09"}
        with self._file.opened() as book:
            entry = {"kind": kind, "search": search, "symbol": symbol, "mode": mode, **days, **facts}
            self._file.append(book, entry)


@pytest.fixture
def ledger(tmp_path: Path) -> Written:
    return Written(tmp_path)


def test_a_hold_out_bears_as_many_looks_as_the_statistics_spend() -> None:
    assert len(LOOK_ALPHA) == LOOKS


def test_no_ledger_says_nothing_and_is_no_fault(ledger: Written) -> None:
    searches = Searches(ledger.path)
    searches.refresh()
    assert (searches.views(NOW), searches.fault) == ({}, "")


def test_looks_and_verdicts_are_counted_as_the_ledger_grows(ledger: Written) -> None:
    searches = Searches(ledger.path)
    ledger.add("search")
    searches.refresh()
    ledger.add("look", k=1)
    ledger.add("verdict", k=1, verdict="REJECTED")
    searches.refresh()
    view = searches.views(NOW)[SOL]
    assert (view.looks, view.k, view.spent_until, view.verdict) == (1, 1, "", "REJECTED")


def test_after_the_last_look_it_is_spent_until_the_hold_out_has_moved_on(ledger: Written) -> None:
    for _ in range(LOOKS):
        ledger.add("look")
    searches = Searches(ledger.path)
    searches.refresh()
    assert searches.views(NOW)[SOL].spent_until == "2026-02-09"
    assert searches.views(NOW + 29 * DAY)[SOL].spent_until == "2026-02-09"
    moved_on = searches.views(NOW + 30 * DAY)[SOL]
    assert (moved_on.spent_until, moved_on.k, moved_on.looks) == ("", 0, LOOKS)


def test_candles_that_were_not_renewed_are_found_spent_again(ledger: Written) -> None:
    for _ in range(LOOKS):
        ledger.add("look")
    ledger.at = NOW + 30 * DAY
    ledger.add("search")  # the next round met the same hold-out
    searches = Searches(ledger.path)
    searches.refresh()
    assert searches.views(ledger.at)[SOL].spent_until == "2026-02-09"


def test_looks_of_one_space_count_whatever_the_training_window(ledger: Written) -> None:
    moved = SOL.replace("2024-01-01", "2024-02-01")
    for search in (SOL, SOL, moved):
        ledger.add("look", search)
    ledger.add("look", BTC)
    searches = Searches(ledger.path)
    searches.refresh()
    views = searches.views(NOW)
    assert [(key, one.looks, one.k) for key, one in views.items()] == [(SOL, 2, 3), (moved, 1, 3), (BTC, 1, 1)]


def test_a_search_that_was_entered_again_stands_last(ledger: Written) -> None:
    for search in (SOL, BTC, SOL):
        ledger.add("search", search)
    searches = Searches(ledger.path)
    searches.refresh()
    assert list(searches.views(NOW)) == [BTC, SOL]


def test_an_exposure_is_no_search(ledger: Written) -> None:
    ledger.add("exposure", "")
    searches = Searches(ledger.path)
    searches.refresh()
    assert (searches.views(NOW), searches.fault) == ({}, "")


def test_a_line_that_is_still_written_waits_for_its_end(ledger: Written) -> None:
    ledger.add("look")
    ledger.add("look")
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole[:-20])
    searches = Searches(ledger.path)
    searches.refresh()
    assert searches.views(NOW)[SOL].looks == 1
    ledger.path.write_bytes(whole)
    searches.refresh()
    assert (searches.views(NOW)[SOL].looks, searches.fault) == (2, "")


def test_an_edited_ledger_is_told_and_what_it_said_before_stands(ledger: Written) -> None:
    ledger.add("look")
    searches = Searches(ledger.path)
    searches.refresh()
    ledger.add("look")
    text = ledger.path.read_bytes()
    ledger.path.write_bytes(text.replace(b'"seq":2', b'"seq":5'))
    searches.refresh()
    assert "line 2 does not follow" in searches.fault
    assert searches.views(NOW)[SOL].looks == 1


def test_another_file_under_the_name_is_read_from_its_beginning(ledger: Written) -> None:
    ledger.add("look")
    searches = Searches(ledger.path)
    searches.refresh()
    ledger.path.rename(ledger.path.with_suffix(".old"))
    (ledger.path.with_suffix(".head")).unlink()
    ledger.add("look", BTC)
    searches.refresh()
    assert list(searches.views(NOW)) == [BTC]
