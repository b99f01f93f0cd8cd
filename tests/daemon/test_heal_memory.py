"""Memory that runs out: the host's, by a real limit, and the device's, by its exit code."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .healing import CHAIN, Healing
from .waiting import until

Make = Callable[..., Healing]
WORK = {"do": "work"}
DONE = {"do": "exit", "code": 0, "class": "done"}
JOB = CHAIN + "prescreen"
TWO_LANES = "cpu = 2, keep_free_mb = 16"
GROUPS = Path("/sys/fs/cgroup")
LIMIT_MB = 1100
"""Room for what one worker claims."""


@pytest.fixture
def limited() -> Iterator[Path]:
    """A control group of our own that holds LIMIT_MB of memory; skipped where the host gives us none."""
    v2 = (GROUPS / "cgroup.controllers").exists()
    folder = GROUPS / ("" if v2 else "memory") / f"btswarm-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / ("memory.max" if v2 else "memory.limit_in_bytes")).write_text(str(LIMIT_MB << 20))
        if (swap := folder / ("memory.swap.max" if v2 else "memory.swappiness")).exists():
            swap.write_text("0")
    except OSError as error:
        pytest.skip(f"no memory control group can be made here: {error}")
    yield folder
    until(lambda: _removed(folder), what="an empty control group")


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def test_a_worker_that_the_kernel_kills_for_memory_runs_again_with_half_the_lanes(limited: Path, swarm: Make) -> None:
    one = swarm({"prescreen": [{"do": "eat"}, WORK], "fill": [WORK]}, lanes=TWO_LANES)
    one.prefix = ("sh", "-c", f'echo $$ >{limited}/cgroup.procs && exec "$@"', "sh")
    one.start()
    life = one.healed("host_oom", JOB)
    assert life[0]["data"]["why"] == "killed while the host was out of memory"
    assert one.ends(JOB)[0]["code"] == -9
    assert one.ends(JOB)[0]["restarts"]["deaths"] == 0
    scaled = one.event("scale.down")
    assert (scaled["data"]["from"], scaled["data"]["to"]) == (2, 1)
    assert one.worker_of("prescreen", 2)
    one.well()


def test_a_worker_that_its_own_limit_refuses_memory_runs_again_with_half_the_lanes(swarm: Make) -> None:
    one = swarm({"prescreen": [{"do": "eat", "limit_mb": 128}, WORK], "fill": [WORK]}, lanes=TWO_LANES).start()
    life = one.healed("host_oom", JOB)
    assert life[2]["data"]["action"] == "SpawnWorker"
    assert one.ends(JOB)[0]["code"] == 71
    scaled = one.event("scale.down")
    assert (scaled["data"]["from"], scaled["data"]["to"]) == (2, 1)
    assert one.worker_of("prescreen", 2)
    one.well()


def test_a_device_out_of_memory_gets_half_the_batch_that_failed_and_half_again(swarm: Make) -> None:
    full = {"do": "exit", "code": 72, "class": "cuda_oom", "message": "no room"}
    one = swarm({"prescreen": [{**full, "batch": 8192}, {**full, "batch": 4096}, DONE]}).start()
    life = one.healed("cuda_oom", JOB)
    assert life[2]["data"]["action"] == "ReplaceJob"
    one.done("report")
    assert [deed["volume"].get("batch") for deed in one.deeds("prescreen")][1:] == [4096, 2048]
    assert len(one.events("job.replaced")) == 2
    one.well()


def test_a_device_too_small_for_the_smallest_batch_leaves_the_job_held_for_a_person(swarm: Make) -> None:
    one = swarm({"prescreen": [{"do": "exit", "code": 72, "class": "cuda_oom", "batch": 256}]}).start()
    life = one.healed("cuda_oom", JOB)
    assert life[2]["data"]["action"] == "Hold"
    hold = one.event("hold.set")["data"]["hold"]
    assert "release" in hold["needs"]
    assert len(one.deeds("prescreen")) == 1
