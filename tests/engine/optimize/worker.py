"""A real worker on a real study with a cheap objective, for the tests that kill it: `python -m ... FOLDER URL PART N`.

It appends one line to FOLDER/told.<pid> after every trial it told, so that a test knows what must not be lost.
"""

import os
import sys
from pathlib import Path

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution

from btswarm.engine.storage import place
from btswarm.engine.study import Nothing, Study, Workers

DISTRIBUTIONS = {"x": FloatDistribution(-10, 10), "kind": CategoricalDistribution((1, 2, 3))}


def open_study(folder: Path, url: str, workers: Workers) -> Study:
    """As the stage does it, with a sampler that costs nothing."""
    where = place(url, folder)
    with workers.alone():
        opened = optuna.create_study(study_name="s", storage=where.open(), direction="maximize", load_if_exists=True)
    opened.sampler = optuna.samplers.RandomSampler(seed=workers.part)
    return Study(opened, workers, DISTRIBUTIONS, shared=where.is_server)


def work(folder: Path, url: str, part: int, total: int) -> None:
    """Tell trials until `total` are told."""
    with Workers(place(url, folder).locks, part) as workers:
        study = open_study(folder, url, workers)
        study.enqueue_once("seeded", [({"x": float(i), "kind": 1}, {"seed": i}) for i in range(5)], {"n": 5})
        descriptor = os.open(folder / f"told.{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        while (claimed := study.claim(total)) is not Nothing.DONE:
            if isinstance(claimed, Nothing):
                continue
            point = study.suggest(claimed)
            if point and study.tell(claimed, point["x"], {"x": point["x"]}, {"c": -1.0}):
                os.write(descriptor, b"%d\n" % claimed.number)


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
