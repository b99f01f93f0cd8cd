"""A disk that fills up for real: a small file system in memory, in a mount namespace of the daemon's own."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .healing import SLEEPER, Healing
from .waiting import until

Make = Callable[..., Healing]
SIZE_MB, BALLAST_MB = 128, 16
CHUNK = bytes(1 << 20)


@pytest.fixture
def small(swarm: Make) -> Healing:
    """A swarm whose state lies on a small disk; skipped where nobody may mount one."""
    unshare = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-Urm")
    one = swarm(None, (SLEEPER,), disk=f"floor_mb = 24, ballast_mb = {BALLAST_MB}")
    one.state.mkdir()
    mount = f'mount -t tmpfs -o size={SIZE_MB}m,mode=700 small {one.state} && exec "$@"'
    one.prefix = (*unshare, "sh", "-c", mount, "sh")
    if subprocess.run([*one.prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    one.start()
    assert one.process is not None
    one.state = Path(f"/proc/{one.process.pid}/root{one.state}")
    return one


def fill(hog: Path) -> None:
    """Until nothing fits any more, not even a byte."""
    descriptor = os.open(hog, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for chunk in (CHUNK, CHUNK[:4096], CHUNK[:1]):
            with contextlib.suppress(OSError):
                while os.write(descriptor, chunk):
                    pass
    finally:
        os.close(descriptor)


def full(one: Healing, hog: Path) -> bool:
    fill(hog)
    return not (one.state / "ballast").exists() and shutil.disk_usage(one.state).free == 0


@pytest.mark.slow
def test_a_full_disk_costs_the_ballast_and_starts_nobody_until_there_is_room_and_then_all_is_well(
    small: Healing,
) -> None:
    one = small.up()
    assert isinstance(one, Healing)
    ballast, hog = one.state / "ballast", one.state / "hog"
    one.wait(lambda: ballast.exists() and ballast.stat().st_size == BALLAST_MB << 20, "the ballast")
    one.well()
    one.wait(lambda: full(one, hog), "the ballast given up, and its room taken")
    gone = one.pids()
    os.kill(gone[0], signal.SIGKILL)

    def blocked() -> bool:
        fill(hog)
        return bool(one.query()["host"]["log_backlog"])

    one.wait(blocked, "events that cannot be written")
    cycle = one.query()["cycle"]
    one.wait(lambda: one.query()["cycle"] > cycle + 3, "more cycles")
    assert one.query()["health"] != "ok"
    assert not one.pids()

    hog.unlink()
    until(lambda: one.full() and one.pids() != gone, limit_s=40, what="the replacement")
    one.healed("crash", "cmd/fill.0")
    one.healed("disk_full", "state")
    one.wait(lambda: ballast.exists() and ballast.stat().st_size == BALLAST_MB << 20, "the ballast laid in again")
    seqs = [line["seq"] for line in one.events()]
    assert seqs == list(range(1, len(seqs) + 1))
    one.well()


@pytest.mark.slow
def test_workers_may_be_stopped_and_the_daemon_may_leave_while_the_disk_is_full(small: Healing) -> None:
    one = small.up()
    assert isinstance(one, Healing)
    hog = one.state / "hog"
    one.wait(lambda: (one.state / "ballast").exists(), "the ballast")
    one.wait(lambda: full(one, hog), "the ballast given up, and its room taken")
    (worker,) = one.pids()
    assert one.ask(signal.SIGTERM) == 0
    assert not Path(f"/proc/{worker}").exists()
