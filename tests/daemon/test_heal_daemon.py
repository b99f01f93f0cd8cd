"""The daemon itself: killed between any two steps, and its clock set while it works."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .healing import CHAIN, SLEEPER, Healing
from .waiting import until

Make = Callable[..., Healing]
WORK = {"do": "work"}
KILLS = int(os.environ.get("BTSWARM_TEST_KILLS", "10"))
"""Of the daemon."""
FREE = "credits = 100000, poison = 100000, spawn_burst = 100000, spawn_per_s = 100000"


def set_clock(one: Healing, offset_s: float) -> None:
    """In one step, as `date -s` does."""
    new = one.root / "clock.new"
    new.write_text(str(offset_s))
    new.rename(one.root / "clock")


@pytest.mark.slow
def test_a_daemon_killed_between_any_two_lines_finds_its_workers_and_starts_none_twice(swarm: Make) -> None:
    """Set BTSWARM_TEST_KILLS for more than ten kills."""
    chance = random.Random(KILLS)
    one = swarm({"prescreen": [WORK]}, ({**SLEEPER, "copies": 3},), restart=FREE).start()
    one.worker_of("prescreen")
    for turn in range(KILLS):
        until(lambda: len(one.tokens()) == 4 and len(one.running()) == 4, limit_s=60, what="all workers")
        before = set(one.pids())
        victims = chance.sample(sorted(before), chance.randrange(3))
        last = one.events()[-1]["seq"]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        lines = chance.randrange(5) if victims else 0
        until(lambda last=last, lines=lines: one.events()[-1]["seq"] >= last + lines, what="lines of the log")  # type: ignore[misc]
        one.kill()
        tokens = one.tokens()
        assert set(tokens.values()) <= {1}, f"kill {turn}: somebody runs twice"
        survivors = set(one.pids()) - set(victims)
        one.start()
        until(lambda: len(one.tokens()) == 4 and len(one.running()) == 4, limit_s=60, what="all workers again")
        assert survivors <= set(one.pids()), f"kill {turn}: a worker was lost"
    assert not one.events("orphan.killed")
    seqs = [line["seq"] for line in one.events()]
    assert seqs == list(range(1, len(seqs) + 1))
    one.well()


@pytest.mark.parametrize("jump_s", [7200.0, -7200.0])
def test_after_the_clock_was_set_nobody_is_stopped_and_the_dead_are_replaced(swarm: Make, jump_s: float) -> None:
    one = swarm({"prescreen": [WORK]}, (SLEEPER,)).start()
    one.worker_of("prescreen")
    one.wait(lambda: len(one.pids()) == 2, "both workers")
    before = set(one.pids())
    set_clock(one, jump_s)
    jumped = one.event("clock.jumped")
    assert abs(jumped["data"]["by_s"] - jump_s) < 2.0
    one.well()
    assert set(one.pids()) == before
    assert not one.events("worker.stopping")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    for job in (CHAIN, "cmd/fill.0"):
        one.healed("crash", job)
    one.wait(lambda: len(one.pids()) == 2, "both replacements")
    one.well()


def test_a_clock_set_back_does_not_prolong_the_wait_of_a_job_without_credits(swarm: Make) -> None:
    tables = {"restart": "credits = 1, refill_s = 600, base_s = 0.5, cap_s = 2"}
    one = swarm(None, ({"name": "loop", "argv": ["false"]},), **tables).start()
    one.wait(lambda: [end for end in one.ends("cmd/loop.0") if end["then"]["not_before"]], "a wait")
    set_clock(one, -7200.0)
    jumped = one.event("clock.jumped")["seq"]
    one.event("worker.spawning", lambda line: line["seq"] > jumped)


def test_workers_that_a_package_was_upgraded_under_finish_their_jobs_under_an_incident(
    swarm: Make, tmp_path: Path
) -> None:
    one = swarm({"prescreen": [{"do": "work", "steps": 60}]}).start()
    pid = one.worker_of("prescreen")
    one.kill()
    (tmp_path / "arch-99.dist-info").mkdir()
    (tmp_path / "arch-99.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: arch\nVersion: 99\n")
    one.variables = {"PYTHONPATH": ":".join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])}
    one.start()
    one.healed("drift", "swarm")
    builds = {line["data"]["build"] for line in one.events("daemon.started")}
    assert len(builds) == 2
    assert len(one.deeds("prescreen")) == 1
    assert not one.events("worker.stopping")
    assert pid == one.deeds("prescreen")[0]["pid"]
    one.done("report")
    one.well()
