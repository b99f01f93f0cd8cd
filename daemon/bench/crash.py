"""Workers that are killed: how long until each is replaced, one at a time and all at once."""

import contextlib
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from .board import Board, kill
from .contenders import Contender, Ours, Reference, bare, bury, installed, running
from .figures import Weather, ratio, ratios, spread

PAUSE_S: Final = (0.020, 0.060)
"""Between two kills: they are no burst, and in step with nobody's timer."""
REFILL_S: Final = 2.6
"""After so long the shipped bucket holds a spawn for each of 50 workers again."""
ROUNDS_A_SWARM: Final = 4
"""Deaths of the same job that its shipped credits answer at once, one being kept."""
OTHERS_KILLS: Final = 24


class Victims:
    """Whom to kill next: all once in random order, then those who replaced them."""

    def __init__(self, pids: list[int], chance: random.Random) -> None:
        self._chance, self._turn = chance, list(pids)
        self._next: list[int] = []
        chance.shuffle(self._turn)

    def take(self) -> int:
        if not self._turn:
            self._turn, self._next = self._next, []
            self._chance.shuffle(self._turn)
        return self._turn.pop()

    def all(self) -> list[int]:
        """Everybody; nobody is left to be taken."""
        everybody, self._turn, self._next = [*self._turn, *self._next], [], []
        return everybody

    def replaced(self, pid: int) -> None:
        self._next.append(pid)


def one_by_one(folder: Path, *, copies: int, kills: int, swarms: int, seed: int) -> dict[str, Any]:
    """Crash to replacement running, the swarm and the yardstick taking turns; a bare spawn beside each pair."""
    chance, weather = random.Random(seed), Weather()
    ours: list[float] = []
    theirs: list[float] = []
    floor: list[float] = []
    for n in range(swarms):
        with ExitStack() as stack:
            boards = [stack.enter_context(_board()) for _ in range(3)]
            pair = [Ours(folder / f"a{n}", boards[0].argv, copies), Reference(folder / f"r{n}", boards[1].argv, copies)]
            sides = [
                (board, Victims(stack.enter_context(running(one, board)), chance), times)
                for one, board, times in zip(pair, boards, (ours, theirs), strict=False)
            ]
            weather.ours(*(one.pid for one in pair))
            for _ in range(kills // swarms + (n < kills % swarms)):
                chance.shuffle(sides)
                for board, victims, times in sides:
                    times.append(_replaced(board, victims))
                    time.sleep(chance.uniform(*PAUSE_S))
                floor.append(_bare(boards[2], 1))
            weather.end(*(one.pid for one in pair))
    found = {"btswarm": spread(ours), "reference": spread(theirs), "floor": spread(floor)}
    return found | {"ratio": ratios(found["btswarm"], found["reference"]), "weather": weather.report()}


def _replaced(board: Board, victims: Victims) -> float:
    at = kill([victims.take()])
    (pid, *_), back = board.wait(1)
    victims.replaced(pid)
    return back - at


def at_once(folder: Path, *, copies: int, rounds: int, seed: int) -> dict[str, Any]:
    """All killed at once: when the last one is back, beside as many bare spawns and the yardstick."""
    chance, weather = random.Random(seed), Weather()
    times: dict[str, list[float]] = {"btswarm": [], "reference": [], "bare": []}
    for n in range(-(-rounds // ROUNDS_A_SWARM)):
        with ExitStack() as stack:
            boards = [stack.enter_context(_board()) for _ in range(3)]
            pair = [Ours(folder / f"b{n}", boards[0].argv, copies), Reference(folder / f"s{n}", boards[1].argv, copies)]
            alive = {
                one.name: stack.enter_context(running(one, board)) for one, board in zip(pair, boards, strict=False)
            }
            weather.ours(*(one.pid for one in pair))
            for _ in range(min(ROUNDS_A_SWARM, rounds - n * ROUNDS_A_SWARM)):
                time.sleep(REFILL_S)
                for name, board in chance.sample([*zip(times, boards, strict=True)], 3):
                    if name == "bare":
                        times[name].append(_bare(board, copies))
                    else:
                        at = kill(alive[name])
                        alive[name], back = board.wait(copies)
                        times[name].append(back - at)
                    time.sleep(chance.uniform(0.1, 0.3))
            weather.end(*(one.pid for one in pair))
    found = {name: spread(values) for name, values in times.items()}
    compared = {
        f"to_{name}": ratio(found["btswarm"]["median_ms"], found[name]["median_ms"]) for name in ("bare", "reference")
    }
    return found | {"ratio": compared, "weather": weather.report()}


def others(folder: Path, *, copies: int, seed: int) -> dict[str, Any]:
    """Other supervisors, where installed, on the same terms: a few kills one by one, then all at once."""
    found = {}
    for n, kind in enumerate(installed()):
        with ExitStack() as stack:
            board = stack.enter_context(_board())
            contender: Contender = kind(folder / f"o{n}", board.argv, copies)
            victims = Victims(stack.enter_context(running(contender, board)), random.Random(seed))
            times = []
            for _ in range(OTHERS_KILLS):
                times.append(_replaced(board, victims))
                time.sleep(PAUSE_S[1])
            at = kill(victims.all())
            _, back = board.wait(copies)
            found[kind.name] = {"one_by_one": spread(times), "at_once_ms": round(1000 * (back - at), 1)}
    return found


def _bare(board: Board, count: int) -> float:
    """So many processes of the command, one after the other: until the last one runs. They are gone afterwards."""
    at = time.monotonic()
    pids = [bare(board.argv) for _ in range(count)]
    _, back = board.wait(count)
    bury(pids)
    return back - at


@contextlib.contextmanager
def _board() -> Iterator[Board]:
    with contextlib.closing(Board()) as board:
        yield board
