"""One line that came over the control socket, checked: what is asked, or why it is refused."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import BaseModel, ValidationError

from ..state.errors import BadConfig, BtswarmError
from ..state.models.commands import ARGS, VERSION, Request

MAX_LINE: Final = 64 * 1024
UNKNOWN_ID: Final = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command that passed the door. `args` are what the sender wrote, `checked` the same as a model."""

    id: str
    cmd: str
    args: Mapping[str, Any]
    checked: BaseModel


def read_request(line: bytes) -> Asked:
    """Raises BadConfig, whose `id_of` the sender finds in the answer."""
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadConfig(f"the command is not JSON: {error}", fix="send one line of JSON") from error
    if not isinstance(body, dict):
        raise BadConfig("the command is no JSON object", fix='send {"v":1,"id":"..","cmd":"..","args":{}}')
    if isinstance(v := body.get("v"), int) and v > VERSION:
        raise BadConfig(f"the command is of version {v}, this daemon speaks {VERSION}", fix="use this daemon's btswarm")
    request = _checked(Request, body, "the command")
    if request.cmd not in ARGS:
        near = difflib.get_close_matches(request.cmd, ARGS, n=1)
        raise BadConfig(f"there is no command {request.cmd!r}", fix=f"did you mean {near[0]}?" if near else _all())
    return Asked(request.id, request.cmd, request.args, _checked(ARGS[request.cmd], request.args, request.cmd))


def id_of(line: bytes) -> str:
    """The sender's id, as far as it can be made out of a line that may be refused."""
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError:
        return UNKNOWN_ID
    found = body.get("id") if isinstance(body, dict) else None
    return found[:64] if isinstance(found, str) else UNKNOWN_ID


def answer(id_: str, seq: int, result: bytes) -> bytes:
    """`result` is JSON already."""
    return b"".join(
        (b'{"v":1,"id":', orjson.dumps(id_), b',"ok":true,"seq":', str(seq).encode(), b',"result":', result, b"}\n")
    )


def refusal(id_: str, error: BtswarmError) -> bytes:
    said = {"code": int(error.code), "message": " ".join(error.message.split()), "fix": error.fix}
    return orjson.dumps({"v": 1, "id": id_, "ok": False, "error": said}) + b"\n"


def _checked(model: Any, body: Any, name: str) -> Any:
    try:
        # As JSON: in it lists are the only sequences, and a strict model takes them for tuples.
        return model.model_validate_json(orjson.dumps(body))
    except ValidationError as error:
        raise BadConfig(f"{name}: {_wrong(error, model)}") from error


def _wrong(error: ValidationError, model: type[BaseModel]) -> str:
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"unknown key {where}" + ("" if "." in where else f"; known: {', '.join(model.model_fields) or 'none'}")
    said = first["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said


def _all() -> str:
    return f"there are {', '.join(sorted(ARGS))}"
