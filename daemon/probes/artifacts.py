"""What workers left behind: whether a file they name can be used by whoever comes next."""

from pathlib import Path

import orjson

from ..ports import Files


def fault(files: Files, path: Path) -> str:
    """Why an artifact is not valid; empty when it is: there, not empty and, if its name says JSON, JSON."""
    try:
        if path.suffix != ".json":
            return "" if files.stat(path).size else f"{path} is empty"
        orjson.loads(files.read(path))
    except OSError as error:
        return f"{path}: {error.strerror}"
    except orjson.JSONDecodeError as error:
        return f"{path} is not JSON: {error}"
    return ""
