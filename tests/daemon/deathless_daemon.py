"""The whole daemon with puppets, whose signals do not reach those that `<root>/deathless` names, or all: `... FILE`

That is how a process looks from outside that waits inside the kernel: it survives SIGKILL until whatever it waits for
lets go.
"""

import sys
from pathlib import Path

from btswarm.daemon.ports import Identity
from btswarm.daemon.workers import stop
from btswarm.daemon.workers.table import RealProcesses
from btswarm.state.config import load

from . import healing_daemon


def main(argv: list[str]) -> int:
    mark = load(Path(argv[0])).roots.state.parent / "deathless"
    send, kill = RealProcesses.signal, RealProcesses.kill_token

    def deathless(worker: str) -> bool:
        return mark.exists() and mark.read_text() in ("all", worker)

    def signal_unless(self: RealProcesses, identity: Identity, number: int) -> bool:
        return deathless(identity.worker) or send(self, identity, number)

    def kill_unless(self: RealProcesses, identity: Identity) -> None:
        if not deathless(identity.worker):
            kill(self, identity)

    RealProcesses.signal = signal_unless  # type: ignore[method-assign, assignment]
    RealProcesses.kill_token = kill_unless  # type: ignore[method-assign]
    stop.INT_S = stop.KILL_S = 0.5  # type: ignore[misc]
    return healing_daemon.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
