"""The view from outside: who lives, what they carry and what they used, read from /proc and never asked of anybody."""

import contextlib
import os
import signal
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_MB: Final = os.sysconf("SC_PAGE_SIZE") / 2**20


def fields(pid: int) -> list[bytes]:
    """/proc/<pid>/stat from the state on; empty when there is no such process."""
    try:
        data = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return []
    return data[data.rindex(b")") + 2 :].split()


def living() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def carriers(swarm_id: str) -> list[tuple[int, str]]:
    """`(pid, token)` of every living process of the swarm."""
    mark = f"BTSWARM_TOKEN={swarm_id}.".encode()
    found = []
    for pid in living():
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if mark in environ and (stat := fields(pid)) and stat[0] not in b"ZX":
            found += [(pid, one.partition(b"=")[2].decode()) for one in environ.split(b"\0") if one.startswith(mark)]
    return found


def tokens(swarm_id: str) -> Counter[str]:
    """Token -> number of living processes that carry it."""
    return Counter(token for _, token in carriers(swarm_id))


def below(pid: int) -> list[int]:
    """Every descendant."""
    children = defaultdict(list)
    for one in living():
        if stat := fields(one):
            children[int(stat[1])].append(one)
    found, left = [], [pid]
    while left:
        found += children[left[0]]
        left += children[left.pop(0)]
    return found


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def cpu_s(pid: int, *, dead: bool = False) -> float:
    """CPU seconds of a process; with `dead` also of the children that it has buried."""
    stat = fields(pid)
    return sum(map(int, stat[11 : 15 if dead else 13])) / TICKS_PER_S if stat else 0.0


def rss_mb(pid: int) -> float:
    stat = fields(pid)
    return int(stat[21]) * PAGE_MB if stat else 0.0


def machine_cpu_s() -> tuple[float, float]:
    """CPU seconds that anybody used since boot, and that the hypervisor kept for others."""
    words = [int(word) / TICKS_PER_S for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _wait, irq, softirq, steal = words[:8]
    return user + nice + system + irq + softirq, steal
