"""Agents that kill the daemon or cannot be loaded: each is an incident, and the swarm goes on without it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .ill_daemon import DEADLY, STRANGER
from .living import Daemon, environment
from .waiting import until


class Ill(Daemon):
    def start(self) -> "Ill":
        argv = [sys.executable, "-P", "-m", "btswarm.tests.daemon.ill_daemon", str(self.config)]
        self.process = subprocess.Popen(argv, env=environment())
        return self


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Ill]:
    made = Ill(tmp_path, ["sleep", "600"], 1)
    yield made
    made.end()


def test_an_agent_in_which_the_daemon_died_twice_is_set_aside_by_the_next_start(daemon: Ill) -> None:
    for _ in range(2):
        assert daemon.start().process.wait(30) == -signal.SIGKILL  # type: ignore[union-attr]
    daemon.start().up()
    (quarantined,) = daemon.events("agent.quarantined")
    assert quarantined["subject"] == DEADLY
    assert "died 2 times" in quarantined["data"]["hold"]["reason"]
    closed = until(
        lambda: [one for one in daemon.events("incident.closed") if one["subject"] == DEADLY], what="its incident"
    )
    assert closed
    assert daemon.ask(signal.SIGUSR2) == 75
    daemon.start()
    until(lambda: daemon.events("worker.adopted"), what="a daemon that goes on without it")
    assert len(daemon.events("agent.quarantined")) == 1


def test_an_agent_that_cannot_be_loaded_is_an_incident_until_nobody_announces_it(daemon: Ill) -> None:
    (daemon.root / "mended").parent.mkdir(exist_ok=True)
    for _ in range(2):
        daemon.start().process.wait(30)  # type: ignore[union-attr]
    daemon.start().up()
    detected = [one for one in daemon.events("incident.detected") if one["subject"] == STRANGER]
    assert [one["data"]["class"] for one in detected] == ["agent"]
    assert "cannot be imported" in detected[0]["data"]["why"]
    assert not [one for one in daemon.events("incident.closed") if one["subject"] == STRANGER]
    assert daemon.ask(signal.SIGUSR2) == 75
    (daemon.root / "mended").touch()
    daemon.start()
    until(lambda: [one for one in daemon.events("incident.closed") if one["subject"] == STRANGER], what="its end")
