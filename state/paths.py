"""Where things lie when nobody says otherwise. Standard library only: the front door uses it too."""

from collections.abc import Mapping
from pathlib import Path

CONFIG_NAME = "btswarm.toml"
SYSTEM_CONFIG = Path("/etc/btswarm") / CONFIG_NAME
RENTED_HOST = Path("/workspace")  # the volume a Vast.ai container keeps across restarts
RENTED_ROOT = "backtests_new"

CONFIG_VARIABLE = "BTSWARM_CONFIG"
RESULTS_VARIABLE = "RESULTS_ROOT"
LOGS_VARIABLE = "LOGS_ROOT"


def default_root(rented_host: Path = RENTED_HOST) -> Path:
    """The root that `roots.root = "auto"` stands for on this host."""
    if rented_host.is_dir():
        return rented_host / RENTED_ROOT
    return Path("~/.local/state/btswarm").expanduser()


def existing_logs_root(environ: Mapping[str, str]) -> Path | None:
    """The logs root as far as it is known without reading the configuration; None where no swarm ever logged."""
    if named := environ.get(LOGS_VARIABLE):
        return Path(named).expanduser()
    folder = default_root() / "logs"
    return folder if folder.is_dir() else None


def config_candidates(named: Path | None, environ: Mapping[str, str], working: Path) -> list[tuple[Path, bool]]:
    """Where `btswarm.toml` is looked for, in order; the flag says that the file was named and so must exist."""
    if named is not None:
        return [(named, True)]
    if variable := environ.get(CONFIG_VARIABLE):
        return [(Path(variable).expanduser(), True)]
    results = Path(environ.get(RESULTS_VARIABLE) or default_root()).expanduser()
    return [(working / CONFIG_NAME, False), (results / CONFIG_NAME, False), (SYSTEM_CONFIG, False)]
