"""Where things lie when nobody says otherwise. Standard library only, and little of it: light commands start here."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .errors import BadConfig, NoPermission

CONFIG_NAME = "btswarm.toml"
SYSTEM_CONFIG = Path("/etc/btswarm") / CONFIG_NAME
RENTED_HOST = Path("/workspace")  # the volume that a Vast.ai container keeps across restarts
RENTED_ROOT = "backtests_new"
LEDGER_NAME = "search_ledger.jsonl"

CONFIG_VARIABLE = "BTSWARM_CONFIG"
VENV_VARIABLE = "VENV_PATH"
VARIABLES = {
    "results": "RESULTS_ROOT",
    "state": "STATE_ROOT",
    "logs": "LOGS_ROOT",
    "knowledge": "KNOWLEDGE_ROOT",
}


WRITTEN = {
    "root": "auto",
    "results": "{root}",
    "state": "{root}/state",
    "logs": "{root}/logs",
    "knowledge": "{root}/docs/reference",
    "venv": "",
}
"""The table `roots` of btswarm.toml when nothing is written there."""


class Roots(NamedTuple):  # a dataclass would cost a light command a third of its time
    """Absolute folders of this host; nothing is created here."""

    root: Path
    results: Path
    state: Path
    logs: Path
    knowledge: Path
    venv: Path | None

    @property
    def ledger(self) -> Path:
        """The append-only list of every search and every look at a hold-out."""
        return self.state / LEDGER_NAME


def default_root(rented_host: Path = RENTED_HOST) -> Path:
    """The root that `roots.root = "auto"` stands for on this host."""
    if rented_host.is_dir():
        return rented_host / RENTED_ROOT
    return _home(Path("~/.local/state/btswarm"))


def resolve_roots(written: Mapping[str, str], environ: Mapping[str, str], base: Path, working: Path) -> Roots:
    """The roots of a configuration file in folder `base`, overridden by `environ` (relative to `working`).

    Raises BadConfig for a placeholder that does not exist, or a home folder that cannot be found.
    """
    root = default_root() if written["root"] == "auto" else base / _home(Path(_expand(written["root"], "root", "")))
    folders = {
        name: _named(environ, variable, working) or base / _home(Path(_expand(written[name], name, str(root))))
        for name, variable in VARIABLES.items()
    }
    venv = environ.get(VENV_VARIABLE) or _expand(written["venv"], "venv", str(root))
    return Roots(root=root, venv=venv_folder(working / _home(Path(venv))) if venv else None, **folders)


def locate(named: Path | None, environ: Mapping[str, str], working: Path) -> Roots:
    """The roots of this host, from the one table of the configuration file that tells them; the rest is not looked at.

    Raises BadConfig for a file that is named and missing, or is not TOML; NoPermission for one that may not be read.
    """
    for candidate, required in config_candidates(named, environ, working):
        try:
            text = candidate.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            if required:
                raise BadConfig(f"there is no configuration file {candidate}", fix="btswarm init writes one") from error
        except PermissionError as error:
            raise NoPermission(f"{candidate} cannot be read ({error.strerror})", fix="choose another file") from error
        except (OSError, UnicodeDecodeError) as error:
            raise BadConfig(f"{candidate} cannot be read ({error})", fix="choose a file you may read") from error
        else:
            return resolve_roots({**WRITTEN, **_table(text, candidate)}, environ, candidate.parent, working)
    return resolve_roots(WRITTEN, environ, working, working)


def _table(text: str, file: Path) -> dict[str, str]:
    if "roots" not in text:
        return {}  # and a parser need not be loaded

    import tomllib

    try:
        table = tomllib.loads(text).get("roots", {})
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{file} is not TOML: {error}", fix="correct that line") from error
    if not isinstance(table, dict) or any(not isinstance(value, str) for value in table.values()):
        raise BadConfig(f"{file}: the entries of roots must be text in quotes", fix="btswarm init --print shows them")
    return table


def venv_folder(path: Path) -> Path:
    """The virtual environment that `path`, its folder or its `bin/activate`, belongs to."""
    return path.parent.parent if path.name.startswith("activate") and path.parent.name == "bin" else path


def existing_logs_root(environ: Mapping[str, str]) -> Path | None:
    """The logs root as far as it is known without reading the configuration; None where no swarm ever logged."""
    try:
        folder = _named(environ, VARIABLES["logs"], Path.cwd())
        if folder is None and (default_root() / "logs").is_dir():
            folder = default_root() / "logs"
    except (BadConfig, OSError):
        return None
    return folder


def config_candidates(named: Path | None, environ: Mapping[str, str], working: Path) -> list[tuple[Path, bool]]:
    """Where `btswarm.toml` is looked for, in order; the flag says that the file was named and so must exist."""
    if named is not None:
        return [(working / _home(named), True)]
    if variable := _named(environ, CONFIG_VARIABLE, working):
        return [(variable, True)]
    results = _named(environ, VARIABLES["results"], working) or default_root()
    return [(working / CONFIG_NAME, False), (results / CONFIG_NAME, False), (SYSTEM_CONFIG, False)]


def _named(environ: Mapping[str, str], variable: str, working: Path) -> Path | None:
    value = environ.get(variable)
    return working / _home(Path(value)) if value else None


def _expand(text: str, key: str, root: str) -> str:
    expanded = text.replace("{root}", root) if root else text
    if "{" in expanded.replace(root, "") or "\0" in expanded:
        raise BadConfig(f"roots.{key} = {text!r}: the only placeholder is {{root}}", fix="write the path out")
    return expanded


def _home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise BadConfig(f"{path}: this user has no home folder", fix="set roots.root to an absolute path") from error
