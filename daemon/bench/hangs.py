"""Workers that hang or crash at once: how long beyond the deadline they are replaced, and how often they start."""

import os
import random
import signal
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from ...state.files import make_folder, write_atomic
from ...state.models.config import RestartTable
from .board import Board
from .contenders import Ours, running
from .figures import percentile

STOPPED_S: Final = 30.0
SILENT_S: Final = 60.0
"""Quiet limit of a worker in the phase `batch` that never had a second step."""
WHATEVER: Final = 4
SLACK_S: Final = 60.0
COPIES: Final = 4
TRIALS: Final = 4000
QUICK_S: Final = 0.01
"""From a start to the next one that nothing delays."""
DAEMON: Final = """\
import sys
from pathlib import Path
from btswarm.daemon import work
from btswarm.daemon.serving import serve
from btswarm.state.config import load
work.ENGINE = ("-P", "-m", "btswarm.daemon.bench.hung")
sys.exit(serve(load(Path(sys.argv[1]))))
"""
"""The whole daemon, whose engine workers are those that hang."""
PLAN: Final = """\
plan = { data_path = "synthetic", symbols = ["BTCUSDT"], modes = ["balanced"], rounds = 1 }
lanes = { cpu = 1 }
"""


class Hanging(Ours):
    """One engine job, whose worker takes a step and then waits or spins."""

    def __init__(self, folder: Path, what: str, board: Board) -> None:
        super().__init__(folder, ["true"], 0, PLAN)
        write_atomic(self.config, self.config.read_bytes().partition(b"[[command]]")[0])
        self.copies = 1
        self._said = f"{what}\n{board.path}\n".encode()

    def command(self) -> list[str]:
        return [sys.executable, "-P", "-c", DAEMON, str(self.config)]

    def start(self) -> None:
        make_folder(self.root)
        write_atomic(self.root / "hung", self._said)
        super().start()


def stopped(folder: Path) -> dict[str, Any]:
    """SIGSTOP to a worker of a command: state T for 30 s is stuck, and stuck in that state is killed."""
    with closing(Board()) as board, running(Ours(folder / "t", board.argv, COPIES), board) as pids:
        at = time.monotonic()
        os.kill(pids[0], signal.SIGSTOP)
        _, back = board.wait(1, STOPPED_S + SLACK_S)
    return _late(back - at, STOPPED_S)


def hung(folder: Path, what: str) -> dict[str, Any]:
    """An engine worker that waits for ever, or that loops: no step for the quiet limit, or for four times that."""
    limit_s = SILENT_S * (WHATEVER if what == "spin" else 1)
    with closing(Board()) as board:
        swarm = Hanging(folder / what, what, board)
        swarm.start()
        try:
            swarm.up(board)
            at = time.monotonic()
            _, back = board.wait(1, limit_s + SLACK_S)
        finally:
            swarm.stop()
    return _late(back - at, limit_s)


def _late(after_s: float, limit_s: float) -> dict[str, Any]:
    return {"deadline_s": limit_s, "replaced_after_s": round(after_s, 2), "late_s": round(after_s - limit_s, 2)}


def crash_loop(folder: Path, *, minutes: float, seed: int) -> dict[str, Any]:
    """Commands that end at once: starts of each in so many minutes, against what the policy's arithmetic gives."""
    with closing(Board()) as board:
        swarm = Ours(folder / "c", ["sh", "-c", 'echo $$ >"$0"; exit 1', board.path], COPIES)
        swarm.start()
        try:
            board.wait(1)
            time.sleep(minutes * 60.0)
            starts = 1 + len(board.drain())
        finally:
            swarm.stop()
    chance = random.Random(seed)
    runs = [sum(_starts(minutes * 60.0, chance) for _ in range(COPIES)) for _ in range(TRIALS)]
    low, high = percentile(runs, 0.005), percentile(runs, 0.995)
    expected = {"mean": round(statistics.mean(runs), 1), "least": low, "most": high}
    within = low is not None and high is not None and low <= starts <= high
    return {"minutes": minutes, "copies": COPIES, "starts": starts, "expected": expected, "within": within}


def _starts(span_s: float, chance: random.Random) -> int:
    """The policy by hand: credits that refill, then full jitter whose ceiling doubles; no life is long enough here for
    the ceiling to fall again."""
    limits = RestartTable()
    at, level, seen, n, starts = 0.0, float(limits.credits), 0.0, 0, 0
    while at <= span_s:
        starts += 1
        level, seen = min(limits.credits, level + (at - seen) / limits.refill_s), at
        if level >= 1.0:
            level -= 1.0
            at += QUICK_S
        else:
            at += QUICK_S + chance.uniform(0, min(limits.cap_s, limits.base_s * 2.0 ** min(n, 62)))
            n += 1
    return starts
