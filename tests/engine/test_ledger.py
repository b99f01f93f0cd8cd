"""The memory of how often was searched and looked: what counts as the same, and that nothing of it gets lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from btswarm.engine.bars import Bars
from btswarm.engine.ledger import Ledger, candidate_of
from btswarm.engine.split import Split, split
from btswarm.engine.strategies.mtf_ema import DEFAULTS, Space
from btswarm.state.errors import CannotWrite, StorageBroken

from .market import walk

HOUR = 60
SPACE = DEFAULTS["balanced"]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "search_ledger.jsonl")


def market(days: int = 400, seed: int = 0) -> tuple[Bars, Split]:
    bars = walk("2021-01-01", days, minutes=HOUR, seed=seed)
    return bars, split(bars)


def enter(ledger: Ledger, days: int = 400, *, seed: int = 0, space: Space = SPACE, market_seed: int = 0) -> str:
    bars, cut = market(days, market_seed)
    return ledger.enter_search(bars, cut, space, stage="prescreen", seed=seed, volume=1000).search


def lines(ledger: Ledger) -> list[bytes]:
    return ledger.file.path.read_bytes().splitlines()


# what a search is


def test_a_search_is_named_by_symbol_mode_strategy_space_and_first_training_day(ledger: Ledger) -> None:
    name = enter(ledger)
    assert name == f"SOLUSDT/balanced/mtf_ema:{SPACE.sha256[:16]}/2021-01-01"
    (entry,) = ledger.history(name)
    assert (entry.seq, entry.stage, entry.seed, entry.volume) == (1, "prescreen", 0, 1000)
    assert (entry.holdout_from, entry.holdout_to) == ("2021-11-17", "2022-02-04")
    assert entry.data_sha256 is not None
    assert entry.p_search is None


def test_the_same_work_entered_again_stays_one_entry_and_another_seed_adds_volume(ledger: Ledger) -> None:
    assert enter(ledger) == enter(ledger) == enter(ledger, seed=1)
    assert [entry.seed for entry in ledger.entries()] == [0, 1]


def test_appended_bars_continue_a_search_even_when_the_window_moves_with_them(ledger: Ledger) -> None:
    first = enter(ledger, 1000)
    bars, cut = market(1040)
    assert cut.train.first_iso != first.rsplit("/", 1)[1]
    assert ledger.enter_search(bars, cut, SPACE, stage="prescreen", seed=0, volume=1000).search == first
    assert len(ledger.history(first)) == 2


def test_bars_that_were_changed_are_another_search(ledger: Ledger) -> None:
    first = enter(ledger)
    second = enter(ledger, market_seed=1)
    assert second == first + "#2"
    assert enter(ledger) == first
    assert enter(ledger, market_seed=1) == second


def test_fewer_bars_than_before_do_not_pass_for_their_continuation(ledger: Ledger) -> None:
    assert enter(ledger, 420) != enter(ledger, 400)


@pytest.mark.parametrize("order", [(300, 200), (200, 300)])
def test_windows_of_different_length_on_the_same_bars_are_different_searches_in_any_order(
    ledger: Ledger, order: tuple[int, int]
) -> None:
    bars, _ = market(600)
    cuts = {days: split(bars, train_days=days) for days in (200, 300)}
    names = {}
    for days in (*order, *order):
        names[days] = ledger.enter_search(bars, cuts[days], SPACE, stage="prescreen", seed=0, volume=1000).search
    assert names[200].endswith(cuts[200].train.first_iso)
    assert names[300].endswith(cuts[300].train.first_iso)
    assert len(ledger.entries()) == 2


def test_of_several_searches_that_go_on_the_one_that_saw_most_bars_does(ledger: Ledger) -> None:
    bars, _ = market(700)
    for days in (300, 200):
        cut = split(bars, train_days=days)
        ledger.enter_search(bars, cut, SPACE, stage="prescreen", seed=0, volume=1000)
    longer, cut = market(1000)[0], split(market(1000)[0], train_days=310)
    assert ledger.search(longer, cut, SPACE).endswith(split(bars, train_days=300).train.first_iso)


def test_a_gap_among_the_appended_bars_makes_the_window_no_shorter(ledger: Ledger) -> None:
    first = enter(ledger, 1000)
    bars, _ = market(1040)
    day = (bars.time - bars.time[0]) // 86_400_000
    keep = (day < 830) | (day >= 833)
    rows = (getattr(bars, name)[keep] for name in ("time", "open", "high", "low", "close", "volume"))
    gapped = Bars(bars.symbol, bars.base_ms, *rows)
    assert ledger.search(gapped, split(gapped), SPACE) == first


def test_another_mode_or_space_is_another_search(ledger: Ledger) -> None:
    wider = SPACE.model_copy(update={"stop_loss": (100, 700)})
    names = [enter(ledger), enter(ledger, space=DEFAULTS["aggressive"]), enter(ledger, space=wider)]
    assert len(set(names)) == 3


# looks


def test_the_same_candidate_on_the_same_days_is_one_look_whoever_asks_and_how_often(ledger: Ledger) -> None:
    name, (_, cut) = enter(ledger), market()
    first = ledger.enter_look(name, cut, "a")
    again = ledger.enter_look(name, cut, "a")
    assert first.fresh
    assert not again.fresh
    assert first.entry == again.entry
    assert first.entry is not None
    assert first.entry.k == 1
    assert len(ledger.looks("SOLUSDT", cut.holdout)) == 1


def test_after_three_looks_the_holdout_is_spent_until_it_has_moved_on_by_30_days(ledger: Ledger) -> None:
    name, (_, cut) = enter(ledger, 1000), market(1000)
    taken = [ledger.enter_look(name, cut, candidate).entry for candidate in "abc"]
    assert [entry.k for entry in taken if entry] == [1, 2, 3]
    spent = ledger.enter_look(name, cut, "d")
    assert spent.entry is None
    assert spent.spent_until == "2023-05-01"
    _, later = market(1029)
    assert ledger.enter_look(name, later, "d").entry is None
    _, moved = market(1030)
    assert moved.holdout.first_iso == spent.spent_until
    renewed = ledger.enter_look(name, moved, "d").entry
    assert renewed is not None
    assert renewed.k == 1


def test_looks_on_different_days_free_the_holdout_when_fewer_than_three_of_them_count(ledger: Ledger) -> None:
    name = enter(ledger, 1000)
    for days, candidate in ((1000, "a"), (1010, "b"), (1020, "c")):
        assert ledger.enter_look(name, market(days)[1], candidate).entry is not None
    spent = ledger.enter_look(name, market(1025)[1], "d")
    assert spent.entry is None
    moved = market(1030)[1]
    assert spent.spent_until == moved.holdout.first_iso, "that of the oldest is over first"
    entry = ledger.enter_look(name, moved, "d").entry
    assert entry is not None
    assert entry.k == 3


def test_a_look_at_later_days_says_nothing_about_a_holdout_that_ended_before_them(ledger: Ledger) -> None:
    name = enter(ledger, 1200)
    ledger.enter_look(name, market(1200)[1], "a")
    entry = ledger.enter_look(name, market(1020)[1], "b").entry
    overlapping = ledger.enter_look(name, market(1100)[1], "c").entry
    assert entry is not None
    assert overlapping is not None
    assert (entry.k, overlapping.k) == (1, 2)


def test_a_candidate_seen_on_a_holdout_that_moved_by_a_day_is_looked_at_again(ledger: Ledger) -> None:
    name = enter(ledger, 1000)
    ks = [ledger.enter_look(name, market(days)[1], "a").entry for days in (1000, 1001)]
    assert [entry.k for entry in ks if entry] == [1, 2]


def test_changed_bars_do_not_give_the_holdout_back(ledger: Ledger) -> None:
    first, second = enter(ledger), enter(ledger, market_seed=1)
    cut = market()[1]
    assert first != second
    ks = [ledger.enter_look(name, cut, candidate).entry for name, candidate in ((first, "a"), (second, "b"))]
    assert [entry.k for entry in ks if entry] == [1, 2]


def test_looks_of_other_modes_are_listed_but_spend_their_own_searchs_share(ledger: Ledger) -> None:
    cut = market()[1]
    mine, other = enter(ledger), enter(ledger, space=DEFAULTS["aggressive"])
    ledger.enter_look(mine, cut, "a")
    entry = ledger.enter_look(other, cut, "b").entry
    assert entry is not None
    assert entry.k == 1
    assert len(ledger.looks("SOLUSDT", cut.holdout)) == 2
    assert ledger.looks("BTCUSDT", cut.holdout) == []


def test_a_candidate_is_its_parameters_and_leverage_in_any_order() -> None:
    assert candidate_of({"a": 1, "b": 2.0}, 2) == candidate_of({"b": 2.0, "a": 1}, 2.0)
    assert candidate_of({"a": 1}, 2) != candidate_of({"a": 1}, 3)


def test_a_backtest_that_reaches_the_holdout_is_an_exposure_and_one_that_ends_before_is_none(ledger: Ledger) -> None:
    bars, cut = market()
    assert ledger.enter_exposure(cut.training(bars), cut, stage="backtest", volume=3) is None
    entry = ledger.enter_exposure(bars, cut, stage="backtest", volume=3)
    assert entry is not None
    assert ledger.exposures("SOLUSDT", cut.holdout) == [entry]
    assert ledger.exposures("SOLUSDT", cut.train) == []


def test_a_verdict_names_the_look_it_rests_on(ledger: Ledger) -> None:
    look = ledger.enter_look(enter(ledger), market()[1], "a").entry
    assert look is not None
    verdict = ledger.enter_verdict(look, "REJECTED", p_search=0.4, p_holdout=0.2)
    assert (verdict.kind, verdict.candidate, verdict.k, verdict.p_search) == ("verdict", "a", 1, 0.4)


# the file


def filled(ledger: Ledger, count: int = 4) -> None:
    for seed in range(count):
        enter(ledger, seed=seed)


def test_a_ledger_that_does_not_exist_is_empty_and_reading_it_creates_nothing(ledger: Ledger) -> None:
    assert ledger.entries() == []
    assert list(ledger.file.path.parent.iterdir()) == []


@pytest.mark.parametrize("line", [1, 2, 3, 4])
def test_an_edited_line_is_named(ledger: Ledger, line: int) -> None:
    filled(ledger)
    text = lines(ledger)
    text[line - 1] = text[line - 1].replace(b'"volume":1000', b'"volume":10')
    ledger.file.path.write_bytes(b"\n".join(text) + b"\n")
    named = min(line + 1, 4)
    with pytest.raises(StorageBroken, match=f"line {named} ") as refused:
        ledger.entries()
    assert refused.value.code == 74
    with pytest.raises(StorageBroken, match=f"line {named} "):
        enter(ledger, seed=9)


@pytest.mark.parametrize("line", [1, 3, 4])
def test_a_line_that_was_taken_out_is_named(ledger: Ledger, line: int) -> None:
    filled(ledger)
    text = lines(ledger)
    del text[line - 1]
    ledger.file.path.write_bytes(b"\n".join(text) + b"\n")
    with pytest.raises(StorageBroken, match=f"line {line} "):
        ledger.entries()


def test_a_ledger_that_is_gone_is_not_taken_for_a_new_one(ledger: Ledger) -> None:
    filled(ledger)
    ledger.file.path.unlink()
    with pytest.raises(StorageBroken, match="line 1 of 4 is missing"):
        enter(ledger, seed=9)


@pytest.mark.parametrize("junk", [b"{}\n", b"not json\n", b"[1]\n", b'{"v":"1"}\n', b"\n"])
def test_a_line_that_is_no_entry_is_refused(ledger: Ledger, junk: bytes) -> None:
    filled(ledger, 1)
    ledger.file.path.write_bytes(ledger.file.path.read_bytes() + junk)
    with pytest.raises(StorageBroken, match="line 2 is no ledger entry"):
        ledger.entries()


def test_a_line_of_a_newer_version_is_refused_as_that(ledger: Ledger) -> None:
    filled(ledger, 1)
    ledger.file.path.write_bytes(ledger.file.path.read_bytes() + b'{"v":2,"something":"new"}\n')
    with pytest.raises(StorageBroken, match="line 2 is of the newer version 2"):
        ledger.entries()


def test_a_head_that_was_edited_is_refused_and_a_missing_one_is_made_again(ledger: Ledger) -> None:
    filled(ledger)
    ledger.file.head.unlink()
    enter(ledger, seed=9)
    assert orjson.loads(ledger.file.head.read_bytes())["seq"] == 5
    ledger.file.head.write_bytes(b"{")
    with pytest.raises(StorageBroken, match="head is not what was written"):
        ledger.entries()


def test_a_line_torn_at_any_byte_is_cut_off_by_the_next_writer_who_says_so(ledger: Ledger) -> None:
    filled(ledger, 2)
    whole = ledger.file.path.read_bytes()
    head = ledger.file.head.read_bytes()
    last = lines(ledger)[-1]
    for kept in range(1, len(last), 7):
        torn = whole[: len(whole) - len(last) - 1 + kept]
        ledger.file.path.write_bytes(torn)
        ledger.file.head.write_bytes(
            orjson.dumps({"seq": 1, "sha256": orjson.loads(last)["prev_sha256"]})
        )  # the head is written after the line
        said: list[str] = []
        assert len(ledger.entries()) == 1
        assert ledger.file.path.read_bytes() == torn, "reading mends nothing"
        enter(Ledger(ledger.file.path, say=said.append), seed=1)
        assert [entry.seed for entry in ledger.entries()] == [0, 1]
        assert f"{kept} bytes of a line torn" in said[0]
    ledger.file.path.write_bytes(whole)
    ledger.file.head.write_bytes(head)
    assert len(ledger.entries()) == 2


def test_a_last_line_that_lacks_only_its_newline_is_kept(ledger: Ledger) -> None:
    filled(ledger, 2)
    whole = ledger.file.path.read_bytes()
    ledger.file.path.write_bytes(whole[:-1])
    said: list[str] = []
    enter(Ledger(ledger.file.path, say=said.append), seed=9)
    assert ledger.file.path.read_bytes().startswith(whole)
    assert [entry.seed for entry in ledger.entries()] == [0, 1, 9]
    assert "line 2 lacked its newline" in said[0]


def test_a_full_disk_leaves_the_ledger_as_it_was(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(ledger, 2)
    before = ledger.file.path.read_bytes()
    real = os.write

    def short(descriptor: int, data: bytes) -> int:
        if os.fstat(descriptor).st_size > len(before):
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:10])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(CannotWrite, match="no space left"):
        enter(ledger, seed=9)
    monkeypatch.undo()
    assert ledger.file.path.read_bytes() == before
    enter(ledger, seed=9)


def test_an_entry_is_synced_before_its_caller_goes_on(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        if Path(f"/proc/self/fd/{descriptor}").resolve() == ledger.file.path:
            synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    enter(ledger)
    assert synced == [ledger.file.path.stat().st_size]


WRITER = """
import sys
from pathlib import Path
from btswarm.state.ledger_file import LedgerFile
file = LedgerFile(Path(sys.argv[1]))
for volume in range(1, int(sys.argv[3]) + 1):
    with file.opened() as book:
        file.append(book, {"kind": "exposure", "symbol": sys.argv[2], "volume": volume})
    print(volume, flush=True)
"""


@contextmanager
def writers(path: Path, count: int, entries: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), f"W{n}", str(entries)], stdout=subprocess.PIPE)
        for n in range(count)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def test_several_processes_write_one_unbroken_chain(tmp_path: Path) -> None:
    path = tmp_path / "search_ledger.jsonl"
    with writers(path, 4, 25) as started:
        for process in started:
            process.communicate()
            assert process.returncode == 0
    entries = Ledger(path).entries()
    assert [entry.seq for entry in entries] == list(range(1, 101))
    for number in range(4):
        assert [entry.volume for entry in entries if entry.symbol == f"W{number}"] == list(range(1, 26))


def test_kill_9_of_writers_at_any_moment_loses_nothing_that_was_shown(tmp_path: Path) -> None:
    path = tmp_path / "search_ledger.jsonl"
    shown: dict[str, int] = {}
    for batch in range(3):
        with writers(path, 3, 100_000) as started:
            for number, process in enumerate(started):
                assert process.stdout is not None
                for _ in range(5 + 7 * number + batch):
                    shown[f"{batch}.W{number}"] = int(process.stdout.readline())
                process.send_signal(signal.SIGKILL)
                rest = process.communicate()[0].split()
                shown[f"{batch}.W{number}"] = int(rest[-1]) if rest else shown[f"{batch}.W{number}"]
    with Ledger(path).file.opened() as book:
        volumes = [(entry.symbol, entry.volume) for entry in book.entries]
    for key, volume in shown.items():
        for one in range(1, volume + 1):
            assert (key.split(".")[1], one) in volumes
    assert len(volumes) >= sum(shown.values())


def test_two_processes_cannot_take_the_same_look_twice(tmp_path: Path) -> None:
    path = tmp_path / "search_ledger.jsonl"
    enter(Ledger(path))
    script = (
        "import sys; from pathlib import Path\n"
        "from btswarm.engine.ledger import Ledger\n"
        "from btswarm.engine.split import Days, Split\n"
        "cut = Split(400, Days(18628, 18941), Days(18948, 19028), True)\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "search = ledger.entries()[0].search\n"
        "print([ledger.enter_look(search, cut, name).entry is not None for name in 'abcde'])\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) for _ in range(3)]
    said = [process.communicate()[0].decode().strip() for process in started]
    assert said == ["[True, True, True, False, False]"] * 3
    assert [entry.k for entry in Ledger(path).entries() if entry.kind == "look"] == [1, 2, 3]
