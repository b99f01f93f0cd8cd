"""The CPU of the last minute, from readings that are never taken just when they are asked for."""

import pytest

from btswarm.daemon.ports import HostReadings
from btswarm.daemon.usage import Usage
from btswarm.state.models.readings import Known, Missing, Reading, known

CPUS = 2.0


def readings(read: float, busy_s: float) -> HostReadings:
    none: Reading[float] = Missing("not asked", 0.0)
    return HostReadings(cpus=CPUS, machine_cpus=CPUS, mem_mb=1000, pids_max=None, cpu_busy_s=Known(busy_s, read),
                        cpu_steal_s=Known(0.0, read), mem_free_mb=none, oom_kills=Missing("not asked", 0.0),
                        pids_used=Missing("not asked", 0.0), disk={}, ballast_mb=none)  # fmt: skip


def shares(*looks: tuple[float, float, float, float]) -> tuple[float | None, float | None]:
    """Of looks (mono, time of the reading, busy seconds, our seconds)."""
    usage = Usage()
    for mono, read, busy_s, ours_s in looks:
        usage.add(mono, readings(read, busy_s), ours_s)
    ours, others = usage.shares(CPUS, looks[-1][0])
    return known(ours), known(others)


def test_ours_and_the_others_are_shares_of_what_we_may_use() -> None:
    assert shares((0, 0, 100, 10), (60, 60, 190, 70)) == (50.0, 25.0)


def test_a_reading_that_is_older_than_its_look_counts_from_when_it_was_read() -> None:
    ours, others = shares((10, 1, 102, 0), (30, 29, 158, 20))
    assert ours == 50.0
    assert others == pytest.approx(50.0)


def test_a_reading_seen_before_adds_nothing() -> None:
    assert shares((0, 0, 0, 0), (10, 10, 20, 10), (15, 10, 20, 15)) == (50.0, 50.0)


def test_too_little_time_says_nothing() -> None:
    assert shares((0, 0, 0, 0), (2, 2, 4, 2)) == (None, None)
