"""The outside view: who lives with a token, read from /proc by the test itself, never asked of the daemon."""

import os
import signal
from collections import Counter
from pathlib import Path


def tokens(swarm_id: str) -> Counter[str]:
    """Token -> number of living processes that carry it in their environment."""
    return Counter(token for _, token in carriers(swarm_id))


def carriers(swarm_id: str) -> list[tuple[int, str]]:
    """`(pid, token)` of every living process of the swarm."""
    mark = f"BTSWARM_TOKEN={swarm_id}."
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            environ = Path(f"/proc/{name}/environ").read_bytes().decode(errors="replace").split("\0")
            state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            found += [(int(name), entry.partition("=")[2]) for entry in environ if entry.startswith(mark)]
    return found


def kill_all(swarm_id: str) -> None:
    """For the end of a test: nothing of it is left on the machine."""
    while left := carriers(swarm_id):
        for pid, _ in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
