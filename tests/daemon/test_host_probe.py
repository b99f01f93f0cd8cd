"""What the host probe reads from the real machine."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from btswarm.daemon.clock import SystemClock
from btswarm.daemon.probes.host import HostProbe
from btswarm.state.models.facts import DiskView
from btswarm.state.models.readings import Known

from .waiting import until


@contextmanager
def disks(roots: Mapping[str, Path]) -> Iterator[Mapping[str, DiskView]]:
    probe = HostProbe(SystemClock(), roots)
    probe.start()
    try:
        probe.refresh()
        until(lambda: set(probe.readings().disk) == set(roots))
        yield probe.readings().disk
    finally:
        probe.stop()


def test_a_folder_that_is_not_there_yet_is_judged_by_the_disk_it_will_lie_on(tmp_path: Path) -> None:
    with disks({"results": tmp_path / "not" / "yet"}) as found:
        free, writable = found["results"].free_mb, found["results"].writable
        assert isinstance(free, Known)
        assert free.known > 0
        assert isinstance(writable, Known)
        assert writable.known


def test_a_path_that_cannot_be_asked_is_unknown_and_not_zero(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with disks({"results": tmp_path / "file" / "below"}) as found:
        assert not isinstance(found["results"].free_mb, Known)
