"""Reading `btswarm.toml`: found, checked, its roots resolved, the environment's wishes on top.

A person writes this file, so every refusal names the file, the table and key, the value, and what is allowed.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .errors import BadConfig, NoPermission
from .models.config import SYNTHETIC, Config
from .paths import Roots, config_candidates, resolve_roots

SWITCHES = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
ENABLED_VARIABLE = "SWARM_ENABLED"
ALTERNATIVES = ("literal['auto']", "constrained-int", "int")
ALLOWED = {
    "model_type": "a table",
    "dict_type": "a table",
    "tuple_type": "a list",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text in quotes",
    "finite_number": "a finite number",
    "literal_error": "{expected}",
    "too_short": "a list of at least {min_length}",
    "string_too_short": "text that is not empty",
    "string_pattern_mismatch": "made of letters, digits and . _ : / - only",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}


@dataclass(frozen=True)
class Settings:
    """What this process works with: `config` as written (paths in it made absolute), `roots` on this host."""

    config: Config
    roots: Roots
    file: Path | None
    swarm_enabled: bool


def load(named: Path | None = None, environ: Mapping[str, str] | None = None, working: Path | None = None) -> Settings:
    """The settings of this host: `named` (--config), else the first file of the search order, else the defaults.

    Raises BadConfig for a file that is named and missing, or refused; NoPermission for one that cannot be read.
    """
    environ = os.environ if environ is None else environ
    working = Path.cwd() if working is None else working
    file = find(named, environ, working)
    config = Config() if file is None else read(file)
    base = working if file is None else file.absolute().parent
    return Settings(
        config=_absolute(config, base),
        roots=resolve_roots(config.roots.model_dump(), environ, base, working),
        file=file,
        swarm_enabled=_switch(environ),
    )


def find(named: Path | None, environ: Mapping[str, str], working: Path) -> Path | None:
    """The configuration file that counts, None if there is none."""
    for candidate, required in config_candidates(named, environ, working):
        if _is_file(candidate):
            return candidate
        if required:
            raise BadConfig(f"there is no configuration file {candidate}", fix="btswarm init writes one")
    return None


def read(path: Path) -> Config:
    """Parse and check one file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NoPermission(f"{path} cannot be read ({error.strerror})", fix="choose a file you may read") from error
    except UnicodeDecodeError as error:
        raise BadConfig(
            f"{path} is not UTF-8 text (byte {error.start})", fix="btswarm init writes a good one"
        ) from error
    return parse(text, str(path))


def parse(text: str, name: str = "btswarm.toml") -> Config:
    """Check a file's text; `name` is what refusals call it."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{name} is not TOML: {error}", fix="correct that line") from error
    try:
        return Config.model_validate(_tuples(raw))
    except ValidationError as error:
        raise refusal(error, name) from error


def refusal(error: ValidationError, name: str) -> BadConfig:
    """The first thing that is wrong, in the words of the file."""
    # A misspelt key explains the missing one, so it comes first.
    errors = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    first = errors[0]
    same = [one for one in errors if _where(one) == _where(first)]
    more = f" (and {len(errors) - len(same)} more)" if len(errors) > len(same) else ""
    if first["type"] == "extra_forbidden":
        return BadConfig(f"{name}: unknown {_kind(first)} {_where(first)}{more}", fix=_nearest(first))
    return BadConfig(f"{name}: {_wrong(same)}{more}", fix="btswarm init --print shows every key and its default")


def _kind(error: ErrorDetails) -> str:
    return "key" if len(error["loc"]) > 1 else "table"


def _where(error: ErrorDetails) -> str:
    """`table.key`, the third entry of a list as `key[3]`; pydantic's own marks for alternatives are left out."""
    parts = [part for part in error["loc"] if part not in ALTERNATIVES]
    named = "".join(f".{part}" if isinstance(part, str) else f"[{part + 1}]" for part in parts)
    return named.removeprefix(".").removesuffix(".[key]")


def _wrong(errors: list[ErrorDetails]) -> str:
    first = errors[0]
    if first["type"] == "value_error":
        return first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"{_where(first)} is missing"
    allowed = " or ".join(_allowed(one) for one in errors)
    if first["loc"][-1] == "[key]":
        return f"{_where(first)}: the table's name must be {allowed}"
    return f"{_where(first)} = {_shown(first['input'])}: must be {allowed}"


def _allowed(error: ErrorDetails) -> str:
    words = ALLOWED.get(error["type"])
    return words.format(**error.get("ctx", {})) if words else error["msg"].removeprefix("Input should be ")


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _nearest(error: ErrorDetails) -> str:
    """Advice for a key nobody knows: its nearest neighbour, else the keys there are."""
    *path, key = error["loc"]
    model: type[BaseModel] = Config
    for part in path:
        if isinstance(part, str):
            model = _inner(model, part)
    known = list(model.model_fields)
    near = difflib.get_close_matches(str(key), known, n=1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"


def _inner(model: type[BaseModel], name: str) -> type[BaseModel]:
    """The model of field `name`, also when it is a tuple of tables."""
    annotation: Any = model.model_fields[name].annotation
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next(one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel))


def _tuples(value: Any) -> Any:
    """Lists as tuples all the way down, so that the frozen models are frozen indeed."""
    if isinstance(value, dict):
        return {key: _tuples(one) for key, one in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _absolute(config: Config, base: Path) -> Config:
    """The plan's and the notes' paths made absolute: a worker or a daemon reads them from another folder."""
    changes: dict[str, Any] = {}
    if config.plan.data_path not in ("", SYNTHETIC):
        path = str(base / Path(config.plan.data_path).expanduser())
        changes["plan"] = config.plan.model_copy(update={"data_path": path})
    if config.notify.markdown:
        path = str(base / Path(config.notify.markdown).expanduser())
        changes["notify"] = config.notify.model_copy(update={"markdown": path})
    return config.model_copy(update=changes)


def _switch(environ: Mapping[str, str]) -> bool:
    value = environ.get(ENABLED_VARIABLE, "").strip().lower() or "true"
    if value not in SWITCHES:
        raise BadConfig(f"{ENABLED_VARIABLE}={value!r} is neither true nor false", fix="use true or false")
    return SWITCHES[value]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise NoPermission(f"{path} cannot be looked at ({error.strerror})", fix="choose another file") from error
