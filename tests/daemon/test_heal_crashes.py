"""Workers that die, by signal and by exit code: replaced, not blamed for what others did, held when they are poison."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from btswarm.state.control_client import ask

from .healing import CHAIN, SLEEPER, Healing
from .waiting import until

Make = Callable[..., Healing]
WORK = {"do": "work"}
JOB = CHAIN + "prescreen"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGHUP])
def test_a_worker_ended_by_a_signal_is_replaced(swarm: Make, number: signal.Signals) -> None:
    one = swarm({"prescreen": [WORK]}).start()
    os.kill(one.worker_of("prescreen"), number)
    life = one.healed("crash", JOB)
    assert life[0]["data"]["why"] == f"killed by {number.name}"
    assert life[3]["data"]["seen"]["pid"] == one.worker_of("prescreen", 2)
    assert len({line["cycle"] for line in life}) == 1
    one.well()


@pytest.mark.parametrize("code", [1, 70, 3, 255])
def test_a_worker_that_exits_with_a_code_of_no_class_is_replaced(swarm: Make, code: int) -> None:
    one = swarm({"prescreen": [{"do": "exit", "code": code, "message": "a bug"}, WORK]}).start()
    life = one.healed("crash", JOB)
    assert life[0]["data"]["why"] == "a bug"
    assert one.worker_of("prescreen", 2)
    one.well()


def test_a_killed_command_is_replaced(swarm: Make) -> None:
    one = swarm(None, ({**SLEEPER, "copies": 3},)).start().up()
    os.kill(one.pids()[0], signal.SIGKILL)
    one.healed("crash", "cmd/fill.")
    assert one.full()
    one.well()


def test_a_worker_killed_from_outside_is_never_poison_while_it_gets_on(swarm: Make) -> None:
    one = swarm({"prescreen": [WORK]}).start()
    for turn in range(1, 5):
        os.kill(one.worker_of("prescreen", turn), signal.SIGKILL)
    assert one.worker_of("prescreen", 5)
    assert [end["restarts"]["deaths"] for end in one.ends(JOB)] == [0, 0, 0, 0]
    assert not one.events("hold.set", "job.held")


def test_a_job_that_dies_three_times_without_getting_on_is_held_and_then_has_one_try(swarm: Make) -> None:
    crash = {"do": "exit", "code": 70, "message": "again"}
    one = swarm({"prescreen": [crash]}, (SLEEPER,), restart="base_s = 0.5, poison_hold_s = 2").start()
    life = one.healed("poison", JOB)
    assert life[2]["data"]["action"] == "Hold"
    assert life[3]["data"]["seen"]["until"]
    assert len(one.deeds("prescreen")) == 3
    assert len(one.running()) == 1  # others go on
    one.event("hold.released", lambda line: line["subject"] == JOB)
    until(
        lambda: len([line for line in one.events("worker.exited") if line["data"]["job"] == JOB]) == 4, what="its try"
    )
    exits = [line["data"]["then"]["state"] for line in one.events("worker.exited") if line["data"]["job"] == JOB]
    assert exits == ["queued", "queued", "held", "held"]


def test_a_released_poison_job_that_now_does_well_finishes(swarm: Make) -> None:
    crash = {"do": "exit", "code": 70}
    one = swarm({"prescreen": [crash, crash, crash, {"do": "exit", "code": 0, "class": "done"}]}).start()
    one.healed("poison", JOB)
    ask(one.state, "release", {"subject": JOB}, wait_s=20)
    one.done("report")
    one.well()


def test_whoever_left_the_session_of_a_dead_worker_is_killed_with_it(swarm: Make, tmp_path: Path) -> None:
    script = "setsid sh -c 'sleep 600 & exec sleep 600' & exec sleep 600"
    one = swarm(None, ({"name": "tree", "argv": ["sh", "-c", script]},)).start()
    until(lambda: len(one.pids()) == 3 and one.running(), what="the worker, its escapee and theirs")
    before = set(one.pids())
    os.kill(one.events("worker.started")[0]["data"]["pid"], signal.SIGKILL)
    one.healed("crash", "cmd/tree.0")
    until(lambda: len(one.pids()) == 3, what="the next generation")
    assert not before & set(one.pids())
    assert len(one.tokens()) == 1
