"""Whose a state root is: an id made once, and the very folder it was made in, so that a copy is another swarm."""

import secrets
from pathlib import Path
from typing import Final

from ..state.errors import StorageBroken
from ..state.files import write_atomic
from ..state.models.names import is_swarm_id

ID_NAME: Final = "swarm_id"
HOME_NAME: Final = "swarm_home"
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def swarm_id(state_root: Path) -> str | None:
    """None when no swarm ever ran in this folder: also where it is a copy of one in which a swarm did."""
    try:
        text = (state_root / ID_NAME).read_text().strip()
    except OSError:
        return None
    return text if is_swarm_id(text) and not _copied(state_root) else None


def swarm_identity(state_root: Path) -> str:
    """The id of this state root, made once; a copy gets its own, or two swarms would take each other's workers for
    orphans. Raises StorageBroken for a file that holds none."""
    path = state_root / ID_NAME
    try:
        found = path.read_text().strip()
    except FileNotFoundError:
        found = ""
    if not found or _copied(state_root):
        found = secrets.token_hex(16)
        write_atomic(path, f"{found}\n".encode())
    if not is_swarm_id(found):
        raise StorageBroken(f"{path} holds no swarm id", fix="move it aside if no worker of this swarm runs any more")
    home = " ".join(_home(state_root)) + "\n"
    if _read(state_root) != home:
        write_atomic(state_root / HOME_NAME, home.encode())
    return found


def _home(state_root: Path) -> tuple[str, str, str]:
    """Inode, boot and device: the inode stays when a folder is moved, and devices are numbered anew at a boot."""
    stat = state_root.stat()
    return str(stat.st_ino), BOOT_ID.read_text().strip(), str(stat.st_dev)


def _copied(state_root: Path) -> bool:
    """Whether the id was made for another folder. A root that never said which is its own."""
    told = _read(state_root).split()
    if len(told) != 3:
        return False
    inode, boot, device = _home(state_root)
    return told[0] != inode or (told[1] == boot and told[2] != device)


def _read(state_root: Path) -> str:
    try:
        return (state_root / HOME_NAME).read_text()
    except (OSError, UnicodeDecodeError):
        return ""
