"""The whole daemon with puppets, whose state's disk takes no byte as long as `<root>/hang` is there: `... FILE`

Writes and syncs wait as those of a network disk do that has lost its server; reads are answered from the page cache.
While `<root>/mute` is there, whoever asks for the free space of a disk waits.
"""

import select
import sys
from pathlib import Path
from typing import Any

from btswarm.agents import watchdog
from btswarm.daemon import probing, standing
from btswarm.daemon.probes.host import HostProbe
from btswarm.state.config import load
from btswarm.state.disk import RealDisk

from . import healing_daemon

QUICK_S = 1.5


def main(argv: list[str]) -> int:
    root = load(Path(argv[0])).roots.state.parent

    def waiting(work: Any, mark: Path) -> Any:
        def patient(*arguments: Any) -> Any:
            while mark.exists():
                select.select((), (), (), 0.01)
            return work(*arguments)

        return patient

    hang = root / "hang"
    RealDisk.write = waiting(RealDisk.write, hang)  # type: ignore[method-assign]
    RealDisk.sync = waiting(RealDisk.sync, hang)  # type: ignore[method-assign]
    HostProbe._disk = waiting(HostProbe._disk, root / "mute")  # type: ignore[method-assign]
    for module in (watchdog, standing, probing):
        vars(module)["SILENT_S"] = QUICK_S
    return healing_daemon.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
