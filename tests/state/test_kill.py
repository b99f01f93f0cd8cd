"""The memory of a process that is really killed, again and again, on a real disk."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from btswarm.state.disk import RealDisk
from btswarm.state.eventlog import EventLog
from btswarm.state.logread import events_after
from btswarm.state.models.state_files import FILES
from btswarm.state.replay import SwarmState, fold, settled
from btswarm.state.start import begin
from btswarm.state.store import Store
from btswarm.tests.state.writer import JOB

KILLS = 6


def live_until_killed(folder: Path, lines: int) -> tuple[int, int]:
    """What the process had acknowledged when it was killed, after at least so many lines."""
    command = [sys.executable, "-m", "btswarm.tests.state.writer", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        os.kill(process.pid, signal.SIGKILL)
        said += process.stdout.readlines()
    whole = [line for line in said if line.endswith("\n")]
    assert len(whole) >= lines, said
    seq, tries = map(int, whole[-1].split())
    return seq, tries


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_by_sigkill_and_no_start_is_counted_twice(tmp_path: Path) -> None:
    chance = random.Random(7)
    for _ in range(KILLS):
        acknowledged, tries = live_until_killed(tmp_path, chance.randint(1, 400))
        disk = RealDisk()
        log = EventLog(tmp_path, disk)
        begun = begin(Store(tmp_path, disk, FILES, uid=os.geteuid(), writer="t"), log)
        log.close()
        numbers = [event["seq"] for event in events_after(disk, tmp_path, 0)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= acknowledged
        assert not begun.refused
        starts = [event for event in events_after(disk, tmp_path, 0) if event["kind"] == "worker.spawning"]
        assert begun.state.queue.jobs[JOB].tries == len(starts) >= tries
        assert len({event["subject"] for event in starts}) == len(starts)
        assert settled(fold(SwarmState(), log.replay(0))) == settled(begun.state)
