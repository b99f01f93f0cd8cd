"""Storage URLs: what is understood, what is refused and in which words; and a SQLite file shared by workers."""

import sqlite3
from pathlib import Path

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from btswarm.engine.storage import Place, place, storage_errors
from btswarm.state.errors import BadConfig, StorageBroken


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_study_in_memory_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadConfig, match="in memory") as refused:
        place(url, tmp_path)
    assert refused.value.code == 64


@pytest.mark.parametrize("url", ["", "memory", "study.db", "redis://host:6379", "nonsense://x/y", "http://host/x"])
def test_what_is_no_storage_url_is_refused_with_those_that_are(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadConfig, match=r"no storage URL.*journal:///PATH"):
        raise_line(url, tmp_path)


def raise_line(url: str, folder: Path) -> Place:
    """As `place`, with the whole line a person reads as the message."""
    try:
        return place(url, folder)
    except BadConfig as error:
        raise BadConfig(error.line()) from error


def test_auto_is_a_journal_beside_the_artifacts_and_its_locks_beside_it(tmp_path: Path) -> None:
    found = place("auto", tmp_path)
    assert found.file == tmp_path / "study.journal"
    assert found.locks == tmp_path / "study.journal.locks"
    assert place("journal:///some/where", tmp_path).file == Path("/some/where")
    assert not found.is_server


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    assert "secret" not in place("postgresql://me:secret@host/db", tmp_path).name
    with pytest.raises(BadConfig) as refused:
        place("nonsense://me:secret@host/db", tmp_path)
    assert "secret" not in refused.value.line()


def test_a_server_without_its_driver_is_refused_as_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Failed to import DB access module")

    monkeypatch.setattr("btswarm.engine.storage.RDBStorage", missing)
    with pytest.raises(BadConfig, match="driver that is not installed"):
        place("postgresql://me@host/db", tmp_path).open()


def test_a_missing_driver_is_found_without_opening_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError("No module named 'psycopg2'")

    monkeypatch.setattr("sqlalchemy.dialects.postgresql.psycopg2.PGDialect_psycopg2.import_dbapi", missing)
    with pytest.raises(BadConfig, match="needs a database driver that is not installed"):
        place("postgresql+psycopg2://me@host/db", tmp_path).need_driver()
    place("auto", tmp_path).need_driver()
    place("sqlite:///x.db", tmp_path).need_driver()


def test_a_server_that_does_not_answer_is_a_storage_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OperationalError("select", {}, Exception("connection refused\nIs the server running?"))

    monkeypatch.setattr("btswarm.engine.storage.RDBStorage", unreachable)
    with pytest.raises(StorageBroken, match=r"\(connection refused\)") as refused:
        place("postgresql://me:secret@host/db", tmp_path).open()
    assert refused.value.code == 74


def test_a_failing_database_is_told_in_one_line() -> None:
    with pytest.raises(StorageBroken, match="failed"), storage_errors("x"):
        raise optuna.exceptions.StorageInternalError("An exception is raised during the commit.")


def test_a_sqlite_file_is_used_with_a_write_ahead_log_and_immediate_transactions(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/study.db"
    storage = place(url, tmp_path).open()
    study = optuna.create_study(storage=storage, study_name="s")
    study.ask()
    file = tmp_path / "deep" / "study.db"
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    again = optuna.create_study(storage=place(url, tmp_path).open(), study_name="s", load_if_exists=True)
    assert len(again.trials) == 1


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be looked at" * 20, b"\0" * 4096])
def test_a_file_that_is_no_database_is_found_before_it_is_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "study.db").write_bytes(content)
    with pytest.raises(StorageBroken):
        place(f"sqlite:///{tmp_path}/study.db", tmp_path).open()


def test_a_torn_database_is_found_before_it_is_used(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path}/study.db", tmp_path / "study.db"
    storage = place(url, tmp_path).open()
    assert isinstance(storage, optuna.storages.RDBStorage)
    optuna.create_study(storage=storage, study_name="s")
    storage.engine.dispose()
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    raw = file.read_bytes()
    file.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(StorageBroken, match=r"study\.db is damaged"):
        place(url, tmp_path).open()
