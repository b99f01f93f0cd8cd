"""The whole daemon with puppets, whose state's disk takes no byte as long as `<root>/hang` is there: `... FILE`

Writes and syncs wait as those of a network disk do that has lost its server; reads are answered from the page cache.
"""

import select
import sys
from pathlib import Path
from typing import Any

from btswarm.agents import watchdog
from btswarm.daemon import standing
from btswarm.state.config import load
from btswarm.state.disk import RealDisk

from . import healing_daemon

QUICK_S = 1.5


def main(argv: list[str]) -> int:
    mark = load(Path(argv[0])).roots.state.parent / "hang"

    def waiting(work: Any) -> Any:
        def patient(*arguments: Any) -> Any:
            while mark.exists():
                select.select((), (), (), 0.01)
            return work(*arguments)

        return patient

    RealDisk.write, RealDisk.sync = waiting(RealDisk.write), waiting(RealDisk.sync)  # type: ignore[method-assign]
    for module in (watchdog, standing):
        vars(module)["SILENT_S"] = QUICK_S
    return healing_daemon.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
