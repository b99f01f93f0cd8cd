"""A disk that does not answer: the cycle goes on, nothing is started, stops are carried out, and the incident ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .healing import SLEEPER, Healing
from .living import crash, environment
from .waiting import until


class Hanging(Healing):
    def start(self) -> "Hanging":
        argv = [sys.executable, "-P", "-m", "btswarm.tests.daemon.hanging_daemon", str(self.config)]
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(argv, env=environment(), stderr=said)
        return self

    @property
    def mark(self) -> Path:
        return self.root / "hang"


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Hanging]:
    one = Hanging(tmp_path, None, ({**SLEEPER, "copies": 3},))
    yield one.start()
    one.mark.unlink(missing_ok=True)
    one.end()


def silent(swarm: Hanging) -> bool:
    return any(one["class"] == "disk_silent" for one in swarm.query()["incidents"])


def test_nothing_starts_while_the_disk_is_silent_and_all_is_well_once_it_answers(swarm: Hanging) -> None:
    swarm.up()
    swarm.mark.touch()
    victim, *others = swarm.pids()
    crash(victim)
    until(lambda: silent(swarm), what="the incident")
    cycle = swarm.query()["cycle"]
    until(lambda: swarm.query()["cycle"] > cycle + 2, what="cycles that go on")
    assert swarm.query()["host"]["log_backlog"] > 0
    assert sorted(swarm.pids()) == sorted(others)
    swarm.mark.unlink()
    until(lambda: len(swarm.pids()) == 3, what="the replacement")
    swarm.healed("disk_silent", "state")
    until(lambda: not silent(swarm), what="the end of it")
    log = [one["seq"] for one in swarm.events()]
    assert log == list(range(log[0], log[0] + len(log)))


def test_a_probe_that_hangs_in_a_disk_is_told_started_again_and_well_once_the_disk_answers(swarm: Hanging) -> None:
    swarm.up()
    mute = swarm.root / "mute"
    mute.touch()
    silent = swarm.event("probe.silent", lambda one: one["subject"] == "host")
    assert silent["data"]["state"] == "silent"
    swarm.event("probe.silent", lambda one: one["data"]["restarts"] == 1)
    cycle = swarm.query()["cycle"]
    until(lambda: swarm.query()["cycle"] > cycle + 2, what="cycles that go on")
    mute.unlink()
    swarm.event("probe.restored")
    begun = swarm.incidents("probe", "host")[0]["seq"]
    swarm.event("incident.closed", lambda one: one["data"]["incident"] == f"i{begun}")
    until(lambda: swarm.query()["health"] == "ok", what="health")


def test_a_stop_is_carried_out_while_the_disk_is_silent(swarm: Hanging) -> None:
    swarm.up()
    swarm.mark.touch()
    assert swarm.process is not None
    os.kill(swarm.process.pid, signal.SIGTERM)
    until(lambda: not swarm.pids(), what="the end of all workers")
    swarm.mark.unlink()
    assert swarm.process.wait(30) == 0
