"""Which format a file's name promises. Imports nothing, for the decoder's process starts often."""

from pathlib import Path

COMPRESSED = ".gz"
FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".feather": "feather",
    ".arrow": "feather",
    ".ipc": "feather",
    ".csv": "csv",
    ".json": "json",
}


def format_of(path: Path) -> str | None:
    """`parquet`, `feather`, `csv` or `json` by the suffix (`.gz` aside), else None."""
    name = path.with_suffix("") if path.suffix.lower() == COMPRESSED else path
    return FORMATS.get(name.suffix.lower())


def stem(path: Path) -> str:
    """The file's name without format and compression: `SOL_USDT-5m` of `SOL_USDT-5m.json.gz`."""
    name = path.with_suffix("") if path.suffix.lower() == COMPRESSED else path
    return name.stem if name.suffix.lower() in FORMATS else name.name
