"""A real daemon under test: started, killed, started again, and watched from outside."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Self

import orjson

from btswarm.state.paths import VARIABLES

from . import census
from .waiting import until

CONFIG = """\
roots = {{ root = "{root}" }}
workers = {{ stop_grace_s = 2 }}
{tables}
[[command]]
name = "fill"
argv = {argv}
copies = {copies}
restart = "{restart}"
"""
GENEROUS = "restart = { credits = 100000, spawn_burst = 100000, spawn_per_s = 100000 }"


class Daemon:
    """`argv`: what every worker runs."""

    def __init__(
        self,
        folder: Path,
        argv: list[str],
        copies: int = 1,
        tables: str = "",
        restart: str = "always",
        *,
        full: bool = False,
    ) -> None:
        self.root, self.config, self.copies = folder / "root", folder / "btswarm.toml", copies
        self.state = self.root / "state"
        text = CONFIG.format(
            root=self.root, argv=orjson.dumps(argv).decode(), copies=copies, tables=tables, restart=restart
        )
        self.config.write_bytes(text.encode())
        self.process: subprocess.Popen[bytes] | None = None
        self._mode = ["all"] if full else []

    def start(self) -> "Daemon":
        module = "btswarm.tests.daemon.small_daemon"
        argv = [sys.executable, "-P", "-m", module, str(self.config), *self._mode]
        self.process = subprocess.Popen(argv, env=environment())
        return self

    @property
    def swarm_id(self) -> str:
        path = self.state / "swarm_id"
        return until(lambda: path.read_text().strip() if path.exists() else "", what="the swarm's id")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def ask(self, number: int) -> int:
        """Send a signal and wait for its end: the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """What the log says so far, of these kinds."""
        path = self.state / "workflow_events.log"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [one for one in map(orjson.loads, lines) if not kinds or one["kind"] in kinds]

    def tokens(self) -> Counter[str]:
        return census.tokens(self.swarm_id)

    def pids(self) -> list[int]:
        return [pid for pid, _ in census.carriers(self.swarm_id)]

    def full(self) -> bool:
        """Whether every copy runs, once."""
        tokens = self.tokens()
        return len(tokens) == self.copies and set(tokens.values()) == {1}

    def up(self) -> Self:
        """Wait until every copy runs and is known to."""
        until(lambda: self.full() and len(self.running()) == self.copies, limit_s=60, what="all workers")
        return self

    def running(self) -> set[str]:
        """Workers that the log says are started and not ended."""
        alive: set[str] = set()
        for event in self.events("worker.started", "worker.adopted", "worker.exited"):
            (alive.discard if event["kind"] == "worker.exited" else alive.add)(event["subject"])
        return alive

    def end(self) -> None:
        """Nothing of it is left, however the test went."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if (self.state / "swarm_id").exists():
            census.kill_all(self.swarm_id)


def environment() -> dict[str, str]:
    """Ours without the roots: the configuration names them."""
    return {name: value for name, value in os.environ.items() if name not in VARIABLES.values()}


def chain(events: list[dict[str, Any]], seq: int) -> list[str]:
    """The kinds of the events that led to `seq`, oldest first."""
    by_seq = {one["seq"]: one for one in events}
    kinds: list[str] = []
    at: int | None = seq
    while at is not None:
        kinds.append(by_seq[at]["kind"])
        at = by_seq[at]["cause_seq"]
    return kinds[::-1]


def crash(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
