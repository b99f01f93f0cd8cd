"""Less of the same: what a job gets that took too long, or whose batch did not fit the device."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ...state.models.config import VolumeTable
from ...state.models.records import JobSpec

SIZES: Final[Mapping[str, Mapping[str, int]]] = {
    "prescreen": {"combos": 1000},
    "optimize": {"trials": 10},
    "validate": {"paths": 50, "permutations": 19},
}
"""By stage, the fields that make it long, each with the least that still means something."""
LEAST_BATCH: Final = 256
UNKNOWN_BATCH: Final = 32_768
"""Taken for the size that failed when its worker could not say it any more."""


def halved(spec: JobSpec, defaults: VolumeTable) -> dict[str, int] | None:
    """The volume of a job half as long; None if it cannot be halved and still mean something."""
    sizes = SIZES.get(spec.stage, {})
    now = {name: spec.volume.get(name, getattr(defaults, name)) for name in sizes}
    smaller = {name: max(least, now[name] // 2) for name, least in sizes.items()}
    if not smaller or all(smaller[name] >= now[name] for name in smaller):
        return None
    return {**spec.volume, **{name: min(now[name], smaller[name]) for name in smaller}}


def half_batch(spec: JobSpec, failed: int | None) -> dict[str, int] | None:
    """The volume with half the batch that ran out of memory, None below the least. `failed`: its size, if known."""
    batch = failed or spec.volume.get("batch") or UNKNOWN_BATCH
    if batch // 2 < LEAST_BATCH:
        return None
    return {**spec.volume, "batch": batch // 2}


def smaller(spec: JobSpec, volume: Mapping[str, int], learned_gpu_mb: int = 0) -> JobSpec:
    """The job with another volume; `learned_gpu_mb` becomes its claim on the device if it is more."""
    claims = replace(spec.claims, gpu_mem_mb=max(spec.claims.gpu_mem_mb, learned_gpu_mb))
    return replace(spec, volume=dict(volume), claims=claims)
