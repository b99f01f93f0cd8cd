"""Workers that live and get nowhere: silent, looping, stopped, too slow, deaf. Replaced by the rule, and only by it."""

import os
import signal
from collections.abc import Callable

import pytest

from .healing import CHAIN, SLEEPER, Healing
from .waiting import until

Make = Callable[..., Healing]
WORK = {"do": "work"}
JOB = CHAIN + "prescreen"
QUIET_1_S = "start_s = 20, stop_grace_s = 0.5, quiet_floor_s = { start = 20, load = 20, batch = 1, other = 20 }"
QUIET_2_S = QUIET_1_S.replace("batch = 1", "batch = 2")


def lived_s(one: Healing, worker: str) -> float:
    """Monotonic seconds from the log's line about its start to the one that asks it to stop."""
    start = one.event("worker.started", lambda line: line["subject"] == worker)
    stop = one.event("worker.stopping", lambda line: line["subject"] == worker)
    difference: float = stop["mono"] - start["mono"]
    return difference


def test_a_silent_worker_without_cpu_is_dumped_stopped_and_replaced_after_its_quiet_limit(swarm: Make) -> None:
    one = swarm({"prescreen": [{"do": "silent"}, WORK]}, workers=QUIET_1_S).start()
    life = one.healed("stuck", "cpu000@")
    worker = life[0]["subject"]
    assert life[2]["data"]["action"] == "StopWorker"
    assert "% of a core used" in life[0]["data"]["why"]
    assert life[3]["data"]["seen"]["left"] == []
    assert one.events("worker.stopping")[0]["data"]["rung"] == 2
    assert one.ends(JOB)[0]["class"] == "stuck"
    assert one.worker_of("prescreen", 2)
    assert lived_s(one, worker) >= 1.0
    one.well()


def test_an_endless_loop_is_stopped_after_four_times_the_limit_whatever_its_cpu_says(swarm: Make) -> None:
    one = swarm({"prescreen": [{"do": "loop"}, WORK]}, workers=QUIET_1_S).start()
    life = one.healed("stuck", "cpu000@")
    assert life[0]["data"]["why"].endswith("four times over")
    assert lived_s(one, life[0]["subject"]) >= 4.0
    assert one.worker_of("prescreen", 2)
    one.well()


def test_a_silent_worker_deaf_to_int_is_killed(swarm: Make) -> None:
    one = swarm({"prescreen": [{"do": "silent", "deaf": True}, WORK]}, workers=QUIET_1_S).start()
    one.healed("stuck", "cpu000@")
    assert [line["data"]["rung"] for line in one.events("worker.stopping")] == [2, 3]
    assert one.worker_of("prescreen", 2)
    one.well()


def test_a_worker_that_gets_on_slowly_is_left_alone(swarm: Make) -> None:
    one = swarm({"prescreen": [{"do": "work", "steps": 8, "between_s": 0.4}]}, workers=QUIET_2_S).start()
    one.done("report")
    assert not one.events("worker.stopping", "incident.detected")


def test_a_job_over_its_budget_is_replaced_by_one_of_half_the_volume(swarm: Make) -> None:
    one = swarm(
        {"prescreen": [WORK, {"do": "exit", "code": 0, "class": "done"}]},
        workers="start_s = 1, stop_grace_s = 0.5, budget_s = 1.5, "
        "quiet_floor_s = { start = 1, load = 1, batch = 1, other = 1 }",
        volume="combos = 8000",
    ).start()
    life = one.healed("over_budget", "cpu000@")
    assert life[2]["data"]["action"] == "StopWorker"
    replaced = one.event("job.replaced")
    assert replaced["subject"] == JOB
    assert replaced["data"]["by"]["spec"]["volume"] == {"combos": 4000}
    one.done("report")
    assert [deed["volume"]["combos"] for deed in one.deeds("prescreen")] == [8000, 4000]
    one.well()


@pytest.mark.slow
def test_stopped_processes_are_killed_and_replaced_after_thirty_seconds_whoever_they_are(swarm: Make) -> None:
    one = swarm({"prescreen": [WORK]}, (SLEEPER,), workers="stop_grace_s = 0.5").start()
    engine = one.worker_of("prescreen")
    command = next(line["data"]["pid"] for line in one.events("worker.started") if line["data"]["pid"] != engine
                   and line["data"]["state"] == "running")  # fmt: skip
    for pid in (engine, command):
        os.kill(pid, signal.SIGSTOP)
    until(lambda: len(one.incidents("stuck", "cpu")) == 2, limit_s=60, what="both noticed")
    life = one.incidents("stuck", "cpu")
    assert all(line["data"]["why"].startswith("state T for 3") for line in life)
    for line in life:
        assert one.healed("stuck", line["subject"])[2]["data"]["action"] == "StopWorker"
    assert {line["data"]["rung"] for line in one.events("worker.stopping")} == {3}
    assert one.worker_of("prescreen", 2)
    until(lambda: len(one.tokens()) == 2, what="both at work again")
    assert not {engine, command} & set(one.pids())
    one.well()
