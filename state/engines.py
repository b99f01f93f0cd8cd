"""What `--engine` and `--gpu` mean together: two ways to say the same, which may not contradict each other."""

from typing import Literal

from .driver import trouble
from .errors import BadConfig

Engine = Literal["auto", "cpu", "gpu"]
ENGINES: tuple[Engine, ...] = ("auto", "cpu", "gpu")
CPU = -1


def wanted(engine: str = "auto", gpu: int | None = None) -> Engine:
    """`auto` where nothing decides. Raises BadConfig for what is unknown or contradicts itself."""
    if engine not in ENGINES:
        raise BadConfig(f"--engine {engine!r} is unknown", fix=f"choose one of {', '.join(ENGINES)}")
    if gpu is not None and gpu < CPU:
        raise BadConfig(f"--gpu {gpu} is no device", fix="give its number from 0 on, or -1 for the CPU")
    if engine == "gpu" and gpu == CPU:
        raise BadConfig("--engine gpu and --gpu -1 contradict each other", fix="leave one of them out")
    if engine == "cpu" and gpu is not None and gpu > CPU:
        raise BadConfig(f"--engine cpu and --gpu {gpu} contradict each other", fix="leave one of them out")
    if engine == "cpu" or gpu == CPU:
        return "cpu"
    return "auto" if engine == "auto" and gpu is None else "gpu"


def gpu_missing(gpu: int = 0) -> str:
    """Why this GPU cannot screen; empty if nothing is known against it."""
    return trouble(gpu)
