"""`btswarm init`: write a commented btswarm.toml with every default."""

import argparse
from pathlib import Path

from ...state.config_text import template
from ...state.errors import BadConfig
from ...state.files import make_folder, write_atomic
from ...state.paths import CONFIG_NAME


def main(argv: list[str]) -> int:
    """0; 64 when the file exists already."""
    options = _parser().parse_args(argv)
    if options.print:
        print(template(), end="")
        return 0
    path = options.path / CONFIG_NAME if options.path.is_dir() else options.path
    if path.exists() and not options.force:
        raise BadConfig(f"{path} exists already", fix="--force replaces it, --print shows the defaults")
    make_folder(path.parent)
    write_atomic(path, template().encode())
    print(f"wrote {path}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm init", description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, default=Path(CONFIG_NAME), help="file or folder (%(default)s)")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument("--print", action="store_true", help="print it and write nothing")
    return parser
