"""Which round a plan goes on with, after whatever a kill left of the last one."""

from pathlib import Path

import pytest

from btswarm.engine import rounds
from btswarm.state.files import TEMP_PREFIX


def chosen(results: Path) -> int:
    return rounds.choose(results, {"what": "a plan"}, 0, {"SOLUSDT": "hash"}).number


@pytest.mark.parametrize(
    "left", ["1", "1/fg", f"1/fg/{TEMP_PREFIX}round.json.1f", f"1/fg/{TEMP_PREFIX}best/trades.csv"]
)
def test_a_round_that_was_killed_before_it_said_whose_it_is_is_begun_again(tmp_path: Path, left: str) -> None:
    path = tmp_path / rounds.ROUNDS / left
    path.parent.mkdir(parents=True)
    if TEMP_PREFIX in left:
        path.write_bytes(b"half")
    else:
        path.mkdir()
    assert chosen(tmp_path) == 1
    assert chosen(tmp_path) == 1


def test_a_folder_with_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / rounds.ROUNDS / "1" / "main" / "phase0_top500.json"
    other.parent.mkdir(parents=True)
    other.touch()
    assert chosen(tmp_path) == 2
