"""A small market with a real phase-0 artifact, made once, and jobs on it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from btswarm.engine import prescreen
from btswarm.engine.bars import Bars
from btswarm.engine.progress import Silent
from btswarm.state.models.jobs import Inputs, Job, Volume

from ..market import walk

MODE = "aggressive"
DAYS = 120

MakeJob = Callable[..., Job]


@pytest.fixture(scope="session")
def bars() -> Bars:
    """Training bars as the stage gets them."""
    return walk(days=DAYS, seed=3)


def job_of(folder: Path, *, trials: int = 40, part: int | None = None, **changed: object) -> Job:
    """An optimize job that writes to `folder`."""
    name = f"r1/SOLUSDT/{MODE}/optimize" + ("" if part is None else f".{part}")
    given = {
        "job": name,
        "stage": "optimize",
        "symbol": "SOLUSDT",
        "mode": MODE,
        "out_dir": str(folder),
        "inputs": Inputs(data="unused"),
        "volume": Volume(trials=trials),
        "seed": 5,
    }
    return Job.model_validate(given | changed)


@pytest.fixture(scope="session")
def seed_dir(bars: Bars, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the artifact of a prescreen of those bars."""
    folder = tmp_path_factory.mktemp("prescreened")
    prescreen.run(job_of(folder, stage="prescreen", volume=Volume(combos=400, top_k=60)), bars, Silent())
    return folder


@pytest.fixture
def make_job(tmp_path: Path, seed_dir: Path) -> MakeJob:
    """An optimize job in tmp_path that begins at the prescreened points."""

    def made(**changed: object) -> Job:
        return job_of(tmp_path / "out", **{"inputs": Inputs(data="unused", seed_dirs=[str(seed_dir)])} | changed)  # type: ignore[arg-type]

    return made
