"""Which device is meant by --engine and --gpu, and how many cores there are."""

import math
import os
from pathlib import Path

import pytest

from btswarm.engine import backend
from btswarm.engine.backend import cores, parallel, resolve
from btswarm.state.errors import BadConfig, GpuUnavailable


@pytest.mark.parametrize(("engine", "gpu"), [("auto", -1), ("cpu", None), ("cpu", -1)])
def test_the_cpu_can_be_asked_for_in_three_ways_and_nothing_needs_saying(engine: str, gpu: int | None) -> None:
    assert resolve(engine, gpu) == backend.Backend("cpu", -1)


def test_auto_without_a_gpu_takes_the_cpu_and_says_why() -> None:
    found = resolve()
    assert (found.name, found.gpu) == ("cpu", -1)
    assert found.note.startswith("--engine auto: screening on the CPU, because ")
    assert "\n" not in found.note


@pytest.mark.parametrize(("engine", "gpu"), [("gpu", None), ("gpu", 3), ("auto", 0)])
def test_a_gpu_that_is_asked_for_and_not_there_is_never_replaced_by_the_cpu(engine: str, gpu: int | None) -> None:
    with pytest.raises(GpuUnavailable, match=f"GPU {gpu or 0} "):
        resolve(engine, gpu)


@pytest.mark.parametrize(
    ("engine", "gpu", "device"), [("gpu", None, 0), ("gpu", 2, 2), ("auto", None, 0), ("auto", 1, 1)]
)
def test_with_a_gpu_screen_the_device_is_the_one_that_is_named_else_the_first(
    engine: str, gpu: int | None, device: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "gpu_missing", lambda _gpu: "")
    assert resolve(engine, gpu) == backend.Backend("gpu", device)


@pytest.mark.parametrize(("engine", "gpu"), [("cpu", 0), ("gpu", -1), ("auto", -2), ("tpu", None)])
def test_contradictions_are_refused(engine: str, gpu: int | None) -> None:
    with pytest.raises(BadConfig):
        resolve(engine, gpu)


def host(root: Path, membership: str, limits: dict[str, str]) -> Path:
    contents = {"proc/self/cgroup": membership} | {f"sys/fs/cgroup/{name}": text for name, text in limits.items()}
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("membership", "limits", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "100000 100000\n"}, 1.0),
        ("0::/a\n", {"a/cpu.max": "max 100000\n"}, math.inf),
        ("4:cpu,cpuacct:/x\n", {"cpu/x/cpu.cfs_quota_us": "120000\n", "cpu/x/cpu.cfs_period_us": "100000\n"}, 1.2),
        ("4:cpu,cpuacct:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1\n", "cpu/x/cpu.cfs_period_us": "100000\n"}, math.inf),
        ("4:memory:/x\n", {"memory/x/cpu.max": "100000 100000\n"}, math.inf),
        ("0::/\n", {"cpu.max": "what\n"}, math.inf),
    ],
)
def test_the_tightest_control_group_counts(
    tmp_path: Path, membership: str, limits: dict[str, str], quota: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert cores(host(tmp_path, membership, limits)) == (64 if quota == math.inf else max(1, int(quota)))


def test_cores_are_never_more_than_the_affinity_nor_fewer_than_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert cores(tmp_path) == 3
    assert cores(host(tmp_path, "0::/\n", {"cpu.max": "20000 100000"})) == 1


@pytest.mark.parametrize("value", [0, -1, 10_000])
def test_a_number_of_workers_that_would_only_swap_the_host_is_refused(value: int) -> None:
    with pytest.raises(BadConfig, match="--workers must be from 1 to"):
        parallel("--workers", value)


def test_every_core_may_have_a_worker_and_a_few_more() -> None:
    assert parallel("--workers", cores()) == cores()
    assert parallel("--threads", 8) == 8
