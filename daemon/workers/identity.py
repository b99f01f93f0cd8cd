"""Who a process is: read from /proc, believed only together with its start time or its token.

While a process executes another program its environment reads empty for a moment; such a one is looked at again before
anybody says that it has no token.
"""

import os
import select
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...state.models.names import epoch
from ..ports import Seen

TOKEN: Final = "BTSWARM_TOKEN"
PROC: Final = Path("/proc")
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_MB: Final = os.sysconf("SC_PAGE_SIZE") / 2**20
BURIED: Final = frozenset("ZX")
LOOKS: Final = 12
BETWEEN_LOOKS_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class Stat:
    """/proc/<pid>/stat. `cpu_s`: user and system time. `ticks`: start time in clock ticks since boot.

    `kernel`: it has no memory of its own: a thread of the kernel, or dead.
    """

    state: str
    parent: int
    cpu_s: float
    ticks: int
    rss_mb: float
    kernel: bool


def parse_stat(data: bytes) -> Stat:
    """The program's name may hold spaces and brackets, so fields count from the last bracket."""
    fields = data[data.rindex(b")") + 2 :].split()
    cpu = int(fields[11]) + int(fields[12])
    rss_mb = int(fields[21]) * PAGE_MB
    return Stat(fields[0].decode(), int(fields[1]), cpu / TICKS_PER_S, int(fields[19]), rss_mb, fields[20] == b"0")


def stat_of(pid: int) -> Stat | None:
    """None when there is no such process."""
    data = _read(f"/proc/{pid}/stat")
    return parse_stat(data) if data else None


def token_of(pid: int, swarm_id: str) -> str | None:
    """The token of this swarm that a process carries. None: it has none, is dead, or nobody may know."""
    seen = look(pid, swarm_id)
    return seen.token if seen else None


def token_in(environ: bytes, swarm_id: str) -> str | None:
    mark = f"{TOKEN}={swarm_id}.".encode()
    if not environ.startswith(mark):
        found = environ.find(b"\0" + mark)
        if found < 0:
            return None
        environ = environ[found + 1 :]
    value = environ[len(TOKEN) + 1 : environ.find(b"\0")]
    return value.decode("ascii", "replace")


def census(swarm_id: str) -> list[Seen]:
    """Every process of this swarm on this host but ourselves; one that is dead or cannot be read is not among them."""
    own = str(os.getpid())
    pids = [int(name) for name in os.listdir(PROC) if name.isdigit() and name != own]
    return recognise(pids, swarm_id)


def recognise(pids: Iterable[int], swarm_id: str) -> list[Seen]:
    """Those of the processes that carry a token of this swarm and are not dead."""
    found: list[Seen] = []
    for attempt in range(LOOKS):
        silent = []
        for pid in pids:
            environ = _read(f"/proc/{pid}/environ")
            if environ is None:
                continue
            if token := token_in(environ, swarm_id):
                found += _alive(pid, token)
            elif not environ and _has_memory(pid):
                silent.append(pid)
        if not silent:
            break
        pids = silent
        if attempt:
            select.select((), (), (), BETWEEN_LOOKS_S)
    return found


def look(pid: int, swarm_id: str) -> Seen | None:
    """The process, if it carries a token of this swarm and is not dead."""
    return next(iter(recognise((pid,), swarm_id)), None)


def _alive(pid: int, token: str) -> list[Seen]:
    stat = stat_of(pid)
    return [Seen(pid, stat.ticks, token, stat.parent, stat.state)] if stat and stat.state not in BURIED else []


def _has_memory(pid: int) -> bool:
    stat = stat_of(pid)
    return stat is not None and not stat.kernel


def children() -> list[int]:
    """Every process whose parent we are: a pass over /proc, for kernels that keep no list of them."""
    own = os.getpid()
    return [int(name) for name in os.listdir(PROC) if name.isdigit() and _parent(int(name)) == own]


def own_epoch() -> str:
    """Of this boot, pid namespace and container: outside of it a pid means nothing."""
    boot = (_read("/proc/sys/kernel/random/boot_id") or b"").decode("ascii", "replace").strip()
    return epoch(boot, os.stat("/proc/self/ns/pid").st_ino, os.environ.get("CONTAINER_ID") or os.uname().nodename)


def _parent(pid: int) -> int:
    stat = stat_of(pid)
    return stat.parent if stat else 0


def _read(path: str) -> bytes | None:
    """The content, None when it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return None
