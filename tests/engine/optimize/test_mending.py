"""A study torn, damaged or locked: told in one line of JSON, mended where nobody is needed for it."""

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import orjson
import pytest
from optuna.storages.journal import JournalStorage

from btswarm.engine import journal as journals
from btswarm.engine import mending
from btswarm.engine.journal import FlockJournal, refuse_broken, soundness
from btswarm.engine.storage import place
from btswarm.state.errors import StorageBroken

Captured = pytest.CaptureFixture[str]


def ask(capsys: Captured, monkeypatch: pytest.MonkeyPatch, study: str, folder: Path, *argv: str) -> dict[str, Any]:
    """What the helper says; its exit code must agree."""
    monkeypatch.setenv("BTSWARM_STUDY", study)
    monkeypatch.setenv("BTSWARM_STUDY_DIR", str(folder))
    monkeypatch.delenv("BTSWARM_PARENT_PID", raising=False)
    code = mending.main(list(argv))
    found: dict[str, Any] = orjson.loads(capsys.readouterr().out)
    assert code == (0 if found["sound"] else 74)
    return found


@pytest.fixture
def helper(capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    return lambda study, *argv: ask(capsys, monkeypatch, study, tmp_path, *argv)


def filled(storage: Any, trials: int) -> None:
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize", load_if_exists=True)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=trials)


def damage(path: Path, line: int) -> None:
    """One byte of a line turned over."""
    lines = path.read_bytes().split(b"\n")
    lines[line - 1] = lines[line - 1][:-4] + b"#" + lines[line - 1][-3:]
    path.write_bytes(b"\n".join(lines))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "study.journal"
    filled(JournalStorage(FlockJournal(found)), 5)
    return found


def test_a_study_that_is_not_there_yet_is_sound(helper: Any, tmp_path: Path) -> None:
    assert helper("auto", "--mend")["sound"]
    assert not list(tmp_path.iterdir())


def test_a_sound_journal_is_left_as_it_is(helper: Any, path: Path) -> None:
    before = path.read_bytes()
    assert helper("auto", "--mend") == helper("auto")
    assert path.read_bytes() == before


def test_a_damaged_journal_keeps_its_beginning_and_opens_again(helper: Any, path: Path) -> None:
    records = soundness(path).records
    damage(path, records - 2)
    assert "damaged at line" in helper("auto")["why"]
    found = helper("auto", "--mend")
    assert (found["kept"], found["dropped"]) == (records - 3, 3)
    assert Path(found["aside"]).exists()
    assert helper("auto")["sound"]


def test_a_journal_damaged_at_its_beginning_is_rebuilt_from_the_last_good_copy(helper: Any, path: Path) -> None:
    refuse_broken(path)
    copied = soundness(path).records
    filled(JournalStorage(FlockJournal(path)), 2)
    path.with_name("study.journal.good").write_bytes(b"".join(path.read_bytes().splitlines(True)[:copied]))
    damage(path, 1)
    found = helper("auto", "--mend")
    assert found["kept"] == copied
    assert soundness(path).records == copied
    study = optuna.load_study(study_name="s", storage=JournalStorage(FlockJournal(path)))
    assert len(study.trials) == 5


def test_the_copy_of_another_journal_is_not_taken(helper: Any, path: Path) -> None:
    refuse_broken(path)
    path.unlink()
    filled(JournalStorage(FlockJournal(path)), 1)
    records = soundness(path).records
    damage(path, records)
    assert helper("auto", "--mend")["kept"] == records - 1


def test_a_shorter_journal_does_not_replace_a_longer_copy_of_itself(path: Path) -> None:
    refuse_broken(path)
    copy = path.with_name("study.journal.good")
    whole = copy.read_bytes()
    path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:2]))
    refuse_broken(path)
    assert copy.read_bytes() == whole


def test_a_journal_that_somebody_keeps_locked_is_told_with_who_it_is(
    helper: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "LOCK_WAIT_S", 0.0)
    holder = os.open(path, os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        found = helper("auto", "--mend")
        with pytest.raises(StorageBroken, match=f"locked by process {os.getpid()}"):
            refuse_broken(path, 0.0)
    finally:
        os.close(holder)
    assert str(os.getpid()) in found["why"]
    assert "end that process" in found["needs"]
    assert helper("auto")["sound"]
    assert journals.LOCK_WAIT_S > 0


def test_a_damaged_database_is_replaced_by_its_last_good_copy(helper: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    filled(place(url, tmp_path).open(), 3)
    place(url, tmp_path).open().remove_session()  # opened again: copied
    file = tmp_path / "study.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 8192)
    assert not helper(url)["sound"]
    found = helper(url, "--mend")
    assert found["source"] == "copy"
    assert Path(found["aside"]).exists()
    assert helper(url)["sound"]
    assert len(optuna.load_study(study_name="s", storage=url).trials) == 3


def test_a_damaged_database_without_a_copy_begins_anew(helper: Any, tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)
    found = helper(f"sqlite:///{tmp_path}/study.db", "--mend")
    assert (found["sound"], found["source"]) == (True, "nothing")
    assert not (tmp_path / "study.db").exists()


def test_a_server_that_does_not_answer_is_for_a_person(helper: Any) -> None:
    found = helper("postgresql://swarm:secret@127.0.0.1:1/none", "--mend")
    assert not found["sound"]
    assert "secret" not in orjson.dumps(found).decode()
