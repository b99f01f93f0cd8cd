"""What workers left behind: whether a file can be used by whoever comes next, how many there are, which are the best.

JSON only: what a number means is the engine's to know.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from ...state.models.facts import ArtifactsView, LeaderView, SearchView
from ...state.results import (
    ALL_TRIALS,
    BEST,
    PHASE0,
    PREFLIGHT,
    ROBUST,
    ROUNDS,
    TEARSHEET,
    VALIDATION,
    round_numbers,
)
from ..ports import Files

KINDS: Final[Mapping[str, str]] = {
    PREFLIGHT: "preflight",
    PHASE0: "phase0",
    ALL_TRIALS: "trials",
    VALIDATION: "validation",
    TEARSHEET: "tearsheet",
}
"""File -> what it is counted as."""
VERDICTS: Final = ("CERTIFIED", "UNCERTIFIED", "INSUFFICIENT EVIDENCE", "REJECTED")
"""Best first."""
ROWS: Final = 50
CHANGES_TOLD: Final = 50
GREATEST: Final = 64 << 20
"""Bytes of a validation that is still read."""
Stamp = tuple[int, int, int]


def fault(files: Files, path: Path) -> str:
    """Why an artifact is not valid; empty when it is: there, not empty and, if its name says JSON, JSON."""
    try:
        if path.suffix != ".json":
            return "" if files.stat(path).size else f"{path} is empty"
        orjson.loads(files.read(path))
    except OSError as error:
        return f"{path}: {error.strerror}"
    except orjson.JSONDecodeError as error:
        return f"{path} is not JSON: {error}"
    except ValueError as error:
        return f"{path!s:.200} is no path: {error}"
    return ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found when somebody last looked. `certified`: rounds that hold a certified result. `faults`: what could
    not be read, in a sentence each. `mono`: when that was asked for."""

    artifacts: ArtifactsView = field(default_factory=ArtifactsView)
    leaderboard: tuple[LeaderView, ...] = ()
    searches: Mapping[str, SearchView] = field(default_factory=dict)
    certified: frozenset[int] = frozenset()
    faults: tuple[str, ...] = ()
    mono: float = float("-inf")


@dataclass
class _Leader:
    """A validation as last read. `candidate`: the same configuration may be validated in several rounds."""

    stamp: Stamp
    view: LeaderView | None
    candidate: str = ""


class Shelf:
    """The rounds under the results root. Those at rest are looked at again only when everything is."""

    def __init__(self, results: Path) -> None:
        self._results = results
        self._rounds: dict[int, dict[Path, Stamp]] = {}
        self._leaders: dict[Path, _Leader] = {}
        self._began = False

    def look(self, busy: Collection[int] = (), *, everything: bool = False) -> Findings:
        """What lies there now. `busy`: rounds in which there may be something new, beside those never seen.

        `changed` of the first look is empty: nobody knows what was there before.
        """
        faults: list[str] = []
        try:
            numbers = round_numbers(self._results)
        except OSError as error:
            return Findings(faults=(f"{self._results}: {error.strerror}",))
        before = {path: stamp for files in self._rounds.values() for path, stamp in files.items()}
        fresh = [one for one in numbers if everything or one in busy or one not in self._rounds]
        self._rounds = {one: _files(self._results / ROUNDS / str(one)) if one in fresh else self._rounds[one]
                        for one in numbers}  # fmt: skip
        now = {path: stamp for files in self._rounds.values() for path, stamp in files.items()}
        changed = sorted(str(path) for path, stamp in now.items() if before.get(path) != stamp) if self._began else []
        self._began = True
        self._judge(faults)
        counts = Counter(KINDS[path.name] for path in now)
        return Findings(
            artifacts=ArtifactsView(
                dict(sorted(counts.items())), tuple(changed[:CHANGES_TOLD]), max(numbers, default=0)
            ),
            leaderboard=self._best(),
            certified=frozenset(one.view.round for one in self._leaders.values()
                                if one.view and one.view.verdict == VERDICTS[0]),
            faults=tuple(faults),
        )  # fmt: skip

    def _judge(self, faults: list[str]) -> None:
        """Read the validations that are new."""
        leaders = {}
        for number, files in self._rounds.items():
            for path, stamp in files.items():
                if path.name != VALIDATION:
                    continue
                known = self._leaders.get(path)
                if known is None or known.stamp != stamp:
                    try:
                        known = _leader(path, number, stamp)
                    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                        known = _Leader(stamp, None)
                        faults.append(f"{path} is no validation: {error!r}")
                leaders[path] = known
        self._leaders = leaders

    def _best(self) -> tuple[LeaderView, ...]:
        """At most ROWS, one for each configuration: by verdict, then by what was not searched for."""
        newest: dict[tuple[str, str, str], LeaderView] = {}
        for leader in self._leaders.values():  # in the order of rounds
            if leader.view is not None:
                newest[leader.view.symbol, leader.view.mode, leader.candidate] = leader.view
        return tuple(sorted(newest.values(), key=_rank)[:ROWS])


def _files(round_: Path) -> dict[Path, Stamp]:
    """The artifacts of one round."""
    found = {}
    for place in _folders(round_, 3):  # lane root, symbol, mode
        for path in [*map(place.joinpath, (PREFLIGHT, PHASE0, ALL_TRIALS, VALIDATION)),
                     *(place / best / TEARSHEET for best in BEST)]:  # fmt: skip
            try:
                stat = path.stat()
            except OSError:
                continue
            found[path] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
    return found


def _folders(path: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(path) as entries:
            inner = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    for name in inner:
        if depth == 1:
            yield path / name
        else:
            yield from _folders(path / name, depth - 1)


def _leader(path: Path, number: int, stamp: Stamp) -> _Leader:
    """Raises OSError, ValueError, KeyError, TypeError or AttributeError for what is no validation."""
    if stamp[2] > GREATEST:
        raise ValueError(f"{stamp[2] >> 20} MB")
    found = orjson.loads(path.read_bytes())
    training = found["training"]
    metrics = {
        "training_sharpe": training.get("sharpe"),
        "training_return": training.get("total_return"),
        "training_drawdown": training.get("max_drawdown_daily"),
        "training_trades": training.get("total_trades"),
        "walk_forward_sharpe": _figure(found["walk_forward_rolling"], "sharpe"),
        "deflated_sharpe": _figure(found["deflated_sharpe"], "probability"),
        "holdout_sharpe": _figure(found["holdout"], "sharpe"),
        "holdout_return": _figure(found["holdout"], "total_return"),
        "p_search": found["p_search"]["value"],
        "p_holdout": found["p_holdout"]["value"],
    }
    view = LeaderView(found["symbol"], found["mode"], number, ROBUST, metrics, found["verdict"], str(path.parent))
    return _Leader(stamp, view, found["candidate"]["id"])


def _figure(section: Mapping[str, Any], name: str) -> float | None:
    value: float | None = section["figures"].get(name, {}).get("value")
    return value


def _rank(row: LeaderView) -> tuple[float, ...]:
    """The hold-out is no part of it: whoever ranks by it searches it."""
    verdict = VERDICTS.index(row.verdict) if row.verdict in VERDICTS else len(VERDICTS)
    figures = (row.metrics[name] for name in ("deflated_sharpe", "walk_forward_sharpe", "training_sharpe"))
    return (verdict, *(float("inf") if one is None else -one for one in figures))
