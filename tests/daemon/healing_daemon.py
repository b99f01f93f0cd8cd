"""The whole daemon, but its engine workers are puppets: `healing_daemon FILE`

Its clock is the real one and `<root>/clock` seconds more: people, and time servers, set clocks.
"""

import sys
from pathlib import Path

from btswarm.daemon import work
from btswarm.daemon.clock import SystemClock
from btswarm.daemon.serving import serve
from btswarm.state.config import load

PUPPET = Path(__file__).with_name("puppet.py")


def main(argv: list[str]) -> int:
    settings = load(Path(argv[0]))
    work.ENGINE = ("-I", "-S", str(PUPPET))
    real, offset = SystemClock.now, settings.roots.state.parent / "clock"
    SystemClock.now = lambda self: real(self) + (float(offset.read_text()) if offset.exists() else 0.0)  # type: ignore[method-assign]
    return serve(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
