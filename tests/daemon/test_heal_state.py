"""State files that are deleted, aged, edited or corrupted: each of them noticed, repaired and verified in one tick."""

import os
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from btswarm.agents import discover
from btswarm.state.models.state_files import FILES, agent_file

from .healing import SLEEPER, Healing

NAMES = sorted([*FILES, *map(agent_file, discover(()).sources)])
AGE_S = 3600.0


def delete(path: Path) -> None:
    path.unlink()


def age(path: Path) -> None:
    """As if nobody had written it for an hour."""
    then = path.stat().st_mtime - AGE_S
    os.utime(path, (then, then))


def edit(path: Path) -> None:
    """Still an envelope, but not what was written."""
    path.write_bytes(path.read_bytes().replace(b'"seq":', b'"seq":9', 1))


def corrupt(path: Path) -> None:
    """Half of it is gone, and the rest is nonsense."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\0" * 40)


HARMS = (delete, age, edit, corrupt)


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Healing]:
    """One swarm for all files: what was repaired is as good as before."""
    one = Healing(tmp_path_factory.mktemp("state"), None, (SLEEPER,)).start()
    one.up()
    yield one
    one.end()


@pytest.mark.parametrize("first", range(len(NAMES)))
def test_files_harmed_in_four_ways_at_once_are_repaired_and_verified_in_the_tick_that_sees_it(
    living: Healing, first: int
) -> None:
    """In all, every file is harmed in every way."""
    names = [NAMES[(first + number) % len(NAMES)] for number in range(len(HARMS))]
    paths = [living.state / name for name in names]
    living.wait(lambda: all(path.exists() for path in paths), "the first save")
    told = living.events()[-1]["seq"]
    _just_saved(living)
    for path, harm in zip(paths, HARMS, strict=True):
        harm(path)
    for name in names:
        begun = living.event("incident.detected", lambda line, n=name: line["seq"] > told and line["subject"] == n)  # type: ignore[misc]
        life = living.life(f"i{begun['seq']}")
        assert begun["data"]["class"] == "state_file"
        assert len({line["cycle"] for line in life}) == 1
        assert life[2]["data"]["action"] in ("RewriteState", "RestoreState")
        assert life[3]["data"]["seen"]["valid"]
    for name in names[2:]:
        assert list(living.state.glob(f"{name}.bad-*"))  # what lay there is kept
    living.well()
    assert living.full()


def _just_saved(one: Healing) -> None:
    """All files come from one save, done now, with all that is in the log: nobody writes them before the next look."""

    def moments() -> set[tuple[float, int]]:
        found = [orjson.loads((one.state / name).read_bytes()) for name in NAMES]
        return {(file["written"], file["log_seq"]) for file in found}

    def saved() -> bool:
        now = moments()
        return len(now) == 1 and not now & before and {seq for _, seq in now} == {one.events()[-1]["seq"]}

    before = moments()
    one.wait(saved, "a save of everything")
