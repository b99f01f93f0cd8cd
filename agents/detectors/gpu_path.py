"""Whether a job that asked for a GPU runs on it, and as fast as such a device should be."""

from typing import Final

from ...state.models.config import Config
from ...state.models.facts import GpuView, JobView, Known, ProgressView, WorkerView

REFERENCE_COMBOS: Final = 250_000
REFERENCE_DAYS: Final = 730
"""`gpu.slow_prescreen_s` is the time for so many combos over so many days."""
OWN_BEST_SHARE: Final = 0.5


def fallback(job: JobView, view: WorkerView, gpu: GpuView | None) -> str:
    """Why a worker is not on the GPU that its job asked for; empty if it is, or if nobody knows."""
    if not job.spec.gpu or not isinstance(view.progress, Known):
        return ""
    progress = view.progress.known
    if progress.backend == "cpu" or progress.device.startswith("cpu"):
        return "the job asked for a GPU and reports backend=cpu"
    claimed = progress.gpu_mem_mb
    if gpu and claimed and isinstance(gpu.mem_used_mb, Known) and gpu.mem_used_mb.at > view.progress.at:
        used = gpu.mem_used_mb.known
        if used < claimed:
            return f"the worker reports {claimed} MB on a device that has {used:.0f} MB in use"
    return ""


def screened_per_s(job: JobView, progress: ProgressView) -> float | None:
    """Combos per second of a prescreen on a GPU in its work loop; None for anything else."""
    if job.spec.stage != "prescreen" or progress.phase != "batch" or progress.backend in ("", "cpu"):
        return None
    return progress.rate


def slowest_per_s(config: Config) -> float:
    """Combos per second below which a prescreen on a GPU is a regression."""
    return REFERENCE_COMBOS / config.gpu.slow_prescreen_s * REFERENCE_DAYS / config.plan.train_days


def slow(rate: float, best: float, config: Config) -> str:
    """Why a GPU prescreen is too slow; empty if it is not. `best`: the device's own, combos per second."""
    if rate < slowest_per_s(config):
        return f"{rate:.0f} combos/s, {slowest_per_s(config):.0f} are expected"
    if rate < OWN_BEST_SHARE * best:
        return f"{rate:.0f} combos/s, this device has done {best:.0f}"
    return ""
