"""The daemon killed again and again, and workers that leave processes behind: who is there twice, who is left?

Counted by an outside census of the tokens in /proc, never by the daemon.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

from ...state.control_client import NoDaemon, ask
from ...state.files import write_atomic
from ...state.logread import LOG_NAME
from . import outside
from .board import Board, NotBack
from .contenders import Ours, Supervisord, installed, running
from .figures import spread

COPIES: Final = 10
SOON_S: Final = 0.020
"""After a line about a worker, the daemon is killed within this."""
ANY_S: Final = 1.0
WHOLE_S: Final = 30.0
LOOK_S: Final = 0.005
LINES: Final = (1, 2, 3)
"""exited, spawning, started: the line after which the daemon is killed."""
FAMILY: Final = """\
sleep 1000000 &
setsid sleep 1000000 &
(setsid sh -c 'sleep 1000000 & exit 0' &)
echo $$ >"$1"
exec sleep 1000000
"""
"""A child, one in a session of its own, and one whose parent is gone."""


def daemon_kills(folder: Path, *, kills: int, seed: int) -> dict[str, Any]:
    """SIGKILL to the daemon, half at random instants, half right after a `worker.*` line; and the next one started."""
    chance = random.Random(seed)
    extra, whole_s, after_line = [], [], 0
    with closing(Board()) as board:
        swarm = Ours(folder / "k", board.argv, COPIES, GENEROUS)
        swarm.start()
        try:
            begun = time.monotonic()
            swarm.up(board)
            for n in range(kills):
                if n % 2:
                    extra.append(_watched(swarm, chance.uniform(0, ANY_S)))
                else:
                    extra.append(_settled(swarm))
                    whole_s.append(time.monotonic() - begun)
                    after_line += _until_line(swarm, chance)
                swarm.kill()
                begun = time.monotonic()
                swarm.start()
            extra.append(_settled(swarm))
            left = _drained(swarm)
        finally:
            swarm.stop()
    return {
        "kills": kills,
        "within_20_ms_after_a_line": after_line,
        "duplicates": sum(extra),
        "orphans": left,
        "whole_again": spread(whole_s),
    }


GENEROUS: Final = "restart = { credits = 100000, spawn_burst = 100000, spawn_per_s = 100000 }"
"""Here it is counted who is there twice; deaths beyond the shipped credits would only leave out copies meanwhile."""


def _until_line(swarm: Ours, chance: random.Random) -> bool:
    """Kill a worker, wait for a line about one, and a moment longer; whether there was a line."""
    log = swarm.state / LOG_NAME
    size = log.stat().st_size
    if alive := outside.carriers(swarm.swarm_id):
        outside.kill([chance.choice(alive)[0]])
    lines, end = chance.choice(LINES), time.monotonic() + WHOLE_S
    with log.open("rb") as file:
        file.seek(size)
        said = b""
        while said.count(b'"kind":"worker.') < lines:
            if time.monotonic() > end:
                return False
            time.sleep(LOOK_S / 10)
            said += file.read()
    time.sleep(chance.uniform(0, SOON_S))
    return True


def _watched(swarm: Ours, span_s: float) -> int:
    """The most processes that are too many at one look in this time."""
    end, most = time.monotonic() + span_s, 0
    while time.monotonic() < end:
        most = max(most, sum(outside.tokens(swarm.swarm_id).values()) - COPIES)
        time.sleep(LOOK_S)
    return most


def _settled(swarm: Ours) -> int:
    """Wait until the daemon answers and every copy runs once; the most processes that are too many meanwhile."""
    end, most, good = time.monotonic() + WHOLE_S, 0, 0
    while good < 3:
        tokens = outside.tokens(swarm.swarm_id)
        most = max(most, sum(tokens.values()) - COPIES)
        good = good + 1 if len(tokens) == COPIES and set(tokens.values()) == {1} and _answers(swarm) else 0
        if time.monotonic() > end:
            raise NotBack(f"{sum(tokens.values())} processes for {COPIES} copies after {WHOLE_S:g} s")
        time.sleep(LOOK_S)
    return most


def _answers(swarm: Ours) -> bool:
    try:
        ask(swarm.state, "ping")
    except NoDaemon:
        return False
    return True


def _drained(swarm: Ours) -> int:
    """Stop it as a person would: how many processes with a token of it live on."""
    assert swarm.process is not None
    swarm.process.send_signal(signal.SIGTERM)
    swarm.process.wait(60)
    return len(outside.carriers(swarm.swarm_id))


def leaks(folder: Path) -> dict[str, Any]:
    """Workers with a family, killed: how many of the family outlive the replacement. supervisord beside it."""
    found: dict[str, Any] = {}
    write_atomic(script := folder / "family.sh", FAMILY.encode())
    with ExitStack() as stack:
        board = stack.enter_context(closing(Board()))
        swarm = Ours(folder / "l", ["sh", str(script), board.path], COPIES)
        pids = stack.enter_context(running(swarm, board))
        found["btswarm"] = {"crashes": COPIES, "family": 3, "leaked": sum(_leaked(board, pid) for pid in pids)}
        found["btswarm"]["processes"] = len(outside.carriers(swarm.swarm_id))
    for kind in [one for one in installed() if one is Supervisord]:
        with ExitStack() as stack:
            board = stack.enter_context(closing(Board()))
            other = kind(folder / "ls", ["sh", str(script), board.path], COPIES)
            pids = stack.enter_context(running(other, board))
            leaked = sum(_leaked(board, pid) for pid in pids)
            found[kind.name] = {"crashes": COPIES, "family": 3, "leaked": leaked}
    return found


def _leaked(board: Board, pid: int) -> int:
    """Kill a worker: how many processes of its family live once its replacement runs."""
    family = list(_family(pid))
    os.kill(pid, signal.SIGKILL)
    board.wait(1)
    left = [one for one, started in family if (stat := outside.fields(one)) and stat[19] == started and stat[0] != b"Z"]
    outside.kill(left)
    return len(left)


def _family(pid: int) -> Iterator[tuple[int, bytes]]:
    """`(pid, start)` of every process that has the environment of this worker, but itself."""
    mark = _mark(pid)
    for one in outside.living():
        if one != pid and mark and _mark(one) == mark and (stat := outside.fields(one)):
            yield one, stat[19]


def _mark(pid: int) -> bytes:
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return b""
    marks = [one for one in environ if one.startswith((b"BTSWARM_TOKEN=", b"SUPERVISOR_PROCESS_NAME="))]
    return marks[0] if marks else b""
