"""The text of a `btswarm.toml` that says every default and what it means, made from the models."""

import json
from typing import Any

from pydantic import BaseModel

from .models.config import Config, Table

HEAD = """\
# btswarm.toml: everything here is a default; what you delete stays as it is.
# Looked for at --config, $BTSWARM_CONFIG, ./btswarm.toml, <results>/btswarm.toml, /etc/btswarm/btswarm.toml.
# Names end in their unit: _s seconds, _ms milliseconds, _mb MiB, _pct percent, _days days.
"""

EXAMPLES = """\
# Another parameter space for one mode: ranges are inclusive, exits in units of 0.0001.
# [space.aggressive]
# leverage = 2
# fast_tf = [15, 30]
# slow_period = [50, 200]
# max_drawdown = 0.4

# Your own program, run in the swarm's spare room.
# [[command]]
# name = "fill"
# argv = ["sleep", "60"]
# copies = 1
# lane = "cpu"
# restart = "always"
# cpus = 0.0
# mem_mb = 16
# pids = 8
"""


def template() -> str:
    """The whole file."""
    defaults = Config()
    tables = [(name, getattr(defaults, name)) for name in Config.model_fields]
    parts = [_table(name, value) for name, value in tables if isinstance(value, Table)]
    return "\n".join([HEAD, *parts, EXAMPLES])


def _table(name: str, table: Table) -> str:
    about = [f"# {line}".rstrip() for line in _dedented(type(table)) if line]
    lines = [_line(table, key) for key in type(table).model_fields]
    return "\n".join([*about, f"[{name}]", *lines, ""])


def _line(table: Table, key: str) -> str:
    said = type(table).model_fields[key].description
    assignment = f"{key} = {toml(getattr(table, key))}"
    return f"{assignment}  # {said}" if said else assignment


def _dedented(model: type[BaseModel]) -> list[str]:
    return [line.strip() for line in (model.__doc__ or "").splitlines()]


def toml(value: Any) -> str:
    """A default as TOML writes it."""
    if isinstance(value, Table):
        inner = ", ".join(f"{key} = {toml(getattr(value, key))}" for key in type(value).model_fields)
        return f"{{ {inner} }}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}" if value >= 10_000 else str(value)
    return json.dumps(value)
