"""How much of the host is at work for us."""

from typing import Final

from ...state.models.facts import Observation
from ...state.models.readings import Known, Missing, Reading

BLIND_PCT: Final = 99.0
"""When others use more than this, ours says nothing."""


def cpu_pct(observation: Observation) -> Reading[float]:
    """CPU time of our workers as a percentage of what other processes and steal leave us, over the last 60 s."""
    ours, others = observation.host.cpu_ours, observation.host.cpu_others
    if isinstance(ours, Missing):
        return ours
    if isinstance(others, Missing):
        return others
    if others.known >= BLIND_PCT:
        return Missing("other processes use the whole CPU", others.at)
    # The two are read a moment apart, so on a busy host the quotient may come out above the whole.
    return Known(min(100.0, 100.0 * ours.known / (100.0 - others.known)), ours.at)


def gpu_pct(observation: Observation) -> Reading[float]:
    """The mean of all devices."""
    values: list[float] = []
    for gpu in observation.gpus.values():
        if isinstance(gpu.util_pct, Missing):
            return gpu.util_pct
        values.append(gpu.util_pct.known)
    return Known(sum(values) / len(values), observation.mono) if values else Missing("no GPU", observation.mono)
