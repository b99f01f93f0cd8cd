"""Workers on one study, killed with SIGKILL at random instants: the study opens, is complete, and work goes on at once.

`BTSWARM_KILLS=500 BTSWARM_KILL_SEED=1 pytest tests/engine/optimize/test_kill.py` kills longer, at other instants.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState

from btswarm.engine.journal import soundness
from btswarm.engine.storage import place
from btswarm.engine.study import RETRY_OF, Workers

from .worker import open_study

KILLS = int(os.environ.get("BTSWARM_KILLS", "24"))
SEED = int(os.environ.get("BTSWARM_KILL_SEED", "0"))
WORKERS = 3
ENDLESS = 1_000_000
STARTING_S = 60.0


def start(folder: Path, url: str, part: int, total: int) -> subprocess.Popen[bytes]:
    """A worker in a process of its own."""
    argv = [sys.executable, "-m", "btswarm.tests.engine.optimize.worker", str(folder), url, str(part), str(total)]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def told_by(folder: Path, pid: int) -> list[int]:
    path = folder / f"told.{pid}"
    return [int(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def wait_until_it_tells(folder: Path, worker: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTING_S
    while not told_by(folder, worker.pid):
        assert worker.poll() is None, worker.communicate()[1].decode()
        assert time.monotonic() < deadline, "a worker tells no trial: something stalls it"


def kill_many(folder: Path, url: str, kills: int) -> set[int]:
    """Kill `kills` workers, always the oldest, each after it told something. The numbers that were told."""
    chance = random.Random(SEED)
    alive = [start(folder, url, part, ENDLESS) for part in range(WORKERS)]
    told: set[int] = set()
    for number in range(kills):
        victim = alive.pop(0)
        wait_until_it_tells(folder, victim)
        instant = time.monotonic() + chance.random() * 0.02
        while time.monotonic() < instant:
            pass
        victim.kill()
        victim.communicate()
        told.update(told_by(folder, victim.pid))
        if number < kills - WORKERS:
            alive.append(start(folder, url, number, ENDLESS))
    for worker in alive:
        worker.kill()
        worker.communicate()
        told.update(told_by(folder, worker.pid))
    return told


def trials_of(folder: Path, url: str) -> list[FrozenTrial]:
    with Workers(place(url, folder).locks, 99) as workers:
        return open_study(folder, url, workers).trials()


def finish(folder: Path, url: str, total: int) -> list[FrozenTrial]:
    """Let one more worker bring the study to `total`."""
    worker = start(folder, url, 0, total)
    assert worker.wait(STARTING_S) == 0, worker.communicate()[1].decode()
    worker.communicate()
    return trials_of(folder, url)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_no_worker_killed_at_any_instant_costs_a_told_trial_or_stalls_the_others(tmp_path: Path, kind: str) -> None:
    url = "auto" if kind == "journal" else f"sqlite:///{tmp_path}/study.db"
    told = kill_many(tmp_path, url, KILLS if kind == "journal" else KILLS // 4)

    before = trials_of(tmp_path, url)
    complete = [trial for trial in before if trial.state is TrialState.COMPLETE]
    assert told <= {trial.number for trial in complete}
    assert [trial.number for trial in before] == list(range(len(before)))
    assert all(trial.value == trial.params["x"] == trial.user_attrs["result"]["x"] for trial in complete)
    assert {trial.user_attrs["seed"] for trial in before if "seed" in trial.user_attrs} == set(range(5))

    total = len(complete) + 20
    after = finish(tmp_path, url, total)
    assert sum(trial.state is TrialState.COMPLETE for trial in after) == total
    assert not [trial for trial in after if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
    in_flight = {trial.number for trial in before if trial.state is TrialState.RUNNING and trial.params}
    assert in_flight <= {trial.user_attrs.get(RETRY_OF) for trial in after} | {
        trial.number for trial in before if len(trial.params) < 2
    }


@pytest.mark.slow
def test_a_study_whose_last_writer_was_killed_holds_no_torn_line_once_it_was_used_again(tmp_path: Path) -> None:
    kill_many(tmp_path, "auto", WORKERS)
    journal = tmp_path / "study.journal"
    with journal.open("ab") as file:
        file.write(b'{"op_code":6,"trial_id":1,"stat')
    told = sum(trial.state is TrialState.COMPLETE for trial in trials_of(tmp_path, "auto"))
    finish(tmp_path, "auto", told + 3)
    found = soundness(journal)
    assert found.bad_line == 0
    assert found.whole == found.size
