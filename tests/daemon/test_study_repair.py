"""A study that a worker found broken: repaired by a helper, looked at again, and its job goes on."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from btswarm.engine.journal import FlockJournal

from .healing import CHAIN, Healing
from .waiting import until

JOB = f"{CHAIN}optimize"
TORN = {"do": "exit", "code": 74, "class": "storage", "message": "the study is damaged"}
BUSY = {"do": "work", "steps": 30}
DONE = {"do": "exit", "code": 0, "class": "done"}
LOGS = [{"op_code": 0, "worker_id": "w", "study_name": f"study {number}", "directions": [2]} for number in range(4)]


def study(one: Healing) -> Path:
    """A journal of four records where the swarm's worker will look for it, before it does."""
    until(lambda: one.deeds("prescreen"), what="the stage before")
    path = one.root / "rounds/1/main/SYNTH/balanced/study.journal"
    FlockJournal(path).append_logs(LOGS)
    return path


def test_a_damaged_study_is_mended_verified_and_its_job_runs_again(swarm: Callable[..., Healing]) -> None:
    one = swarm({"prescreen": [BUSY], "optimize": [TORN, DONE]}).start()
    path = study(one)
    lines = path.read_bytes().splitlines(True)
    path.write_bytes(b"".join([*lines[:2], b"#" + lines[2][1:], lines[3]]))
    life = one.healed("storage", JOB)
    assert life[2]["data"]["action"] == "RepairStorage"
    assert life[3]["data"]["seen"] == {"sound": True}
    told = one.event("storage.repaired")
    assert (told["subject"], told["data"]["kept"], told["data"]["dropped"]) == (JOB, 2, 2)
    one.done("optimize")
    assert len(one.deeds("optimize")) == 2
    assert len(list(FlockJournal(path).read_logs(0))) == 2
    assert Path(told["data"]["aside"]).exists()


@pytest.mark.slow
def test_a_study_that_somebody_keeps_locked_holds_its_job_and_names_who(swarm: Callable[..., Healing]) -> None:
    one = swarm({"prescreen": [BUSY], "optimize": [TORN, DONE]}).start()
    holder = os.open(study(one), os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        escalated = one.event("incident.escalated")
        assert str(os.getpid()) in escalated["data"]["why"]
        held = one.event("hold.set", lambda line: line["subject"] == JOB)
        assert "release" in held["data"]["hold"]["needs"]
        until(lambda: not one.query()["verify"], what="the end of the open item")
    finally:
        os.close(holder)


def test_workers_that_complain_of_a_sound_study_again_and_again_leave_their_job_to_a_person(
    swarm: Callable[..., Healing],
) -> None:
    one = swarm({"prescreen": [{**TORN, "message": "the ledger is torn"}]}).start()
    held = one.event("hold.set", lambda line: line["subject"] == f"{CHAIN}prescreen")
    assert "the ledger is torn" in held["data"]["hold"]["needs"]
    assert len(one.deeds("prescreen")) == 3
    assert not one.events("storage.repaired")
