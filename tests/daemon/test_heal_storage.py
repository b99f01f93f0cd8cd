"""What lies on the disk and is harmed there: log, study, folders, socket. Mended, and the swarm goes on."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .healing import CHAIN, SLEEPER, Healing
from .waiting import until

Make = Callable[..., Healing]
DONE = {"do": "exit", "code": 0, "class": "done"}
LOG = "workflow_events.log"


def in_a_row(one: Healing) -> bool:
    seqs = [line["seq"] for line in one.events()]
    return seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def kill_one(one: Healing) -> int:
    """The pid of a worker that is no more."""
    pid = one.pids()[0]
    os.kill(pid, signal.SIGKILL)
    return pid


@pytest.mark.parametrize("torn", [b'{"v":1,"seq":', b'{"v":1,"seq":99999,"ts":1.0,"kind":"nothing', b"\0" * 700])
def test_a_torn_end_of_the_log_is_cut_off_and_told_and_the_workers_are_adopted(swarm: Make, torn: bytes) -> None:
    one = swarm(None, (SLEEPER,)).start().up()
    before = one.pids()
    one.kill()
    with (one.state / LOG).open("ab") as log:
        log.write(torn)
    one.start()
    one.event("log.recovered")
    one.event("worker.adopted")
    assert one.pids() == before
    assert in_a_row(one)
    one.well()


def test_a_removed_log_goes_on_under_its_numbers(swarm: Make) -> None:
    one = swarm(None, (SLEEPER,)).start().up()
    last = one.events()[-1]["seq"]
    (one.state / LOG).unlink()
    kill_one(one)
    one.event("log.rotated")
    until(one.full, what="the replacement")
    assert one.events()[0]["seq"] == last + 1
    assert in_a_row(one)
    one.well()


@pytest.mark.parametrize("folder", ["state/workers", "logs", "state/cache", "results", "state/workers/cpu000@1"])
def test_workers_are_replaced_after_a_folder_was_deleted_under_the_daemon(swarm: Make, folder: str) -> None:
    one = swarm(None, ({**SLEEPER, "copies": 2},)).start().up()
    shutil.rmtree(one.root / folder, ignore_errors=True)
    gone = kill_one(one)
    one.healed("crash", "cmd/fill.")
    until(lambda: one.full() and gone not in one.pids(), what="the replacement")
    one.well()


def test_a_job_goes_on_after_the_results_were_deleted_under_it(swarm: Make) -> None:
    one = swarm({"prescreen": [{"do": "work"}, DONE]}).start()
    pid = one.worker_of("prescreen")
    shutil.rmtree(one.root / "results", ignore_errors=True)
    shutil.rmtree(one.root / "rounds", ignore_errors=True)
    shutil.rmtree(one.state / "workers")
    os.kill(pid, signal.SIGKILL)
    one.healed("crash", CHAIN)
    one.done("report")
    one.well()


def test_a_removed_control_socket_is_made_again(swarm: Make) -> None:
    one = swarm(None, (SLEEPER,)).start().up()
    path = one.state / "control.sock"
    inode = until(lambda: path.exists() and path.stat().st_ino, what="the socket")
    path.unlink()
    until(lambda: path.exists() and path.stat().st_ino, what=f"another socket than {inode}")
    one.well()
    assert one.full()


def test_a_torn_study_is_mended_before_its_job_runs_again(swarm: Make) -> None:
    one = swarm({"optimize": [{"do": "tear", "message": "the study is torn"}, DONE]}).start()
    life = one.healed("storage", CHAIN + "optimize")
    assert life[2]["data"]["action"] == "RepairStorage"
    repaired = one.event("storage.repaired")
    assert Path(repaired["data"]["aside"]).exists()
    one.done("report")
    assert len(one.deeds("optimize")) == 2
    one.well()
