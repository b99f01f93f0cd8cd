"""Payloads of older versions made into today's, step by step. Newer ones are refused before they come here.

A step takes a payload's JSON of version n and returns that of version n+1; it is added here, together with golden files
of version n in the tests, whenever a state file changes its form.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from .errors import StorageBroken
from .peek import VERSION

Step = Callable[[dict[str, Any]], dict[str, Any]]
STEPS: Final[Mapping[tuple[str, int], Step]] = {}
"""(schema, version) -> the step to version + 1. Where there is none the form did not change."""


def migrate(
    schema: str,
    version: int,
    payload: dict[str, Any],
    steps: Mapping[tuple[str, int], Step] = STEPS,
    to: int = VERSION,
) -> dict[str, Any]:
    """The payload as version `to` writes it. Raises StorageBroken for a version there never was."""
    if not 1 <= version <= to:
        raise StorageBroken(f"state of version {version} cannot be read", fix="use the build that wrote it")
    for number in range(version, to):
        if step := steps.get((schema, number)):
            payload = step(payload)
    return payload
