"""The one door to the sealed days."""

from pathlib import Path

import numpy as np
import pytest

from btswarm.engine.kernels.exact import simulate
from btswarm.engine.ledger import Ledger
from btswarm.engine.split import split
from btswarm.engine.validation import holdout
from btswarm.engine.validation.holdout import look_at_holdout
from btswarm.state.errors import StorageBroken

from .case import COSTS, SPACE, best_of, market, with_other_future

BARS = market()
CUT = split(BARS)
PARAMS = best_of(CUT.training(BARS))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    book = Ledger(tmp_path / "search_ledger.jsonl")
    book.enter_search(BARS, CUT, SPACE, stage="prescreen", seed=0, volume=10)
    return book


def look(ledger: Ledger, rank: int = 0) -> holdout.Seen:
    search = ledger.entries()[0].search
    params = best_of(CUT.training(BARS), rank=rank) if rank else PARAMS
    return look_at_holdout(ledger, search, BARS, CUT, params, COSTS, SPACE.leverage)


def test_the_look_is_on_the_disk_before_anything_is_evaluated(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[str] = []

    def spy(*arguments: object, **options: object) -> object:
        entered.append(Ledger(ledger.file.path).entries()[-1].kind)
        return simulate(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(holdout, "simulate", spy)
    look(ledger)
    assert entered == ["look", "look"]
    assert sum(entry.kind == "look" for entry in ledger.entries()) == 1


def test_a_ledger_that_cannot_be_trusted_keeps_the_door_shut(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    search = ledger.entries()[0].search
    ledger.file.path.write_bytes(ledger.file.path.read_bytes().replace(b'"volume":10', b'"volume":11'))
    monkeypatch.setattr(holdout, "simulate", lambda *a, **k: pytest.fail("evaluated without an entered look"))
    with pytest.raises(StorageBroken):
        look_at_holdout(ledger, search, BARS, CUT, PARAMS, COSTS, SPACE.leverage)


def test_trading_starts_flat_at_the_first_day_and_ends_with_the_last(ledger: Ledger) -> None:
    seen = look(ledger)
    assert seen.run is not None
    start, stop = CUT.holdout_range(BARS)
    assert seen.run.trades["entry"].min() >= start
    assert seen.run.trades["exit"].max() < stop
    assert seen.run.day.tolist() == list(range(CUT.holdout.first, CUT.holdout.stop))
    assert seen.run.bars == stop - start
    direct = simulate(BARS.slice(0, stop), PARAMS, COSTS, SPACE.leverage, trade_from=start)
    assert np.array_equal(seen.run.trades, direct.trades)


def test_twice_the_costs_is_part_of_the_same_look_and_costs_more(ledger: Ledger) -> None:
    seen = look(ledger)
    assert seen.run is not None
    assert seen.at_twice_the_costs is not None
    assert seen.at_twice_the_costs.equity[-1] < seen.run.equity[-1]
    assert ledger.entries()[-1].seq == 2


def test_bars_after_the_last_whole_day_are_not_looked_at(ledger: Ledger) -> None:
    search = ledger.entries()[0].search
    seen = look(ledger)
    longer = market(500.5)
    assert split(longer) == CUT
    again = look_at_holdout(ledger, search, longer, CUT, PARAMS, COSTS, SPACE.leverage)
    odd = with_other_future(longer, CUT.holdout.to_ms)
    third = look_at_holdout(ledger, search, odd, CUT, PARAMS, COSTS, SPACE.leverage)
    for other in (again, third):
        assert other.run is not None
        assert seen.run is not None
        assert np.array_equal(other.run.equity, seen.run.equity)


def test_when_it_is_spent_nothing_is_evaluated(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in range(3):
        assert look(ledger, rank).run is not None
    monkeypatch.setattr(holdout, "simulate", lambda *a, **k: pytest.fail("evaluated a spent hold-out"))
    fourth = look(ledger, 3)
    assert fourth.run is None
    assert fourth.look.spent_until is not None
