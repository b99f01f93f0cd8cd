"""Reaching a Unix socket whatever its path's length, and making one that only its owner may reach. Stdlib only."""

import os
import socket
from pathlib import Path
from typing import Final

SOCKET_NAME: Final = "control.sock"
LONGEST: Final = 107
"""Bytes that fit the kernel's address of a Unix socket."""


def connect(path: Path, timeout_s: float) -> socket.socket:
    """A connection to the socket at `path`. Raises OSError."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    peer.settimeout(timeout_s)
    try:
        with _Short(path) as address:
            peer.connect(address)
    except OSError:
        peer.close()
        raise
    return peer


def listen(path: Path, backlog: int) -> socket.socket:
    """A listening socket at `path`, for its owner alone from its first moment; what lay there is replaced.

    The caller holds the lock of the folder. Raises OSError.
    """
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.unlink(missing_ok=True)
        os.fchmod(server.fileno(), 0o600)
        with _Short(fresh) as address:
            server.bind(address)
        server.listen(backlog)
        fresh.replace(path)
    except OSError:
        server.close()
        raise
    return server


class _Short:
    """The path itself, or a name for it through a descriptor of its folder while that is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= LONGEST:
            return str(self._path)
        from .files import open_folder

        self._folder = open_folder(self._path.parent)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._folder >= 0:
            os.close(self._folder)
