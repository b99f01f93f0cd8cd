"""Which stages of one symbol and mode are done, so that a run that was interrupted does not do them again.

A stage counts as done when it was done with the very same inputs and every file it left is still what it was.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from ..state.errors import BtswarmError
from ..state.models.rounds import StageDone, Stages
from .artifacts import read_model, write_model

STAGES_FILE = "stages.json"


class Records:
    """`stages.json` in the folder of a symbol and mode."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / STAGES_FILE
        try:
            self._found = read_model(self._path, Stages)
        except BtswarmError:
            self._found = Stages()

    def good(self, stage: str, key: str) -> StageDone | None:
        """The record of a stage that need not run again."""
        done = self._found.stages.get(stage)
        if done is None or done.key != key or not done.artifacts:
            return None
        same = all(_sha256(self._folder / name) == sha for name, sha in done.artifacts.items())
        return done if same else None

    def forget(self, stage: str) -> None:
        """Remove what a stage left and is no longer what it was: a stage must not take it for its own and go on."""
        done = self._found.stages.get(stage)
        for name, sha in (done.artifacts if done else {}).items():
            path = self._folder / name
            if _sha256(path) != sha:
                path.unlink(missing_ok=True)

    def enter(self, stage: str, key: str, seconds: float, artifacts: Iterable[Path]) -> StageDone:
        """Remember that a stage ended well, and what it left."""
        hashes = {str(path.relative_to(self._folder)): _sha256(path) for path in _files(artifacts)}
        done = StageDone(key=key, seconds=seconds, artifacts=hashes)
        self._found.stages[stage] = done
        write_model(self._path, self._found)
        return done


def key_of(*parts: Any) -> str:
    """Hash of everything that goes into a stage."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _files(artifacts: Iterable[Path]) -> list[Path]:
    """The files themselves; a folder stands for what is in it now."""
    found = []
    for path in artifacts:
        found += sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return found


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
