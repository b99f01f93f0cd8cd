"""The published view: `<results>/optimizations/<SYMBOL>/<mode>` is a link to the folder of the best round so far.

It is swapped in one step, so that a reader sees one round or the other, whole.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from ..state.errors import BtswarmError
from ..state.files import locked, make_folder, point_link
from ..state.models.trials import AllTrials, SearchFacts
from ..state.results import PUBLISHED, ROBUST
from ..state.results import published_rounds as published_rounds
from .artifacts import ALL_TRIALS, read_model

LOCK = ".publish.lock"


@dataclass(frozen=True)
class Standing:
    """What a round has to show: the score of its best_robust, and the search it is the score of."""

    score: float
    search: SearchFacts


def publish(results: Path, folder: Path, symbol: str, mode: str) -> bool:
    """Let the published view of this symbol and mode be `folder` if that is better. True when it is (or was) so.

    Scores are compared only on the same candles, space and costs. Otherwise the newcomer is published, unless its
    candles end earlier than those of what is there. Raises CannotWrite or NoPermission.
    """
    mine = standing(folder)
    if mine is None:
        return False
    link = make_folder(results / PUBLISHED / symbol) / mode
    with locked(results / LOCK):
        if is_published(results, folder, symbol, mode):
            return True
        there = standing(link) if link.exists() else None
        if there is not None and not _better(mine, there):
            return False
        point_link(link, os.path.relpath(folder, link.parent))
    return True


def is_published(results: Path, folder: Path, symbol: str, mode: str) -> bool:
    """Whether the view points at this very folder."""
    link = results / PUBLISHED / symbol / mode
    return link.is_symlink() and link.resolve() == folder.resolve()


def standing(folder: Path) -> Standing | None:
    """None when the folder has no best_robust with a score."""
    try:
        found = read_model(folder / ALL_TRIALS, AllTrials)
    except BtswarmError:
        return None
    number = found.best.get(ROBUST)
    scores = [row.score for row in found.trials if row.number == number]
    return Standing(scores[0], found.header.search) if scores and scores[0] is not None else None


def _better(mine: Standing, there: Standing) -> bool:
    if _question(mine.search) == _question(there.search):
        return mine.score > there.score
    return mine.search.data.last >= there.search.data.last


def _question(search: SearchFacts) -> tuple[object, ...]:
    """Two scores that answer the same question may be compared."""
    return (search.data.sha256, search.space_sha256, search.costs, search.min_trades, search.neighbours)
