"""What `start`, `stop`, `ensure` and `install` share."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...state.config import Settings
    from ..service import Kind


def parser_of(name: str, about: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"btswarm {name}", description=about)
    parser.add_argument("--config", type=Path, metavar="F", help="btswarm.toml; else searched in the usual places")
    ways = ("systemd", "supervisord", "keep")
    parser.add_argument("--via", choices=ways, help="instead of what this host is found to have")
    return parser


def refuse_unfit(settings: "Settings") -> None:
    """A plan that stands in the file and cannot begin is said now, not found out later. A file without one is fine.

    Raises BadConfig, InputGone.
    """
    from ..wishes import refuse_incomplete, refuse_missing

    plan = settings.config.plan
    if plan.symbols or plan.data_path:
        refuse_incomplete(settings.config)
        refuse_missing(settings.config)


def chosen(options: argparse.Namespace) -> "tuple[Settings, Kind]":
    """The settings, checked before anything is started, and who shall keep the daemon. Raises BadConfig."""
    from ...state.config import load
    from ..service import kind

    return load(options.config), options.via or kind()
