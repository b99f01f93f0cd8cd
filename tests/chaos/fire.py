"""Faults, drawn from a seed: workers and the daemon of one swarm killed and stopped. Nobody else is ever signalled."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from btswarm.daemon.home import swarm_id
from btswarm.daemon.lock import LOCK_NAME, told
from btswarm.daemon.workers.identity import stat_of
from btswarm.state.control_client import ask
from btswarm.state.errors import BtswarmError

from .crowd import Body, Crowd, look, read_json

KINDS = {"worker killed": 50, "worker stopped": 12, "daemon killed": 20, "daemon stopped": 6, "both killed": 12}
NAP_S = (2.0, 9.0)
"""A stopped daemon sleeps so long; nobody but a service manager's watchdog would wake it."""
BACK_S = 60.0
LOOK_S = 0.02


@dataclass
class Fault:
    """`at`: UTC seconds, `boot_s`: seconds since boot, which is what start times of processes count in.
    `lost_s`: work of the worker since its last checkpoint. `back_s`: until the daemon answered again."""

    kind: str
    at: float
    boot_s: float
    pid: int = 0
    worker: str = ""
    job: str = ""
    phase: str = ""
    lost_s: float | None = None
    back_s: float | None = None
    progress: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


class Gun:
    """Shoots at one state root."""

    def __init__(self, state: Path, seed: int) -> None:
        self.state, self.random = state, random.Random(seed)
        self.swarm_id = swarm_id(state) or ""
        self.shots: list[Fault] = []

    def pause_s(self, mean_s: float) -> float:
        """Until the next one: mostly short, sometimes long."""
        return min(4 * mean_s, self.random.expovariate(1 / mean_s))

    def shoot(self) -> Iterator[Fault]:
        """One fault or two, each told when it is done. A daemon that was hit is waited for."""
        kind = self.random.choices(list(KINDS), list(KINDS.values()))[0]
        if "worker" in kind:
            yield from self._worker(kind)
            return
        nap_s = self.random.uniform(*NAP_S)
        pid = daemon_pid(self.state)
        if pid is None:
            return
        if kind == "daemon stopped":
            fault = self._hit(kind, pid, signal.SIGSTOP)
            try:
                time.sleep(nap_s)
            finally:
                _signal(pid, signal.SIGCONT)
        else:
            fault = self._hit(kind.replace("both", "daemon"), pid, signal.SIGKILL)
        yield fault
        if kind == "both killed":
            yield from self._worker("worker killed")
        fault.back_s = self._answers_again(fault)

    def _worker(self, kind: str) -> Iterator[Fault]:
        """One of the workers that are not stopped already."""
        standing = [body for body in look(self.swarm_id).bodies if body.state not in "Tt"]
        if not standing:
            return
        body = self.random.choice(sorted(standing, key=lambda one: one.pid))
        fault = self._hit(kind, body.pid, signal.SIGSTOP if kind == "worker stopped" else signal.SIGKILL)
        fault.worker, fault.job = body.worker, body.job
        self._work_lost(fault, body)
        yield fault

    def _work_lost(self, fault: Fault, body: Body) -> None:
        """What it had done since its last checkpoint, by its own rate; all of its life if it has none yet."""
        told_ = read_json(self.state / "workers" / body.worker / "progress.json")
        fault.progress = {name: told_.get(name) for name in ("phase", "step", "steps", "rate", "unit", "checkpoint")}
        fault.phase = str(told_.get("phase") or "start")
        life_s = fault.boot_s - body.start_ticks / os.sysconf("SC_CLK_TCK")
        step, rate, checkpoint = told_.get("step"), told_.get("rate"), told_.get("checkpoint")
        if isinstance(step, int) and isinstance(rate, int | float) and rate > 0 and isinstance(checkpoint, int):
            life_s = min(life_s, max(0, step - checkpoint) / rate)
        fault.lost_s = round(max(0.0, life_s), 2)

    def _hit(self, kind: str, pid: int, number: int) -> Fault:
        fault = Fault(kind, time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), pid)
        _signal(pid, number)
        self.shots.append(fault)
        return fault

    def _answers_again(self, fault: Fault) -> float | None:
        """Seconds from the fault until a daemon answers on the socket."""
        while time.clock_gettime(time.CLOCK_BOOTTIME) - fault.boot_s < BACK_S:
            with contextlib.suppress(BtswarmError):
                ask(self.state, "ping", wait_s=1.0)
                return round(time.clock_gettime(time.CLOCK_BOOTTIME) - fault.boot_s, 3)
            time.sleep(LOOK_S)
        return None


def daemon_pid(state: Path) -> int | None:
    """The process that says in the lock's text that it is the daemon, if it is that very process."""
    words = told(state / LOCK_NAME).split()
    if len(words) < 2 or not (words[0].isdigit() and words[1].isdigit()):
        return None
    found = stat_of(int(words[0]))
    return int(words[0]) if found is not None and found.ticks == int(words[1]) else None


def crowd(state: Path) -> Crowd:
    """All living workers of the swarm of a state root."""
    own = swarm_id(state)
    return look(own) if own else Crowd()


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
