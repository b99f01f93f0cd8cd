"""Plans too large for a line of the log: each in a file named by its content, which the event names.

`<state>/plans/<sha256>.json` is on the disk before the event that names it, so a replay finds what it needs.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from ..state.errors import BtswarmError, StorageBroken
from ..state.files import make_folder, write_atomic
from ..state.plans import canonical_bytes

FOLDER = "plans"
AGAIN = "launch the plan again"


class PlanShelf:
    """The plan read last is kept in memory, so that a file that somebody removed can be written again."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER
        self._known: tuple[str, bytes] = ("", b"")

    def put(self, plan: Mapping[str, Any]) -> str:
        """Keep a plan, synced: its name. Raises CannotWrite or NoPermission."""
        data = canonical_bytes(plan)
        name = hashlib.sha256(data).hexdigest()
        self._known = (name, data)  # first, so that nobody tidies it away
        write_atomic(make_folder(self._folder) / f"{name}.json", data)
        return name

    def find(self, name: str) -> dict[str, Any]:
        """The plan of this name. Raises StorageBroken when it is gone or was edited."""
        if self._known[0] != name:
            path = self._folder / f"{name}.json"
            try:
                data = path.read_bytes()
            except OSError as error:
                raise StorageBroken(f"the launched plan cannot be read: {path}: {error.strerror}", fix=AGAIN) from error
            if hashlib.sha256(data).hexdigest() != name:
                raise StorageBroken(f"the launched plan was edited: {path}", fix=AGAIN)
            self._known = (name, data)
        found: dict[str, Any] = orjson.loads(self._known[1])
        return found

    def tidy(self, name: str) -> list[str]:
        """Write the plan in force again if its file is not as it was, remove all others; what failed."""
        try:
            for path in self._folder.iterdir() if self._folder.is_dir() else ():
                if path.suffix == ".json" and path.stem not in (name, self._known[0]):
                    path.unlink()
            known, data = self._known
            if name and known == name and self._content(name) != data:
                write_atomic(make_folder(self._folder) / f"{name}.json", data)
        except (OSError, BtswarmError) as error:
            return [f"{self._folder}: {error}"]
        return []

    def _content(self, name: str) -> bytes:
        with contextlib.suppress(OSError):
            return (self._folder / f"{name}.json").read_bytes()
        return b""
