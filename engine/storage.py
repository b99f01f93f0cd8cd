"""Where a study lies: a journal file beside the artifacts, or any database Optuna can reach by URL.

Whatever is used must survive `kill -9` of any worker at any time, so memory alone is refused. A SQLite file is used in
WAL mode with transactions that begin by taking the write lock: Optuna's own read-then-write would let two workers pop
the same queued trial.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalStorage
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from ..state.errors import BadConfig, BtswarmError, StorageBroken
from ..state.files import make_folder, rename_synced
from .journal import GOOD_SUFFIX, FlockJournal

AUTO = "auto"
JOURNAL_NAME = "study.journal"
JOURNAL_SCHEME = "journal:///"
LOCKS_SUFFIX = ".locks"
BUSY_S = 60
HOW = "use auto, journal:///PATH, sqlite:///PATH or a server such as postgresql://USER@HOST/NAME"


@dataclass(frozen=True)
class Place:
    """A storage URL understood. `name` shows no password. `locks`: where its workers on this host see each other."""

    name: str
    locks: Path
    url: URL | None = None
    file: Path | None = None

    @property
    def is_server(self) -> bool:
        return self.file is None

    def open(self) -> BaseStorage:
        """Open or create it. The caller holds the claim lock: two workers must not create the same tables.

        Raises StorageBroken when it is damaged or unreachable, BadConfig when its driver is not installed.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self.url is None:
            assert self.file is not None
            return JournalStorage(FlockJournal(self.file))
        with storage_errors(self.name):
            try:
                return _sqlite(self.url, self.file) if self.file else _server(self.url)
            except ImportError as error:
                raise self._no_driver(error) from error
            except RuntimeError as error:
                raise StorageBroken(
                    f"{self.name} was written by another version of Optuna", fix="use another database"
                ) from error

    def need_driver(self) -> None:
        """Raise BadConfig when the database's driver is not installed; nothing is opened."""
        try:
            if self.url is not None:
                self.url.get_dialect().import_dbapi()
        except ImportError as error:
            raise self._no_driver(error) from error

    def _no_driver(self, error: ImportError) -> BadConfig:
        return BadConfig(
            f"the study's storage {self.name} needs a database driver that is not installed ({error})",
            fix="install it, or use auto",
        )


def place(url: str, out_dir: Path) -> Place:
    """Understand a storage URL. Raises BadConfig for memory, or what is no such URL."""
    if url == AUTO:
        return _journal(out_dir / JOURNAL_NAME)
    if url.startswith(JOURNAL_SCHEME):
        return _journal(Path("/", url.removeprefix(JOURNAL_SCHEME)))
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise BadConfig(f"{_without_password(url)!r} is no storage URL of a study", fix=HOW) from error
    name = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() != "sqlite":
        return Place(name, out_dir / f".study{LOCKS_SUFFIX}", url=parsed)
    database = parsed.database or ""
    if database in ("", ":memory:") or "memory" in parsed.query.get("mode", ""):
        raise BadConfig(f"a study in memory ({name}) is lost with its worker", fix=HOW)
    file = Path(database).absolute()
    return Place(name, _beside(file), url=parsed.set(database=str(file)), file=file)


@contextlib.contextmanager
def storage_errors(name: str) -> Iterator[None]:
    """Turn a database's refusals into StorageBroken."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ or error
        said = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        raise StorageBroken(
            f"the study's storage {name} failed ({said})", fix="check it, then run the same command again"
        ) from error


def _journal(file: Path) -> Place:
    return Place(str(file), _beside(file), file=file.absolute())


def _beside(file: Path) -> Path:
    return file.with_name(file.name + LOCKS_SUFFIX)


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://***@{tail}" if at else url


def _server(url: URL) -> BaseStorage:
    # Two hosts that meet an empty database both create its tables; the second one finds them at its second try.
    try:
        return RDBStorage(_written(url), {"pool_pre_ping": True})
    except SQLAlchemyError:
        return RDBStorage(_written(url), {"pool_pre_ping": True})


def _sqlite(url: URL, file: Path) -> BaseStorage:
    make_folder(file.parent)
    if file.exists():
        _check(file)
        _keep_copy(file)
    storage = RDBStorage(_written(url), {"connect_args": {"timeout": BUSY_S}})
    event.listen(storage.engine, "connect", _on_connect)
    event.listen(storage.engine, "begin", _on_begin)
    storage.engine.dispose()
    return storage


def _written(url: URL) -> str:
    return url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")  # Optuna formats it


def _check(file: Path) -> None:
    connection = sqlite3.connect(file, timeout=BUSY_S)
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        found = str(error)
    finally:
        connection.close()
    if found != "ok":
        raise StorageBroken(
            f"the study {file} is damaged ({found})", fix="restore a backup, or delete it to begin again"
        )


def _keep_copy(file: Path) -> None:
    """The sound database as it is, beside it. A disk or a lock that refuses costs nothing but the copy."""
    aside = file.with_name(file.name + GOOD_SUFFIX + ".new")
    try:
        with (
            contextlib.closing(sqlite3.connect(file, timeout=BUSY_S)) as source,
            contextlib.closing(sqlite3.connect(aside)) as copy,
        ):
            source.backup(copy)
        rename_synced(aside, file.with_name(file.name + GOOD_SUFFIX))
    except (sqlite3.Error, BtswarmError):
        aside.unlink(missing_ok=True)


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin is then ours, see _on_begin
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _on_begin(connection: sqlalchemy.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
