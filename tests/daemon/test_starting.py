"""A stop that comes while a daemon is still beginning is carried out by it, and leaves nothing of its predecessor."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .living import Daemon, environment
from .waiting import until

SLEEP = ["sleep", "600"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path, SLEEP, 2)
    yield made
    made.end()


def run(daemon: Daemon, *words: str) -> "subprocess.Popen[bytes]":
    daemon.process = subprocess.Popen(
        [sys.executable, "-P", "-m", "btswarm", *words, "--config", str(daemon.config)], env=environment()
    )
    return daemon.process


def blocks(pid: int, number: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigBlk:"))
    return bool(mask >> (number - 1) & 1)


def test_a_stop_that_comes_before_the_daemon_is_ready_is_carried_out_by_it(daemon: Daemon) -> None:
    daemon.start().up()
    daemon.kill()
    left = set(daemon.pids())
    assert len(left) == 2
    process = run(daemon, "daemon")
    until(lambda: blocks(process.pid, signal.SIGTERM), what="the stop being kept for later")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert not daemon.pids()
    assert [one["outcome"] for one in daemon.events("daemon.stopped")] == ["drain"]


@pytest.mark.parametrize("started", [False, True])
def test_a_keeper_that_is_stopped_between_two_daemons_leaves_no_worker(daemon: Daemon, started: bool) -> None:
    daemon.state.mkdir(parents=True)
    own = secrets.token_hex(16)
    (daemon.state / "swarm_id").write_text(f"{own}\n")
    orphan = subprocess.Popen(SLEEP, env={"PATH": os.environ["PATH"], "BTSWARM_TOKEN": f"{own}.{'1' * 32}"})
    try:
        keeper = run(daemon, "keep")
        lock = daemon.state / ("daemon.lock" if started else "keep.lock")
        until(lambda: lock.exists() and lock.read_bytes(), what="its lock")
        keeper.send_signal(signal.SIGTERM)
        keeper.wait(30)
        assert orphan.wait(20) == -signal.SIGKILL
        assert not daemon.pids()
    finally:
        orphan.kill()
        orphan.wait()
