"""How much of the host there is for us: affinity, and quotas of both kinds of control groups."""

from pathlib import Path

import pytest

from btswarm.daemon.admission import Capacity, capacity

V1 = {
    "proc/self/cgroup": "4:memory:/jobs\n3:pids:/jobs\n2:cpu,cpuacct:/jobs\n0::/\n",
    "proc/self/mountinfo": (
        "30 1 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "31 1 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "32 1 0:3 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    ),
    "proc/meminfo": "MemTotal:       16777216 kB\n",
    "sys/fs/cgroup/cpu/jobs/cpu.cfs_quota_us": "150000",
    "sys/fs/cgroup/cpu/jobs/cpu.cfs_period_us": "100000",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    "sys/fs/cgroup/memory/jobs/memory.limit_in_bytes": str(2 << 30),
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    "sys/fs/cgroup/pids/jobs/pids.max": "max",
    "sys/fs/cgroup/pids/pids.max": "1024",
}
V2 = {
    "proc/self/cgroup": "0::/system.slice/btswarm.service\n",
    "proc/self/mountinfo": "30 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    "proc/meminfo": "MemTotal:       16777216 kB\n",
    "sys/fs/cgroup/system.slice/btswarm.service/cpu.max": "max 100000",
    "sys/fs/cgroup/system.slice/cpu.max": "50000 100000",
    "sys/fs/cgroup/system.slice/btswarm.service/memory.max": str(3 << 30),
    "sys/fs/cgroup/system.slice/btswarm.service/pids.max": "512",
}


@pytest.fixture
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    files: dict[str, str] = request.param
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("host", "expected"), [(V1, Capacity(1.5, 2048, 1024)), (V2, Capacity(0.5, 3072, 512))], indirect=["host"]
)
def test_the_smallest_of_affinity_and_the_limits_above_us_counts(host: Path, expected: Capacity) -> None:
    assert capacity(host, affinity=8) == expected


@pytest.mark.parametrize("host", [V1], indirect=True)
def test_affinity_counts_when_it_is_less(host: Path) -> None:
    assert capacity(host, affinity=1).cpus == 1.0


def test_a_host_that_tells_nothing_has_its_affinity(tmp_path: Path) -> None:
    assert capacity(tmp_path, affinity=4) == Capacity(4.0, 0, None)
