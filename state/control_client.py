"""Speaking to the daemon over its control socket. Standard library and orjson: the light commands use it too."""

import os
from pathlib import Path
from typing import Any, Final

import orjson

from .errors import BtswarmError, ExitCode, NoPermission
from .socket_path import SOCKET_NAME, connect

TIMEOUT_S: Final = 5.0
CHANGE_S: Final = 35.0
MAX_ANSWER: Final = 16 * 1024 * 1024


class NoDaemon(BtswarmError):
    """Nobody listens on the control socket."""

    code = ExitCode.NO_DAEMON


class Refused(BtswarmError):
    """The daemon said no; its code and its words."""

    def __init__(self, message: str, *, fix: str = "", code: int = ExitCode.BAD_CONFIG) -> None:
        super().__init__(message, fix=fix)
        self.code = ExitCode(code)


def ask(state_root: Path, cmd: str, args: dict[str, Any] | None = None, *, id_: str = "", wait_s: float = 0) -> Any:
    """The daemon's `result`. Raises NoDaemon, Refused, NoPermission."""
    body = _heard(state_root, cmd, args or {}, id_ or f"{os.getpid()}-{os.urandom(6).hex()}", wait_s or TIMEOUT_S)
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NoDaemon("the daemon's answer broke off", fix="look at btswarm status") from error
    if not said["ok"]:
        raise Refused(said["error"]["message"], fix=said["error"].get("fix", ""), code=said["error"]["code"])
    return said["result"]


def _heard(state_root: Path, cmd: str, args: dict[str, Any], id_: str, wait_s: float) -> bytes:
    path = state_root / SOCKET_NAME
    heard = bytearray()
    try:
        with connect(path, wait_s) as peer:
            peer.sendall(orjson.dumps({"v": 1, "id": id_, "cmd": cmd, "args": args}) + b"\n")
            while chunk := peer.recv(1 << 20):
                heard += chunk
                if len(heard) > MAX_ANSWER:
                    raise Refused(f"an answer of more than {MAX_ANSWER} bytes", fix="read the state files")
    except PermissionError as error:
        raise NoPermission(f"{path} belongs to another user", fix="use the account the daemon runs under") from error
    except TimeoutError as error:
        raise NoDaemon(
            f"the daemon did not answer within {wait_s:g} s and may still do what it was told",
            fix="btswarm query shows its last state",
        ) from error
    except OSError as error:
        raise NoDaemon(f"no daemon listens on {path}", fix="btswarm start starts one") from error
    return bytes(heard)
