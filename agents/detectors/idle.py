"""Lanes that could take work and have none."""

from typing import Final

from ...state.models.facts import LaneView, Observation
from ...state.models.names import LaneKind, lane_of
from .placement import gpu_usable

GONE: Final = frozenset(("reaped", "failed"))


def open_lanes(observation: Observation, kind: LaneKind) -> list[LaneView]:
    """Open ones of this kind that the utilisation controller counts: those for command jobs are apart."""
    return [
        lane
        for lane in observation.lanes.values()
        if lane.kind == kind and lane.state == "open" and lane.role != "command"
    ]


def free_lanes(observation: Observation, kind: LaneKind) -> list[LaneView]:
    """Open ones without a worker, not held, on a device that is well."""
    lanes = open_lanes(observation, kind)
    if not lanes:
        return []
    taken = {lane_of(name) for name, view in observation.workers.items() if view.record.state not in GONE}
    return [
        lane
        for lane in lanes
        if lane.lane not in taken and lane.hold is None and (kind == "cpu" or gpu_usable(observation, lane.gpu_uuid))
    ]
