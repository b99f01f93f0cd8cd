"""What is new in an observation, for agents whose matter it may not be."""

from typing import Final

from ...state.models.facts import Observation

ENDS: Final = ("exit",)


def only_ends(observation: Observation) -> bool:
    """Whether nothing has happened since the last cycle but that workers ended. Nothing else was measured anew, and the
    next tick, at which everything is, is never further away than another one."""
    return observation.woken_by == ENDS
