"""What it takes to compute this page again: parameters, costs, data, seeds, versions and the command."""

from typing import Any

from ..sheet import Sheet


def view(sheet: Sheet) -> dict[str, Any]:
    """Rows of label and text, files to write, the command to run."""
    return {
        "title": "Reproduction" if not sheet.listed else "How the list was read",
        "about": [sheet.reproduction.note] if sheet.reproduction.note else [],
        "rows": sheet.reproduction.rows,
        "files": sheet.reproduction.files,
        "command": sheet.reproduction.command,
    }
