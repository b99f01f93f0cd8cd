"""A file under its final name is whole, whatever happened while it was written."""

import errno
import os
from pathlib import Path

import pytest

from btswarm.state import files
from btswarm.state.errors import CannotWrite, NoPermission
from btswarm.state.files import explain, locked, make_folder, write_atomic


def test_a_write_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomic(path, b"long before")
    write_atomic(path, b"now")
    assert path.read_bytes() == b"now"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, CannotWrite), (errno.EROFS, NoPermission)])
def test_a_write_that_fails_keeps_the_old_file_and_takes_its_half_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, kind: type[Exception]
) -> None:
    path = tmp_path / "x"
    write_atomic(path, b"before")

    def fail(*_arguments: object, **_named: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, call, fail)  # type: ignore[attr-defined]
    with pytest.raises(kind, match=str(path)):
        write_atomic(path, b"after")
    monkeypatch.undo()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_comes_in_pieces_is_still_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:3])))
    write_atomic(tmp_path / "x", b"0123456789")
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_a_missing_folder_is_an_explained_refusal(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="cannot be written"):
        write_atomic(tmp_path / "nowhere" / "x", b"")


def test_folders_are_made_with_their_parents_for_their_owner_alone(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a" / "b")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert make_folder(folder) == folder
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite):
        make_folder(tmp_path / "file" / "b")


def test_a_lock_is_held_by_one_and_freed_when_let_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path), pytest.raises(BlockingIOError), locked(path, blocking=False):
        pass
    with locked(path, blocking=False):
        pass


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "no space left"), (errno.EACCES, "choose a folder"), (errno.EIO, "check the disk")],
)
def test_the_system_s_refusals_are_explained(number: int, said: str) -> None:
    assert said in explain(OSError(number, os.strerror(number)), Path("/x")).line()
