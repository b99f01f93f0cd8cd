"""The whole daemon, but its engine workers are puppets: `healing_daemon FILE`"""

import sys
from pathlib import Path

from btswarm.daemon import work
from btswarm.daemon.serving import serve
from btswarm.state.config import load

PUPPET = Path(__file__).with_name("puppet.py")


def main(argv: list[str]) -> int:
    work.ENGINE = ("-I", "-S", str(PUPPET))  # type: ignore[misc]
    return serve(load(Path(argv[0])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
