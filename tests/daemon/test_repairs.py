"""State files under a living daemon with its agents: deleted and edited, noticed and repaired within the same tick."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .living import Daemon, chain
from .waiting import until

FILE = "workers.json"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path, ["sleep", "600"], 2, "cycle = { tick_s = 1.5 }", full=True)
    yield made.start().up()
    made.end()


def repaired(daemon: Daemon) -> None:
    restored = until(
        lambda: [one for one in daemon.events("state.restored") if one["subject"] == FILE], what="the repair"
    )
    until(lambda: [one for one in daemon.events("incident.closed") if one["subject"] == FILE], what="its closing")
    events = daemon.events()
    closed = next(one for one in events if one["kind"] == "incident.closed" and one["subject"] == FILE)
    kinds = ["incident.detected", "incident.classified", "incident.executed", "incident.verified", "incident.closed"]
    assert chain(events, closed["seq"]) == kinds
    assert {one["cycle"] for one in events if one["subject"] == FILE} == {restored[0]["cycle"]}
    assert (daemon.state / FILE).exists()


def test_a_deleted_file_is_written_again_and_read_back_in_the_same_cycle(daemon: Daemon) -> None:
    path = daemon.state / FILE
    until(path.exists, what="the first save")
    path.unlink()
    repaired(daemon)


def test_an_edited_file_is_set_aside_and_written_again_in_the_same_cycle(daemon: Daemon) -> None:
    path = daemon.state / FILE
    until(path.exists, what="the first save")
    path.write_bytes(path.read_bytes()[:-30])
    repaired(daemon)
    assert list(daemon.state.glob(f"{FILE}.bad-*"))
