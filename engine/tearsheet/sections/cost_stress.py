"""stub"""

from typing import Any

from ..sheet import Sheet


def view(sheet: Sheet) -> dict[str, Any] | None:
    return None
