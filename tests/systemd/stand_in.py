"""A daemon reduced to what the units are about: a lock, workers that survive it, notifications, two ways to leave.

`python -m btswarm.tests.systemd.stand_in STATE`. It keeps two `sleep` workers, adopting those it finds; its swarm's id
is given. A file named `hang` in its folder makes it stop turning; `refuse` makes the next one exit 64.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from btswarm.daemon.home import swarm_id
from btswarm.daemon.lock import take, text
from btswarm.daemon.notify import Notifier
from btswarm.daemon.workers.identity import TOKEN, census
from btswarm.daemon.workers.reap import become_subreaper

WORKERS = 2


def main() -> int:
    state = Path(sys.argv[1])
    notifier = Notifier.from_environment()
    if (state / "refuse").exists():
        return 64
    take(state, text(os.getpid(), 0, "stand-in", 0.0))
    own = swarm_id(state) or ""
    become_subreaper()
    leaving: list[int] = []

    def leave(number: int, _frame: FrameType | None) -> None:
        leaving.append(number)

    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, leave)
    found = len(census(own))
    for _ in range(found, WORKERS):
        environment = {"PATH": os.environ["PATH"], TOKEN: f"{own}.{os.urandom(16).hex()}"}
        subprocess.Popen(["sleep", "1000"], env=environment, start_new_session=True)
    inherited = sorted(os.environ.keys() & {"NOTIFY_SOCKET", "WATCHDOG_USEC"})
    sys.stdout.write(f"adopted {found}, {inherited}\n")
    sys.stdout.flush()
    notifier.ready(f"{WORKERS} workers, {found} adopted")
    while not leaving:
        if not (state / "hang").exists():
            notifier.alive(f"{WORKERS} workers, {found} adopted")
        time.sleep(0.05)
    notifier.stopping("leaving")
    if leaving[0] == signal.SIGUSR2:
        return 75
    for seen in census(own):
        os.kill(seen.pid, signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
