"""The plan that a person launched, laid over the configuration file."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import ValidationError

from .config import refusal
from .errors import BadConfig
from .models.config import Config

TABLES: Final = ("plan", "volume", "costs", "space", "command")
INLINE_BYTES: Final = 2048
"""A plan up to here is remembered by one line of the event log, a larger one by a file that the line names."""
MAX_BYTES: Final = 48 << 10
"""A command is one line of at most 64 KB."""


def tables_of(config: Config) -> dict[str, Any]:
    """The tables of a plan with the keys that a person wrote into the file."""
    said = config.model_dump(mode="json", exclude_unset=True, include=set(TABLES))
    return {name: table for name, table in said.items() if table}


def digest(plan: Mapping[str, Any]) -> str:
    """sha256 of a plan's canonical JSON."""
    return hashlib.sha256(canonical_bytes(plan)).hexdigest()


def identity(wanted: Config) -> str:
    """Of the search that a configuration asks for, however much of it was written out. Commands are no part of it."""
    return digest(wanted.model_dump(mode="json", include=set(TABLES) - {"command"}))


def overlay(config: Config, plan: Mapping[str, Any]) -> Config:
    """The configuration in force: `config`, and over it the keys that `plan` (tables by name) sets.

    Costs a validation: to be kept until one of the two changes. Raises BadConfig where they contradict each other.
    """
    if not plan:
        return config
    tables = orjson.loads(config.model_dump_json())
    for name, wanted in orjson.loads(canonical_bytes(plan)).items():
        tables[name] = {**tables[name], **wanted} if isinstance(wanted, dict) and name != "space" else wanted
    try:
        return Config.model_validate_json(orjson.dumps(tables))
    except ValidationError as error:
        raise refusal(error, "the plan") from error


def refuse_oversized(plan: Mapping[str, Any]) -> None:
    """Raises BadConfig for a plan that no command can carry."""
    if (size := len(canonical_bytes(plan))) > MAX_BYTES:
        raise BadConfig(
            f"the plan takes {size} bytes, {MAX_BYTES} is the most a command may carry",
            fix="write it into the daemon's btswarm.toml, reload, and launch without a plan",
        )


def canonical_bytes(plan: Mapping[str, Any]) -> bytes:
    """JSON that is the same for the same plan."""
    return orjson.dumps(plan, option=orjson.OPT_SORT_KEYS)
