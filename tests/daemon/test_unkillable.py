"""A worker that survives SIGKILL: its lane is lost, its work goes on elsewhere, and its later end closes the matter."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .healing import CHAIN, Healing
from .living import chain, environment
from .waiting import until

JOB = f"{CHAIN}prescreen"
WORK = {"do": "work"}
QUIET = "start_s = 20, stop_grace_s = 0.5, quiet_floor_s = { start = 20, load = 20, batch = 1, other = 20 }"


class Deathless(Healing):
    def start(self) -> "Deathless":
        argv = [sys.executable, "-P", "-m", "btswarm.tests.daemon.deathless_daemon", str(self.config)]
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(argv, env=environment(), stderr=said)
        return self

    def deathless(self, who: str) -> None:
        (self.root / "deathless").write_text(who)


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Deathless]:
    one = Deathless(tmp_path, {"prescreen": [{"do": "silent"}, WORK]}, workers=QUIET)
    one.deathless("all")
    yield one.start()
    one.end()


def test_its_lane_is_lost_its_job_runs_elsewhere_and_its_end_is_the_end_of_the_incident(swarm: Deathless) -> None:
    lost = swarm.event("worker.unkillable")
    first = swarm.deeds("prescreen")[0]
    assert lost["subject"] == first["worker"]
    assert lost["data"]["pids"] == [first["pid"]]
    lane = swarm.event("lane.quarantined")
    assert lane["subject"] == first["worker"].partition("@")[0]
    name = f"i{swarm.incidents('unkillable')[0]['seq']}"
    escalated = swarm.event("incident.escalated", lambda one: one["data"]["incident"] == name)
    assert "restart the host" in escalated["data"]["needs"]
    assert swarm.worker_of("prescreen", 2) != first["pid"]
    assert swarm.deeds("prescreen")[1]["worker"].partition("@")[0] != lane["subject"]
    assert not swarm.events("lane.restored")
    assert swarm.query()["health"] == "critical"
    os.kill(first["pid"], signal.SIGKILL)  # what it waited for lets go
    swarm.event("lane.restored")
    closed = swarm.event("incident.closed", lambda one: one["data"]["incident"] == name)
    assert chain(swarm.events(), closed["seq"])[-3:] == ["incident.executed", "incident.verified", "incident.closed"]
    until(lambda: swarm.query()["health"] == "ok", what="health")
    assert len(swarm.deeds("prescreen")) == 2


def test_a_drain_does_not_wait_for_whom_no_signal_ends(swarm: Deathless) -> None:
    lost = swarm.event("worker.unkillable")
    (first,) = lost["data"]["pids"]
    swarm.deathless(lost["subject"])
    swarm.worker_of("prescreen", 2)
    assert swarm.ask(signal.SIGTERM) == 0
    assert swarm.pids() == [first]
    swarm.deathless("nobody")
    swarm.start()
    until(lambda: first not in swarm.pids(), what="its end, once it can be killed")
