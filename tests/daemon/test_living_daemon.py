"""The daemon as a process with real workers: killed at any point, asked to leave, told to stop."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import census
from .living import GENEROUS, Daemon, chain, crash, environment
from .waiting import until

SLEEP = ["sleep", "600"]
Make = Callable[..., Daemon]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Daemon] = []

    def _make(argv: list[str] = SLEEP, copies: int = 3, **more: Any) -> Daemon:
        made.append(Daemon(tmp_path, argv, copies, **more))
        return made[-1]

    yield _make
    for daemon in made:
        daemon.end()


def test_a_crash_is_detected_classified_executed_and_verified_in_one_cycle(make: Make) -> None:
    daemon = make().start().up()
    crash(daemon.pids()[0])
    until(lambda: daemon.events("incident.closed"), what="the closing of the incident")
    events = daemon.events()
    closed = next(one for one in events if one["kind"] == "incident.closed")
    assert chain(events, closed["seq"]) == [
        "worker.exited",
        "incident.detected",
        "incident.classified",
        "worker.spawning",
        "incident.executed",
        "incident.verified",
        "incident.closed",
    ]
    assert len({one["cycle"] for one in events if one["kind"].startswith("incident.")}) == 1
    assert daemon.full()


def test_a_worker_that_goes_well_leaves_four_lines(make: Make) -> None:
    daemon = make(["true"], 1, restart="on-failure").start()
    until(lambda: daemon.events("job.finished"), what="the end of the job")
    kinds = [one["kind"] for one in daemon.events() if one["kind"].startswith(("worker.", "job.fin", "incident."))]
    assert kinds == ["worker.spawning", "worker.started", "worker.exited", "job.finished"]


@pytest.mark.slow
def test_a_daemon_killed_at_any_moment_leaves_no_duplicate_and_no_orphan(make: Make) -> None:
    daemon = make(copies=4, tables=GENEROUS).start().up()
    chance = random.Random(0)
    for _ in range(10):
        victims = chance.sample(daemon.pids(), 2)
        for pid in victims:
            crash(pid)
        if chance.random() < 0.5:
            before = len(daemon.events())
            until(lambda before=before: len(daemon.events()) > before, what="a line of the log")  # type: ignore[misc]
        daemon.kill()
        assert all(count == 1 for count in daemon.tokens().values())
        daemon.start().up()
    assert not daemon.events("orphan.killed")


def test_workers_outlive_a_killed_daemon_and_are_adopted(make: Make) -> None:
    daemon = make().start().up()
    before = sorted(daemon.pids())
    daemon.kill()
    daemon.start()
    until(lambda: len(daemon.events("worker.adopted")) == 3, what="the adoption")
    assert sorted(daemon.pids()) == before
    crash(before[0])
    until(lambda: daemon.full() and before[0] not in daemon.pids(), what="the replacement of an adopted worker")


def test_a_worker_that_died_while_no_daemon_lived_is_replaced(make: Make) -> None:
    daemon = make().start().up()
    daemon.kill()
    crash(daemon.pids()[0])
    daemon.start()
    until(lambda: len(daemon.events("worker.exited")) == 1 and daemon.full(), what="the replacement")


def test_jobs_go_on_though_the_file_of_the_workers_its_copy_and_the_log_are_lost(make: Make) -> None:
    daemon = make(copies=2).start().up()
    until((daemon.state / "workers.json.prev").exists, what="a copy")
    daemon.kill()
    before = daemon.pids()
    for path in (*daemon.state.glob("workers.json*"), *daemon.state.glob("workflow_events*")):
        path.unlink()
    daemon.start()
    until(lambda: daemon.full() and not set(before) & set(daemon.pids()), what="new workers")
    daemon.up()
    (first, token), _ = census.carriers(daemon.swarm_id)
    crash(first)
    until(lambda: daemon.full() and token not in daemon.tokens(), what="the one that replaces it")


def test_an_escapee_of_a_worker_that_died_while_no_daemon_lived_is_killed(make: Make) -> None:
    daemon = make(["sh", "-c", "setsid sleep 600 & exec sleep 600"], 1).start()
    until(lambda: len(daemon.pids()) == 2 and daemon.running(), what="the worker and its escapee")
    daemon.kill()
    old = daemon.pids()
    main = daemon.events("worker.started")[0]["data"]["pid"]
    crash(main)
    daemon.start()
    until(lambda: not set(old) & set(daemon.pids()) and len(daemon.pids()) == 2, what="the new generation alone")
    assert len(daemon.tokens()) == 1


def test_what_a_living_worker_leaves_to_us_is_buried_though_no_worker_ever_ends(make: Make) -> None:
    script = "for n in 1 2 3; do (setsid sh -c 'echo $$' &); done; exec sleep 600"
    daemon = make(["sh", "-c", script], 1, tables="cycle = { tick_s = 0.5, agent_hard_s = 0.4 }").start().up()
    (log,) = (daemon.root / "logs").glob("*@1.log")
    left = until(lambda: (said := log.read_text().split())[2:] and said, what="what the worker left")
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), what="their burial")
    assert daemon.full()


def test_a_process_with_our_token_and_no_record_is_killed_and_a_foreign_one_is_not(make: Make) -> None:
    daemon = make(copies=1).start().up()
    daemon.kill()
    environment = {"PATH": os.environ["PATH"]}
    ours = {**environment, "BTSWARM_TOKEN": f"{daemon.swarm_id}.{'1' * 32}"}
    theirs = {**environment, "BTSWARM_TOKEN": f"{'0' * 32}.{'1' * 32}"}
    orphan, stranger = (subprocess.Popen(["sleep", "600"], env=one) for one in (ours, theirs))
    try:
        daemon.start()
        assert orphan.wait(20) == -signal.SIGKILL
        until(lambda: daemon.events("orphan.killed"), what="the line about it")
        assert stranger.poll() is None
    finally:
        for one in (orphan, stranger):
            one.kill()
            one.wait()


def test_restart_leaves_the_workers_and_drain_leaves_nobody(make: Make) -> None:
    daemon = make().start().up()
    before = sorted(daemon.pids())
    assert daemon.ask(signal.SIGUSR2) == 75
    assert sorted(daemon.pids()) == before
    daemon.start()
    until(lambda: len(daemon.events("worker.adopted")) == 3, what="the adoption")
    assert daemon.ask(signal.SIGTERM) == 0
    assert not daemon.pids()
    assert [one["outcome"] for one in daemon.events("daemon.started")] == ["fresh", "restart"]


def test_a_drained_swarm_goes_on_at_the_next_start(make: Make) -> None:
    daemon = make(copies=1).start().up()
    assert daemon.ask(signal.SIGTERM) == 0
    daemon.start().up()


def test_a_worker_deaf_to_term_and_int_is_killed_rung_by_rung(make: Make) -> None:
    deaf = "trap '' TERM INT; : > $BTSWARM_WORKER_DIR/deaf; while :; do sleep 0.05; done"
    daemon = make(["sh", "-c", deaf], 1).start()
    until(lambda: daemon.running() and list(daemon.state.glob("workers/*/deaf")), what="the deaf worker")
    assert daemon.ask(signal.SIGTERM) == 0
    rungs = [one["data"]["rung"] for one in daemon.events("worker.stopping")]
    assert rungs == [1, 2, 3]
    assert not daemon.pids()


def test_a_second_daemon_on_the_same_state_refuses_and_names_the_first(make: Make) -> None:
    daemon = make(copies=1).start().up()
    assert daemon.process is not None
    argv = [sys.executable, "-P", "-m", "btswarm.tests.daemon.small_daemon", str(daemon.config)]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, env=environment())
    assert f"process {daemon.process.pid}, " in second.stderr
    assert len(daemon.events("daemon.started")) == 1


def test_a_crash_loop_is_slowed_by_arithmetic(make: Make) -> None:
    daemon = make(["false"], 1, tables="restart = { credits = 3, refill_s = 600, base_s = 1, cap_s = 300 }").start()
    until(lambda: len(daemon.events("worker.exited")) >= 4, what="the deaths that the credits pay for")
    spawned = len(daemon.events("worker.spawning"))
    exits = daemon.events("worker.exited")
    assert [one["data"]["restarts"]["level"] for one in exits[:3]] == [pytest.approx(2 - n, abs=0.1) for n in range(3)]
    assert exits[3]["data"]["then"]["not_before"] > 0
    assert spawned <= 6


def test_a_program_that_cannot_be_started_opens_an_incident_and_no_process(make: Make) -> None:
    daemon = make(["/nowhere/at-all"], 1).start()
    until(lambda: daemon.events("incident.detected"), what="the incident")
    failed = daemon.events("worker.exited")[0]
    assert failed["data"]["state"] == "failed"
    assert "No such file" in failed["data"]["message"]
    assert not daemon.pids()
