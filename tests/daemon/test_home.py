"""The id of a state root belongs to the folder it was made in."""

import shutil
from pathlib import Path

import pytest

from btswarm.daemon.home import HOME_NAME, ID_NAME, swarm_id, swarm_identity
from btswarm.state.errors import StorageBroken


def test_the_id_is_made_once_and_stays_when_the_folder_is_moved(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    root.mkdir()
    assert swarm_id(root) is None
    own = swarm_identity(root)
    assert swarm_identity(root) == own == swarm_id(root)
    root.rename(elsewhere)
    assert swarm_identity(elsewhere) == own


def test_a_copied_folder_is_another_swarm_and_nobody_takes_it_for_the_first(tmp_path: Path) -> None:
    root, copy = tmp_path / "state", tmp_path / "copy"
    root.mkdir()
    own = swarm_identity(root)
    shutil.copytree(root, copy)
    assert swarm_id(copy) is None
    other = swarm_identity(copy)
    assert other != own
    assert swarm_identity(copy) == other == swarm_id(copy)
    assert swarm_id(root) == own


def test_another_number_of_the_device_is_a_copy_within_a_boot_and_nothing_after_one(tmp_path: Path) -> None:
    own = swarm_identity(tmp_path)
    inode, boot, device = (tmp_path / HOME_NAME).read_text().split()
    (tmp_path / HOME_NAME).write_text(f"{inode} another-boot {int(device) + 1}\n")
    assert swarm_identity(tmp_path) == own
    (tmp_path / HOME_NAME).write_text(f"{inode} {boot} {int(device) + 1}\n")
    assert swarm_identity(tmp_path) != own


@pytest.mark.parametrize("damage", [None, b"", b"\xff\xfe", b"half"])
def test_a_root_that_never_said_where_it_is_keeps_its_id_and_says_it_now(tmp_path: Path, damage: bytes | None) -> None:
    own = swarm_identity(tmp_path)
    (tmp_path / HOME_NAME).unlink()
    if damage is not None:
        (tmp_path / HOME_NAME).write_bytes(damage)
    assert swarm_identity(tmp_path) == own
    assert (tmp_path / HOME_NAME).read_text().split()[0] == str(tmp_path.stat().st_ino)


def test_a_file_that_holds_no_id_is_refused(tmp_path: Path) -> None:
    (tmp_path / ID_NAME).write_text("not an id")
    with pytest.raises(StorageBroken, match="holds no swarm id"):
        swarm_identity(tmp_path)
