"""The yardstick: a supervisor of thirty lines, by pidfd, with no state, no log and no thought.

Run as a script: `python reference.py COPIES ARGV...` keeps so many copies of a command running until it is killed.
"""

import contextlib
import os
import select
import signal
import sys


def main(copies: int, argv: list[str]) -> None:
    """Start all copies, and each again when it ends; TERM kills them all."""
    poll, pids = select.epoll(), {}

    def start() -> None:
        pid = os.posix_spawnp(argv[0], argv, os.environ, setsid=True)
        pidfd = os.pidfd_open(pid)
        pids[pidfd] = pid
        poll.register(pidfd, select.EPOLLIN)

    def stop(*_: object) -> None:
        for pid in pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    for _ in range(copies):
        start()
    while True:
        for pidfd, _ in poll.poll():
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
            poll.unregister(pidfd)
            os.close(pidfd)
            del pids[pidfd]
            start()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
