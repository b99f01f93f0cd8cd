"""What is thrown away in time, and what never is."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from btswarm.daemon.housekeeping import TAIL_BYTES, Keep, Swept, cut, sweep
from btswarm.state.results import MAIN, PUBLISHED, ROUNDS

from .waiting import until

MB = 1 << 20


class Host:
    """The folders of a swarm."""

    def __init__(self, root: Path) -> None:
        self.workers, self.logs, self.results = root / "state" / "workers", root / "logs", root / "results"
        for folder in (self.workers, self.logs, self.results):
            folder.mkdir(parents=True)

    def ran(self, lane: str, *gens: int) -> None:
        for gen in gens:
            (self.workers / f"{lane}@{gen}").mkdir()
            (self.workers / f"{lane}@{gen}" / "exit.json").write_text("{}")
            (self.logs / f"{lane}@{gen}.log").write_text("said\n")

    def round(self, number: int, *roots: str) -> Path:
        for root in roots or (MAIN, "fill-f0"):
            (self.results / ROUNDS / str(number) / root / "SOLUSDT" / "balanced").mkdir(parents=True)
        return self.results / ROUNDS / str(number) / MAIN / "SOLUSDT" / "balanced"

    def rounds(self) -> list[int]:
        return sorted(int(path.name) for path in (self.results / ROUNDS).iterdir())

    def sweep(self, **changes: Any) -> Swept:
        keep = {"gens": {}, "living": frozenset(), "log_bytes": 64 * MB, "rounds": 2, "busy": frozenset(), **changes}
        return sweep(self.workers, self.logs, self.results, Keep(**keep))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_last_three_generations_of_a_lane_are_kept(host: Host) -> None:
    host.ran("cpu000", *range(1, 7))
    swept = host.sweep(gens={"cpu000": 6})
    assert sorted(os.listdir(host.workers)) == ["cpu000@4", "cpu000@5", "cpu000@6"]
    assert sorted(os.listdir(host.logs)) == ["cpu000@4.log", "cpu000@5.log", "cpu000@6.log"]
    assert (swept.workers, swept.logs) == (3, 3)


def test_whoever_lives_keeps_its_folder_and_its_log(host: Host) -> None:
    host.ran("cpu000", 1, 9)
    host.sweep(gens={"cpu000": 9}, living=frozenset({"cpu000@1"}))
    assert sorted(os.listdir(host.workers)) == ["cpu000@1", "cpu000@9"]
    assert (host.logs / "cpu000@1.log").exists()


def test_what_does_not_bear_a_name_of_ours_is_left_alone(host: Host) -> None:
    host.ran("cpu007", 1)  # a lane that no record knows: another swarm may log here
    (host.logs / "notes.log").write_text("mine")
    (host.logs / "cpu000@1.txt").write_text("mine")
    (host.workers / "precious").mkdir()
    host.sweep(gens={"cpu000": 9})
    assert sorted(os.listdir(host.logs)) == ["cpu000@1.txt", "cpu007@1.log", "notes.log"]
    assert sorted(os.listdir(host.workers)) == ["cpu007@1", "precious"]


def test_a_log_that_grew_too_long_keeps_its_newest_whole_lines(host: Host) -> None:
    path = host.logs / "cpu000@1.log"
    lines = [f"line {n:08d} {'x' * 80}\n" for n in range(40_000)]
    path.write_text("".join(lines))
    swept = host.sweep(gens={"cpu000": 1}, log_bytes=2 * MB)
    kept = path.read_text().splitlines(keepends=True)
    assert swept.cut == ["cpu000@1"]
    assert path.stat().st_size <= TAIL_BYTES + 200
    assert "cut here" in kept[0]
    assert kept[1:] == lines[-len(kept) + 1 :]


@pytest.fixture
def writer(host: Host) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that goes on writing to its log, as workers' logs are opened."""
    descriptor = os.open(host.logs / "cpu000@1.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    process = subprocess.Popen(["sh", "-c", "while :; do echo again; done"], stdout=descriptor)
    os.close(descriptor)
    yield process
    process.kill()
    process.wait()


def test_a_worker_goes_on_writing_to_a_log_that_was_cut(host: Host, writer: subprocess.Popen[bytes]) -> None:
    path = host.logs / "cpu000@1.log"
    until(lambda: path.stat().st_size > 100_000, what="a long log")
    cut(path, 100_000)
    size = path.stat().st_size
    until(lambda: path.stat().st_size > size, what="the next line")
    assert b"\0" not in path.read_bytes()
    assert writer.poll() is None


def test_a_link_under_a_log_s_name_is_not_followed(host: Host, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_bytes(b"x" * 300_000)
    (host.logs / "cpu000@1.log").symlink_to(target)
    swept = host.sweep(gens={"cpu000": 1}, log_bytes=100_000)
    assert target.stat().st_size == 300_000
    assert len(swept.faults) == 1


def test_the_newest_rounds_are_kept_and_older_ones_go(host: Host) -> None:
    for number in (1, 2, 3, 4):
        host.round(number)
    assert host.sweep().rounds == [1, 2]
    assert host.rounds() == [3, 4]


def test_a_round_is_as_old_as_what_was_last_put_into_it(host: Host) -> None:
    for number in (1, 2, 3):
        host.round(number)
    folder = host.results / ROUNDS / "1" / MAIN / "SOLUSDT" / "balanced"
    later = folder.stat().st_mtime_ns + 10**12
    os.utime(folder, ns=(later, later))
    host.sweep()
    assert host.rounds() == [1, 3]


def test_a_published_round_is_never_removed(host: Host) -> None:
    folder = host.round(1)
    for number in (2, 3, 4):
        host.round(number)
    link = host.results / PUBLISHED / "SOLUSDT" / "balanced"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(folder, link.parent))
    assert host.sweep().rounds == [2]
    assert link.resolve().is_dir()


def test_rounds_with_open_jobs_or_a_certified_result_are_never_removed(host: Host) -> None:
    for number in range(1, 6):
        host.round(number)
    host.sweep(busy=frozenset({1}), certified=frozenset({2}))
    assert host.rounds() == [1, 2, 4, 5]


def test_rounds_of_a_run_in_the_foreground_are_that_command_s(host: Host) -> None:
    host.round(1, "fg")
    host.round(2, MAIN, "fg")
    for number in (3, 4):
        host.round(number)
    host.sweep()
    assert sorted(os.listdir(host.results / ROUNDS / "1")) == ["fg"]
    assert sorted(os.listdir(host.results / ROUNDS / "2")) == ["fg"]
    assert host.rounds() == [1, 2, 3, 4]


def test_nothing_to_do_says_nothing(host: Host) -> None:
    assert not host.sweep()
    assert not sweep(host.workers / "gone", host.logs / "gone", host.results / "gone", Keep({}, frozenset(), MB, 1,
                                                                                          frozenset()))  # fmt: skip


def test_what_was_swept_can_be_said_in_json(host: Host) -> None:
    host.ran("cpu000", 1, 9)
    swept = host.sweep(gens={"cpu000": 9})
    assert orjson.loads(orjson.dumps(swept))["workers"] == 1
