"""Looks at a swarm from outside all the time, in a thread: twins, strangers, CPU; and asks `query` now and then."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson

from btswarm.daemon.lock import LOCK_NAME
from btswarm.daemon.view import held

from .crowd import Body, read_json
from .fire import crowd

LOOK_S = 0.25
STRANGE_S = 20.0
"""A process whose token the daemon's records do not name for so long, while a daemon runs, is an orphan."""
WINDOW_S = 60.0


class Watcher(threading.Thread):
    """`twins`: descriptions of work that two did at once. `orphans`: tokens that nobody knew. `windows`: percent of the
    CPU that the others left, used by workers, one number a minute. `told`: utilisation as the daemon says it."""

    def __init__(self, state: Path) -> None:
        super().__init__(daemon=True)
        self.state = state
        self.twins: dict[str, str] = {}
        self.orphans: dict[str, str] = {}
        self.windows: list[float] = []
        self.told: list[float] = []
        self.looks = 0
        self.tokens: set[str] = set()
        self._ended = threading.Event()
        self._unknown: dict[str, float] = {}
        self._cpu: dict[tuple[int, int], float] = {}
        self._used_s = 0.0
        self._mark = (time.monotonic(), idle_and_all(), 0.0)
        self._said_at = 0.0

    def run(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.look()

    def end(self) -> None:
        self._ended.set()
        self.join()

    def look(self) -> None:
        """Once."""
        seen = crowd(self.state)
        self.looks += 1
        self.tokens |= seen.tokens
        for one, other in seen.twins():
            key = f"{one.token}/{other.token}"
            self.twins.setdefault(key, f"{one.worker} ({one.pid}) and {other.worker} ({other.pid}): {one.job}")
        self._strangers(seen.bodies)
        self._count(seen.bodies)
        latest = read_json(self.state / "session_latest.json")
        payload = latest.get("payload")
        if isinstance(payload, dict) and payload.get("at") != self._said_at:
            self._said_at = payload.get("at", 0.0)
            pct = payload.get("utilisation", {}).get("cpu", {}).get("pct")
            self.told += [pct] if isinstance(pct, int | float) else []

    def _strangers(self, bodies: list[Body]) -> None:
        if not held(self.state / LOCK_NAME):
            self._unknown.clear()
            return
        file = self.state / "workers.json"
        text = file.read_bytes() if file.exists() else b""
        now = time.monotonic()
        strange = {body.token: body for body in bodies if body.token.encode() not in text}
        self._unknown = {token: self._unknown.get(token, now) for token in strange}
        for token, since in self._unknown.items():
            if now - since > STRANGE_S:
                body = strange[token]
                self.orphans.setdefault(token, f"{body.worker} ({body.pid}): {body.job}")

    def _count(self, bodies: list[Body]) -> None:
        """CPU seconds of workers, as far as they were seen."""
        for body in bodies:
            key = (body.pid, body.start_ticks)
            self._used_s += max(0.0, body.cpu_s - self._cpu.get(key, 0.0))
            self._cpu[key] = body.cpu_s
        now, (begun, (idle, everything), used) = time.monotonic(), self._mark
        if now - begun >= WINDOW_S:
            new_idle, new_all = idle_and_all()
            cores = len(os.sched_getaffinity(0))
            ours, whole = self._used_s - used, cores * (now - begun)
            others = max(0.0, (new_all - everything) - (new_idle - idle) - ours)
            self.windows.append(round(100.0 * ours / max(1e-6, whole - others), 1))
            self._mark = (now, (new_idle, new_all), self._used_s)


def idle_and_all() -> tuple[float, float]:
    """CPU seconds of the host since boot: idle ones, and all."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in words]
    return ticks[3] + ticks[4], sum(ticks)


def query(config: Path, into: Path) -> dict[str, Any]:
    """What `btswarm query --json` says now; the whole of it is kept in `into`."""
    argv = [sys.executable, "-P", "-m", "btswarm", "query", "--json", "--config", str(config)]
    done = subprocess.run(argv, capture_output=True, check=False)
    into.write_bytes(done.stdout)
    said = orjson.loads(done.stdout) if done.stdout else {}
    steps = [f"{one['action']} ({one['subject']})" for one in said.get("next_steps") or ()]
    return {
        "code": done.returncode,
        "remark": done.stderr.decode().strip(),
        "stage": said.get("stage"),
        "round": said.get("round"),
        "health": said.get("health"),
        "workers": len(said.get("workers") or ()),
        "incidents": len(said.get("incidents") or ()),
        "cpu_pct": ((said.get("utilisation") or {}).get("cpu") or {}).get("pct"),
        "next_steps": steps[:3],
        "file": into.name,
    }
