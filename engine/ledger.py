"""The search ledger: what was searched, and how often the sealed hold-out was looked at, across runs and restarts.

A search is (symbol, mode, strategy and space, first training day); bars appended to its training bars continue it.
Looks attach to the symbol's UTC days, whatever the file they were read from. An entry is on the disk before its caller
goes on, so a result that was ever shown is a result that was entered.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson

from ..state.ledger_file import LedgerFile
from ..state.models.ledger import RENEWED_AFTER_DAYS, Entry
from .bars import DAY_MS, Bars
from .split import Days, Split
from .strategies.mtf_ema import NAME as STRATEGY
from .strategies.mtf_ema import Space
from .validation.thresholds import LOOK_ALPHA

NAME = "search_ledger.jsonl"


@dataclass(frozen=True)
class Look:
    """The permission to evaluate one candidate on the hold-out, or the day from which there is one again.

    `fresh` is false when this very look was entered before. Without `entry` the hold-out is spent until it begins on
    `spent_until` or later.
    """

    entry: Entry | None
    fresh: bool = False
    spent_until: str | None = None


class Ledger:
    """One `search_ledger.jsonl`, shared by any number of processes. `say` hears about a mended line."""

    def __init__(self, path: Path, *, say: Callable[[str], None] = lambda text: None) -> None:
        self.file = LedgerFile(path, say=say)

    def entries(self) -> list[Entry]:
        """All entries, verified. Raises StorageBroken naming the line that was edited, cut off or is newer."""
        return self.file.read()

    def lines(self) -> bytes:
        """All whole lines as they stand, verified: a copy of them is a ledger."""
        entries = self.entries()
        raw = self.file.path.read_bytes() if entries else b""
        return b"".join(raw.splitlines(keepends=True)[: len(entries)])

    def history(self, search: str) -> list[Entry]:
        """The entries of one search in order."""
        return [entry for entry in self.entries() if entry.search == search]

    def looks(self, symbol: str, days: Days) -> list[Entry]:
        """The looks of any search that saw one of these UTC days of the symbol."""
        return [entry for entry in self.entries() if entry.kind == "look" and _sees(entry, symbol, days)]

    def exposures(self, symbol: str, days: Days) -> list[Entry]:
        """The backtests outside a search that saw one of these UTC days of the symbol."""
        return [entry for entry in self.entries() if entry.kind == "exposure" and _sees(entry, symbol, days)]

    def enter_search(self, bars: Bars, cut: Split, space: Space, *, stage: str, seed: int, volume: int) -> Entry:
        """Enter that a stage searches the training days of `cut`; the same work entered again stays one entry.

        `bars` are all the market's candles: a search goes on when its old training bars are found in them unchanged.
        """
        training = cut.training(bars)
        facts = {
            "kind": "search",
            "symbol": bars.symbol,
            "mode": space.mode,
            **_holdout(cut),
            "data_from": int(training.time[0]),
            "data_rows": len(training),
            "data_sha256": training.sha256,
            "seed": seed,
            "volume": volume,
            "stage": stage,
        }
        with self.file.opened() as book:
            facts["search"] = search_name(book.entries, bars, cut, space)
            for entry in book.entries:
                if all(getattr(entry, name) == value for name, value in facts.items()):
                    return entry
            return self.file.append(book, facts)

    def search(self, bars: Bars, cut: Split, space: Space) -> str:
        """The name a search on these candles has, or would get."""
        return search_name(self.entries(), bars, cut, space)

    def enter_look(self, search: str, cut: Split, candidate: str) -> Look:
        """Enter that `candidate` is now evaluated on the hold-out of `cut`. The only way to it.

        The same candidate on the same days is the look it already was. After the third look the hold-out is spent
        until it has moved on by 30 days.
        """
        symbol, mode, _, _ = search.rsplit("/", 3)
        facts = {"kind": "look", "symbol": symbol, "mode": mode, "candidate": candidate, **_holdout(cut)}
        with self.file.opened() as book:
            counted = [entry for entry in book.entries if entry.kind == "look" and _counts(entry, search, cut.holdout)]
            for entry in counted:
                if all(getattr(entry, name) == value for name, value in facts.items()):
                    return Look(entry)
            if len(counted) >= len(LOOK_ALPHA):
                return Look(None, spent_until=_renewed(counted))
            return Look(self.file.append(book, {**facts, "search": search, "k": len(counted) + 1}), fresh=True)

    def enter_exposure(self, bars: Bars, cut: Split, *, stage: str, volume: int) -> Entry | None:
        """Enter that `volume` configurations were shown on `bars`; None when these end before the hold-out of `cut`."""
        if len(bars) == 0 or bars.time[-1] < cut.holdout.from_ms or bars.time[0] >= cut.holdout.to_ms:
            return None
        facts = {"kind": "exposure", "symbol": bars.symbol, **_holdout(cut), "stage": stage, "volume": volume}
        with self.file.opened() as book:
            return self.file.append(book, facts)

    def enter_verdict(
        self, look: Entry, verdict: str, *, p_search: float | None = None, p_holdout: float | None = None
    ) -> Entry:
        """Enter what was concluded from `look`; concluded again, it stays one entry."""
        kept = ("symbol", "mode", "search", "candidate", "holdout_from", "holdout_to", "k")
        facts = {name: getattr(look, name) for name in kept}
        facts |= {"kind": "verdict", "verdict": verdict, "p_search": p_search, "p_holdout": p_holdout}
        with self.file.opened() as book:
            same = ("kind", "search", "candidate", "holdout_from", "holdout_to")
            before = [one for one in book.entries if all(getattr(one, name) == facts[name] for name in same)]
            if before and all(getattr(before[-1], name) == value for name, value in facts.items()):
                return before[-1]
            return self.file.append(book, facts)


def candidate_of(params: dict[str, Any], leverage: float) -> str:
    """The name under which a configuration is looked at: a hash of its parameters and leverage."""
    body = {"params": params, "leverage": float(leverage)}
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def search_name(entries: list[Entry], bars: Bars, cut: Split, space: Space) -> str:
    """`symbol/mode/strategy:space/first training day` of the search that goes on here, or of a new one.

    It goes on when its training bars are found unchanged in `bars` and those of `cut` are these with bars appended,
    even if the window moved on with them; of several, the one that searched most bars. A window that begins earlier,
    or is shorter, is another search, and so are bars that differ; a name that is taken is numbered after `#`.
    """
    family = f"{bars.symbol}/{space.mode}/{STRATEGY}:{space.sha256[:16]}/"
    seen: dict[tuple[int, int], str] = {}
    own = [entry for entry in reversed(entries) if entry.kind == "search" and entry.search.startswith(family)]
    for entry in sorted(own, key=lambda one: -(one.data_rows or 0)):
        if _goes_on(entry, bars, cut, seen):
            return entry.search
    taken = {entry.search for entry in entries}
    name = first = family + cut.train.first_iso
    number = 1
    while name in taken:
        number += 1
        name = f"{first}#{number}"
    return name


def _goes_on(entry: Entry, bars: Bars, cut: Split, seen: dict[tuple[int, int], str]) -> bool:
    """Whether the entry's training bars stand in `bars`, each as it was, and `cut` trains no earlier and no shorter."""
    if entry.data_from is None or entry.data_rows is None:
        return False
    start = int(bars.time.searchsorted(entry.data_from))
    end = start + entry.data_rows
    first, stop = bars.time.searchsorted([cut.train.from_ms, cut.train.to_ms])
    if start > first or end > stop or bars.time[start] != entry.data_from:
        return False
    # In days, not bars: a gap among the new ones makes them no shorter.
    moved = cut.train.first - bars.time[start] // DAY_MS
    appended = cut.train.stop - 1 - bars.time[end - 1] // DAY_MS
    if moved > appended:
        return False
    if (start, end) not in seen:
        seen[start, end] = bars.slice(start, end).sha256
    return seen[start, end] == entry.data_sha256


def _holdout(cut: Split) -> dict[str, str | None]:
    if len(cut.holdout) == 0:
        return {"holdout_from": None, "holdout_to": None}
    return {"holdout_from": cut.holdout.first_iso, "holdout_to": cut.holdout.last_iso}


def _sees(entry: Entry, symbol: str, days: Days) -> bool:
    if entry.symbol != symbol or entry.holdout_from is None or entry.holdout_to is None or len(days) == 0:
        return False
    return entry.holdout_from <= days.last_iso and days.first_iso <= entry.holdout_to


def _counts(entry: Entry, search: str, days: Days) -> bool:
    """Whether a look still counts: same symbol, mode and space, whatever the file, on days not moved on by 30."""
    symbol = search.rsplit("/", 3)[0]
    same_family = entry.search.rsplit("/", 1)[0] == search.rsplit("/", 1)[0]
    return same_family and _sees(entry, symbol, days) and days.first_iso < _moved_on(entry)


def _moved_on(entry: Entry) -> str:
    """The first day of a hold-out for which this look no longer counts."""
    assert entry.holdout_from is not None
    return (date.fromisoformat(entry.holdout_from) + timedelta(days=RENEWED_AFTER_DAYS)).isoformat()


def _renewed(counted: list[Entry]) -> str:
    """The first day from which fewer than three of these looks count."""
    return sorted(_moved_on(entry) for entry in counted)[-len(LOOK_ALPHA)]
