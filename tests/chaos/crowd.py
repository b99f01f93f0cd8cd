"""Who lives with a token of a swarm, seen from outside: read from /proc, never asked of the daemon."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from btswarm.daemon.workers.identity import stat_of

PROC = Path("/proc")


@dataclass(frozen=True)
class Body:
    """A living process of the swarm. `state` as in /proc: T is stopped."""

    pid: int
    parent: int
    start_ticks: int
    state: str
    token: str
    worker: str
    job: str
    cpu_s: float = 0.0

    def alive(self) -> bool:
        """Whether this very process still runs."""
        found = stat_of(self.pid)
        return found is not None and found.ticks == self.start_ticks and found.state not in "ZX"


@dataclass
class Crowd:
    """One look. Processes of one worker carry one token."""

    bodies: list[Body] = field(default_factory=list)

    @property
    def tokens(self) -> set[str]:
        return {body.token for body in self.bodies}

    def heads(self) -> list[Body]:
        """One process for each worker: that whose parent does not carry the same token."""
        own = {(body.pid, body.token) for body in self.bodies}
        return [body for body in self.bodies if (body.parent, body.token) not in own]

    def twins(self) -> list[tuple[Body, Body]]:
        """Pairs that do one job at the same time, or bear one token without being of one family.

        A look takes a moment, in which one may have died and its successor begun: only those count that both live on.
        """
        first: dict[str, Body] = {}
        found = []
        for body in self.heads():
            for mark in {body.token, body.job} - {""}:
                other = first.setdefault(mark, body)
                if other.pid != body.pid and other.alive() and body.alive():
                    found.append((other, body))
        return found


def look(swarm_id: str) -> Crowd:
    """Every living process whose environment carries a token of this swarm."""
    mark = f"BTSWARM_TOKEN={swarm_id}.".encode()
    bodies = []
    for name in os.listdir(PROC):
        if not name.isdigit():
            continue
        try:
            environ = (PROC / name / "environ").read_bytes()
        except OSError:
            continue
        if mark in environ and (stat := stat_of(int(name))) and stat.state not in "ZX":
            words = dict(one.partition("=")[::2] for one in environ.decode(errors="replace").split("\0"))
            folder = Path(words.get("BTSWARM_WORKER_DIR", ""))
            token = words.get("BTSWARM_TOKEN", "")
            bodies.append(Body(int(name), stat.parent, stat.ticks, stat.state, token, folder.name, job_of(folder),
                               stat.cpu_s))  # fmt: skip
    return Crowd(bodies)


def job_of(folder: Path) -> str:
    """The job that the worker of this folder was given, empty if that cannot be read."""
    found = read_json(folder / "job.json")
    return str(found.get("job", "")) if found else ""


def read_json(path: Path) -> dict[str, object]:
    """A JSON object, empty if there is none."""
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
