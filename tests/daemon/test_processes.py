"""Real processes: started with their lock, recognised by token, stopped, and buried with everything they left."""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from btswarm.daemon.clock import SystemClock
from btswarm.daemon.ports import CannotSpawn, Ended, Identity, Launch
from btswarm.daemon.workers.identity import TOKEN, stat_of, token_of
from btswarm.daemon.workers.reap import become_subreaper
from btswarm.daemon.workers.table import RealProcesses
from btswarm.state.models.readings import Known, Missing

from . import census
from .waiting import readable, until


@pytest.fixture
def swarm_id() -> Iterator[str]:
    become_subreaper()
    made = secrets.token_hex(16)
    yield made
    census.kill_all(made)


@pytest.fixture
def processes(swarm_id: str) -> Iterator[RealProcesses]:
    made = RealProcesses(swarm_id, SystemClock())
    yield made
    made.close()


def launch(folder: Path, swarm_id: str, script: str, worker: str = "cpu000@1") -> Launch:
    token = f"{swarm_id}.{secrets.token_hex(16)}"
    environment = {"PATH": os.environ["PATH"], TOKEN: token}
    return Launch(worker, token, ("sh", "-c", script), environment, folder / f"{worker}.lock", folder / f"{worker}.log")


def end_of(processes: RealProcesses) -> Ended:
    ended: list[Ended] = []

    def look() -> bool:
        ended.extend(processes.ended())
        return bool(ended)

    until(look, what="the end of a worker")
    assert len(ended) == 1
    return ended[0]


def start(
    processes: RealProcesses, folder: Path, swarm_id: str, script: str, lines: int = 1
) -> tuple[Identity, list[str]]:
    """A worker that has said so many lines."""
    order = launch(folder, swarm_id, script)
    identity = processes.spawn(order)
    until(lambda: order.log.read_bytes().count(b"\n") >= lines, what="the worker's first words")
    return identity, order.log.read_text().split()


def test_a_worker_runs_its_program_with_its_token_and_its_lock(
    processes: RealProcesses, swarm_id: str, tmp_path: Path
) -> None:
    identity, _ = start(processes, tmp_path, swarm_id, "echo here; exec sleep 60")
    assert token_of(identity.pid, swarm_id) == identity.token
    assert processes.locked(tmp_path / "cpu000@1.lock")
    assert os.getpgid(identity.pid) == os.getsid(identity.pid) == identity.pid
    assert Path(f"/proc/{identity.pid}/oom_score_adj").read_text().strip() == "500"


def test_the_exit_status_is_told_once_and_the_lock_is_free_then(
    processes: RealProcesses, swarm_id: str, tmp_path: Path
) -> None:
    identity = processes.spawn(launch(tmp_path, swarm_id, "exit 72"))
    readable(processes.fileno())
    assert end_of(processes) == Ended(identity, 72)
    assert not processes.ended()
    assert not processes.owned()
    assert not processes.locked(tmp_path / "cpu000@1.lock")


def test_a_death_by_signal_is_told_as_such(processes: RealProcesses, swarm_id: str, tmp_path: Path) -> None:
    identity, _ = start(processes, tmp_path, swarm_id, "echo here; exec sleep 60")
    os.kill(identity.pid, signal.SIGKILL)
    assert end_of(processes).code == -signal.SIGKILL


def test_nothing_is_spawned_while_somebody_holds_the_lock(
    processes: RealProcesses, swarm_id: str, tmp_path: Path
) -> None:
    order = launch(tmp_path, swarm_id, "exec sleep 60")
    processes.spawn(order)
    with pytest.raises(CannotSpawn, match="somebody holds"):
        processes.spawn(order)
    until(lambda: len(census.carriers(swarm_id)) == 1, what="one process")


def test_a_program_that_is_not_there_leaves_no_process(processes: RealProcesses, swarm_id: str, tmp_path: Path) -> None:
    order = launch(tmp_path, swarm_id, "")
    missing = Launch(order.worker, order.token, ("/nowhere/at-all",), order.environment, order.lock, order.log)
    with pytest.raises(CannotSpawn, match="No such file"):
        processes.spawn(missing)
    assert not processes.locked(order.lock)
    assert not processes.owned()


@pytest.mark.parametrize("argv", [("",), ("sh", "-c", "a\0b")])
def test_what_no_kernel_takes_for_a_command_line_leaves_no_process(
    processes: RealProcesses, swarm_id: str, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    order = replace(launch(tmp_path, swarm_id, ""), argv=argv)
    with pytest.raises(CannotSpawn):
        processes.spawn(order)
    assert not processes.locked(order.lock)


@pytest.mark.parametrize(
    "escape",
    ["sleep 60 &", "setsid sleep 60 &", "(setsid sh -c 'sleep 60 & sleep 60' &)"],
    ids=["child", "own session", "double fork with a child of its own"],
)
def test_what_a_dead_worker_left_is_killed_before_its_end_is_told(
    processes: RealProcesses, swarm_id: str, tmp_path: Path, escape: str
) -> None:
    identity, _ = start(processes, tmp_path, swarm_id, f"{escape}\necho here; exec sleep 60")
    until(lambda: len(census.carriers(swarm_id)) >= 2, what="the escapee")
    os.kill(identity.pid, signal.SIGKILL)
    assert end_of(processes).left == ()
    assert not census.carriers(swarm_id)


def test_a_zombie_grandchild_of_a_living_worker_is_reaped_and_the_worker_left_alone(
    processes: RealProcesses, swarm_id: str, tmp_path: Path
) -> None:
    identity, said = start(processes, tmp_path, swarm_id, "(setsid sh -c 'echo $$; kill -9 $$' &); exec sleep 60")
    until(lambda: (stat := stat_of(int(said[0]))) is not None and stat.state == "Z", what="the zombie")
    assert not processes.strays({identity.token})
    assert stat_of(int(said[0])) is None
    assert not processes.ended()


def test_a_signal_reaches_only_the_process_that_is_meant(
    processes: RealProcesses, swarm_id: str, tmp_path: Path
) -> None:
    identity, _ = start(processes, tmp_path, swarm_id, "trap 'exit 75' TERM; echo here; while :; do sleep 0.01; done")
    wrong = Identity(identity.worker, f"{swarm_id}.{'0' * 32}", identity.pid, identity.ticks)
    assert not processes.signal(wrong, signal.SIGKILL)
    assert processes.signal(identity, signal.SIGTERM)
    assert end_of(processes).code == 75
    assert not processes.signal(identity, signal.SIGTERM)


def test_killing_a_token_reaches_other_sessions(processes: RealProcesses, swarm_id: str, tmp_path: Path) -> None:
    identity, _ = start(processes, tmp_path, swarm_id, "setsid sleep 60 & echo here; exec sleep 60")
    until(lambda: len(census.carriers(swarm_id)) == 2, what="the escapee")
    processes.kill_token(identity)
    end_of(processes)
    assert not processes.left(identity.token)


def test_a_sample_tells_a_stopped_process_and_a_buried_one_is_missing(
    processes: RealProcesses, swarm_id: str, tmp_path: Path
) -> None:
    identity, _ = start(processes, tmp_path, swarm_id, "echo here; exec sleep 60")

    def state() -> str:
        sample = processes.sample(identity)
        assert isinstance(sample, Known)
        return sample.known.state

    os.kill(identity.pid, signal.SIGSTOP)
    until(lambda: state() == "T", what="the stop")
    os.kill(identity.pid, signal.SIGKILL)
    end_of(processes)
    assert isinstance(processes.sample(identity), Missing)


def test_a_process_of_a_former_daemon_is_adopted_only_as_itself(
    processes: RealProcesses, swarm_id: str, tmp_path: Path
) -> None:
    identity, _ = start(processes, tmp_path, swarm_id, "echo here; exec sleep 60")
    other = RealProcesses(swarm_id, SystemClock())
    assert not other.adopt(Identity(identity.worker, identity.token, identity.pid, identity.ticks + 1))
    assert not other.adopt(Identity(identity.worker, f"{swarm_id}.{'0' * 32}", identity.pid, identity.ticks))
    assert other.adopt(identity)
    other.close()


def test_another_swarms_processes_are_no_part_of_ours(processes: RealProcesses, swarm_id: str, tmp_path: Path) -> None:
    foreign = secrets.token_hex(16)
    theirs = RealProcesses(foreign, SystemClock())
    try:
        theirs.spawn(launch(tmp_path, foreign, "exec sleep 60"))
        assert not processes.census()
        assert not processes.strays(())
    finally:
        census.kill_all(foreign)
        theirs.close()


def test_spawning_costs_little(processes: RealProcesses, swarm_id: str, tmp_path: Path) -> None:
    before = time.perf_counter()
    for number in range(1, 21):
        processes.spawn(launch(tmp_path, swarm_id, "exec sleep 60", f"cpu000@{number}"))
    print(f"{(time.perf_counter() - before) / 20 * 1e3:.2f} ms a spawn")  # noqa: T201
    until(lambda: len(census.carriers(swarm_id)) == 20, what="all of them")


def test_a_worker_runs_behind_a_daemon_that_was_given_precedence(
    processes: RealProcesses, swarm_id: str, tmp_path: Path
) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    except PermissionError:
        pytest.skip("this user may not take precedence")
    try:
        identity, _ = start(processes, tmp_path, swarm_id, "echo here; exec sleep 60")
        assert os.getpriority(os.PRIO_PROCESS, identity.pid) == 0
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)
