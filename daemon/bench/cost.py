"""What the supervisor costs while nothing happens, and with a thousand workers."""

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from ...state.control_client import ask
from . import outside
from .board import Board, kill
from .contenders import Ours, environment, running
from .crash import Victims
from .figures import Weather, ratio, spread

QUESTIONS: Final = 200
RUNS: Final = 25
MANY: Final = 1000
EXITS_PER_S: Final = 3.0
MANY_LIMIT_S: Final = 180.0
"""The shipped bucket starts 20 a second after the first hundred."""


def answers(folder: Path, *, copies: int) -> dict[str, Any]:
    """How long questions take with so many workers: the socket, and a query as a process beside a bare python."""
    with closing(Board()) as board, running(swarm := Ours(folder / "q", board.argv, copies), board):
        asked = [_timed(lambda: ask(swarm.state, "status")) for _ in range(QUESTIONS)]
        query = [sys.executable, "-P", "-m", "btswarm", "query", "--json", "--config", str(swarm.config)]
        queries, bare = [], []
        for _ in range(RUNS):
            queries.append(_timed(lambda: _run(query)))
            bare.append(_timed(lambda: _run([sys.executable, "-c", "pass"])))
    found = {"status_socket": spread(asked), "query_process": spread(queries), "bare_python": spread(bare)}
    return found | {"ratio": {"query": ratio(found["query_process"]["median_ms"], found["bare_python"]["median_ms"])}}


def idle(folder: Path, *, copies: int, span_s: float) -> dict[str, Any]:
    """Memory and CPU of the daemon and its helpers while so many workers only sleep."""
    with closing(Board()) as board, running(swarm := Ours(folder / "i", board.argv, copies), board):
        pids = _supervisors(swarm)
        weather, before = Weather(), _cpu_s(pids)
        time.sleep(span_s)
        used = _cpu_s(pids) - before
        rss_mb = sum(outside.rss_mb(pid) for pid in _supervisors(swarm))
        weather.ours(*pids)
        return {"span_s": span_s, "rss_mb": round(rss_mb, 1), "cpu_pct": round(100 * used / span_s, 3),
                "processes": len(pids), "weather": weather.report()}  # fmt: skip


def thousand(folder: Path, *, span_s: float, seed: int) -> dict[str, Any]:
    """A thousand real processes, three of them killed every second: how long until each is back, and at what cost."""
    chance = random.Random(seed)
    with closing(Board()) as board:
        swarm = Ours(folder / "m", board.argv, MANY)
        swarm.start()
        try:
            victims = Victims(swarm.up(board, MANY_LIMIT_S), chance)
            time.sleep(10.0)
            weather, pids = Weather(), _supervisors(swarm)
            times, before, begun = [], _cpu_s(pids), time.monotonic()
            while time.monotonic() - begun < span_s:
                at = kill([victims.take()])
                (pid, *_), back = board.wait(1)
                victims.replaced(pid)
                times.append(back - at)
                time.sleep(max(0.0, chance.expovariate(EXITS_PER_S) - (back - at)))
            span = time.monotonic() - begun
            used = _cpu_s(pids) - before
            rss_mb = sum(outside.rss_mb(pid) for pid in _supervisors(swarm))
            weather.ours(*pids)
        finally:
            swarm.stop()
    found = {"workers": MANY, "exits_per_s": round(len(times) / span, 2), "crash_to_replacement": spread(times)}
    return found | {"cpu_pct": round(100 * used / span, 2), "rss_mb": round(rss_mb, 1), "weather": weather.report()}


def _supervisors(swarm: Ours) -> list[int]:
    """The daemon and its helpers: its descendants without a token."""
    workers = {pid for pid, _ in outside.carriers(swarm.swarm_id)}
    return [swarm.pid, *(pid for pid in outside.below(swarm.pid) if pid not in workers)]


def _cpu_s(pids: Sequence[int]) -> float:
    """Their own: workers that they buried are not counted."""
    return sum(outside.cpu_s(pid) for pid in pids)


def _run(argv: Sequence[str]) -> None:
    subprocess.run(argv, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


def _timed(work: Any) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
