"""The texts of systemd/ with this host's paths in them."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..state.config import Settings
from ..state.errors import BadConfig
from ..state.paths import VARIABLES, VENV_VARIABLE

TEMPLATES: Final = Path(__file__).resolve().parent.parent / "systemd"
KEPT: Final = (*VARIABLES.values(), VENV_VARIABLE, "SWARM_ENABLED")
"""Variables that mean something to the daemon and would not reach it through a service manager; never a credential."""


@dataclass(frozen=True)
class Filling:
    """`folders`: what the daemon writes; they must exist before systemd makes everything else read-only. `user`: whom
    it runs as, empty for whoever the manager runs as."""

    python: str
    config: Path | None
    state: Path
    logs: Path
    folders: tuple[Path, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str] | None = None) -> "Filling":
        environ = os.environ if environ is None else environ
        roots = settings.roots
        python = str(roots.venv / "bin" / "python") if roots.venv else sys.executable
        folders = (roots.root, roots.results, roots.state, roots.logs, roots.knowledge)
        kept = {name: str(Path(environ[name]).absolute()) if name in VARIABLES.values() else environ[name]
                for name in KEPT if environ.get(name)}  # fmt: skip
        file = settings.file.absolute() if settings.file else None
        return cls(python, file, roots.state, roots.logs, tuple(dict.fromkeys(folders)), kept)


def fill(name: str, filling: Filling, manager: str) -> str:
    """The file `name` of systemd/ for this host."""
    quote = _quoted if manager == "systemd" else _in_supervisord
    environment = {**filling.environment, "TMPDIR": str(filling.state)}
    if manager == "systemd":
        kept = "\n".join(f"Environment={quote(f'{key}={value}')}" for key, value in environment.items())
    else:
        kept = ",".join(f"{key}={_in_supervisord(value)}" for key, value in environment.items())
    words = {
        "PYTHON": quote(filling.python),
        "CONFIG": f"--config {quote(str(filling.config))}" if filling.config else "",
        "STATE": _plain(filling.state, manager),
        "LOGS": _plain(filling.logs, manager),
        "ROOTS": " ".join(quote(str(folder)) for folder in filling.folders),
        "ENVIRONMENT": kept,
        "USER": f"{'User' if manager == 'systemd' else 'user'}={filling.user}" if filling.user else "",
    }
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    return re.sub(r"@([A-Z]+)@", lambda found: words[found[1]], text)


def _quoted(text: str) -> str:
    """A word of a unit file: percent and dollar mean themselves, white space and quotes do not end it."""
    if any(ord(character) < 32 for character in text):
        raise BadConfig(f"{text!r} cannot stand in a unit file", fix="choose a path without control characters")
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if re.search(r"[\s'\"\\;]", text) else text


def _plain(path: Path, manager: str) -> str:
    """A whole value: systemd and supervisord expand percent signs in it and nothing else."""
    if any(ord(character) < 32 for character in str(path)):
        raise BadConfig(f"{str(path)!r} cannot stand in a file of {manager}", fix="choose another path")
    return str(path).replace("%", "%%")


def _in_supervisord(text: str) -> str:
    if any(ord(character) < 32 or character == '"' for character in text):
        raise BadConfig(f"{text!r} cannot stand in supervisord's configuration", fix="choose a path without quotes")
    return '"' + text.replace("\\", "\\\\").replace("%", "%%") + '"'
