"""Several workers on one study from one command: this process is part 0, the others are worker processes.

They are equals: each claims trials until all are told, and what a dead one had claimed is taken over. So this process
neither waits for them nor depends on them, and when it ends they end.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson

from ..state.files import make_folder, write_atomic
from ..state.models.jobs import Job
from . import optimize
from .bars import Bars
from .optimize import Timings
from .progress import Reporter

FOLDER = ".parts"
JOB_FILE = "job.json"
PARENT_VARIABLE = "BTSWARM_PARENT_PID"


def run(job: Job, bars: Bars, report: Reporter, workers: int, *, timings: Timings | None = None) -> list[Path]:
    """`optimize.run` with `workers` processes in all. `bars`: the training bars, as the job's own data and days give."""
    with helpers(job, workers - 1):
        return optimize.run(part(job, 0) if workers > 1 else job, bars, report, timings=timings)


def part(job: Job, number: int) -> Job:
    """The job of one worker of a study."""
    return job.model_copy(update={"job": f"{optimize.PART.sub('', job.job)}.{number}", "worker": f"part{number}"})


@contextmanager
def helpers(job: Job, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start `count` workers on the parts from 1 on; they are ended with the block, the trials in flight handed on."""
    started = []
    try:
        for number in range(1, count + 1):
            folder = make_folder(Path(job.out_dir) / FOLDER / str(number))
            path = folder / JOB_FILE
            write_atomic(path, orjson.dumps(part(job, number).model_dump()), sync=False)
            started.append(_start(path))
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(job.limits.stop_grace_s)
            process.kill()
            process.wait()


def _start(path: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, PARENT_VARIABLE: str(os.getpid()), "CUDA_VISIBLE_DEVICES": ""}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-m", "btswarm.engine.worker", str(path)],
        env=environment,
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
    )
