"""What `validation.json` says, for the sections that show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bars import Bars
from ..strategies.api import Params


@dataclass(frozen=True)
class HoldOut:
    """Bar indexes of the hold-out that was looked at."""

    start: int
    stop: int


def read_validation(path: Path) -> Mapping[str, Any] | None:
    return None


def hold_out_of(
    validation: Mapping[str, Any] | None, params: Params, leverage: float, bars: Bars, training: Bars
) -> HoldOut | None:
    return None
