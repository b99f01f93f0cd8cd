"""Is a study fit to be used, and if not, make it so. `python -m btswarm.engine.mending [--mend]`

For a supervisor, which gives storage and folder in the environment (a URL may hold a password) and reads one line of
JSON. Nothing may be using the study while it is mended. Exit 0: it is sound; 74: it is not; 64: no question.

A journal keeps its sound beginning, or its last good copy where that reaches further. A SQLite file that is damaged is
replaced by its last good copy; without one the study begins anew. What was there is set aside. A server is only asked.
"""

import contextlib
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from ..state.errors import BadConfig, BtswarmError, ExitCode, StorageBroken
from ..state.files import lock_holders, rename_synced
from .journal import BROKEN_SUFFIX, GOOD_SUFFIX, refuse_broken, repair
from .storage import Place, place
from .worker import end_with_parent

STUDY, FOLDER = "BTSWARM_STUDY", "BTSWARM_STUDY_DIR"
MEND = "--mend"
LOCK_WAIT_S = 5.0
WAL = ("-wal", "-shm")


@dataclass
class Found:
    """`kept`, `dropped`: records, of a journal. `aside`: where the damaged one lies. `source`: what it was made from,
    `itself`, `copy` or `nothing`; empty if nothing was done. `needs`: what only a person can do."""

    sound: bool
    why: str = ""
    needs: str = ""
    kept: int | None = None
    dropped: int | None = None
    aside: str = ""
    source: str = ""


def main(argv: list[str]) -> int:
    """Check, with `--mend` also repair; prints what was found."""
    end_with_parent()
    try:
        where = place(os.environ[STUDY], Path(os.environ[FOLDER]))
        found = check(where)
        if not found.sound and MEND in argv:
            found = mend(where, found)
    except KeyError as error:
        sys.stderr.write(f"btswarm mending: {error.args[0]} is not set\n")
        return ExitCode.BAD_CONFIG
    except BtswarmError as error:
        found = Found(sound=False, why=error.message, needs=error.fix)
    sys.stdout.buffer.write(orjson.dumps(asdict(found)) + b"\n")
    return ExitCode.OK if found.sound else ExitCode.STORAGE


def check(where: Place) -> Found:
    """Look at it as a worker would; nothing is created that is not there."""
    if where.file is not None and not where.file.exists():
        return Found(sound=True, why="it is not there yet")
    try:
        if where.url is None and where.file is not None:
            refuse_broken(where.file, LOCK_WAIT_S)
        else:
            with contextlib.closing(_Opened(where)) as opened:
                opened.ask()
    except BadConfig:
        raise
    except BtswarmError as error:
        return Found(sound=False, why=error.message, needs=error.fix)
    return Found(sound=True)


def mend(where: Place, found: Found) -> Found:
    """What can be done without a person. Raises StorageBroken when somebody holds it."""
    if where.file is None:
        return found
    if where.url is None:
        kept, dropped, aside = repair(where.file, LOCK_WAIT_S)
        return Found(sound=True, kept=kept, dropped=dropped, aside=str(aside), source="itself")
    if holders := lock_holders(where.file):
        return Found(sound=False, why=f"{where.name} is locked by {holders}", needs=f"end the processes {holders}")
    return _replace(where.file)


def _replace(file: Path) -> Found:
    """The database, with its log, set aside; the copy in its place, if there is a sound one."""
    number = 1
    while (aside := file.with_name(f"{file.name}{BROKEN_SUFFIX}{number}")).exists():
        number += 1
    for suffix in ("", *WAL):
        part = file.with_name(file.name + suffix)
        if part.exists():
            rename_synced(part, aside.with_name(aside.name + suffix))
    copy = file.with_name(file.name + GOOD_SUFFIX)
    if copy.exists():
        rename_synced(copy, file)
        return Found(sound=True, aside=str(aside), source="copy")
    return Found(sound=True, aside=str(aside), source="nothing")


class _Opened:
    """A database, opened once."""

    def __init__(self, where: Place) -> None:
        self._name, self._storage = where.name, where.open()

    def ask(self) -> None:
        """Raises StorageBroken when it does not answer."""
        from .storage import storage_errors

        with storage_errors(self._name):
            self._storage.get_all_studies()

    def close(self) -> None:
        self._storage.remove_session()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except StorageBroken as error:
        sys.stderr.write(f"btswarm mending: {error.line()}\n")
        sys.exit(ExitCode.STORAGE)
