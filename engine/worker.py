"""A worker: one subprocess doing one job. `python -m btswarm.engine.worker JOB.json`

It reads the job, runs its stage, says in `progress.json` how far it is and, as its last act, in `exit.json` how it
ended. TERM asks it to stop: it leaves a checkpoint and exits 75. INT, or a second TERM, writes the stacks of all
threads to stderr and ends it at once.
"""

import contextlib
import ctypes
import faulthandler
import os
import resource
import signal
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import orjson
from pydantic import ValidationError

from ..state.errors import BadConfig, BtswarmError, ExitCode, FailureClass, GateFailed, InputGone
from ..state.files import explain, write_atomic
from ..state.models.jobs import VERSION, Exit, Job, Stage
from ..state.results import ROUNDS
from .reporters import Lines, ProgressFile, Relay
from .stages import market_of, run_stage
from .stopping import Stop

PROGRESS, EXIT = "progress.json", "exit.json"
FOLDER_VARIABLE = "BTSWARM_WORKER_DIR"
PARENT_VARIABLE = "BTSWARM_PARENT_PID"
PR_SET_PDEATHSIG = 1


@dataclass
class Worker:
    """What the last act has to tell. `folder`: where `progress.json` and `exit.json` go."""

    folder: Path
    stop: Stop = field(default_factory=Stop)
    job: Job | None = None
    progress: ProgressFile | None = None
    artifacts: list[Path] = field(default_factory=list)

    def run(self, path: Path) -> None:
        """Do the job. Raises whatever ends it."""
        self.job = job = read_job(path)
        self.progress = ProgressFile(self.folder / PROGRESS, job.worker)
        report = Relay(self.stop, self.progress, Lines(sys.stdout))
        report.phase("start")
        report.phase("load")
        bars = market_of(job)
        self.stop.check()
        try:
            self.artifacts = run_stage(job, bars, report)
        except GateFailed:
            _publish(job, "validate")
            raise
        _publish(job, "report")

    def leave(
        self, code: int, failure: FailureClass, message: str = "", fix: str = "", batch: int | None = None
    ) -> int:
        """Write `exit.json` and return the code. A disk that refuses does not change how it ended."""
        progress = self.progress
        last = Exit(
            worker=self.job.worker if self.job else "",
            code=code,
            class_=failure,
            message=message,
            fix=fix,
            steps=progress.steps if progress else 0,
            checkpoint=progress.meter.checkpoint if progress else None,
            artifacts=[str(path) for path in self.artifacts],
            peak_mem_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            peak_gpu_mb=progress.peak_gpu_mb if progress else 0,
            batch=batch,
        )
        with contextlib.suppress(BtswarmError):
            write_atomic(self.folder / EXIT, orjson.dumps(last.model_dump(by_alias=True)))
        if message:
            sys.stderr.write(f"btswarm worker: {message}{'; ' if fix else ''}{fix}\n")
        return code


def _publish(job: Job, last: Stage) -> None:
    """After the last stage the folder of a round is the published view, if it is the best so far."""
    folder = Path(job.out_dir).absolute()
    if job.stage != last or len(folder.parents) < 5 or folder.parents[3].name != ROUNDS:
        return
    from .publish import publish

    publish(folder.parents[4], folder, folder.parent.name, folder.name)


def main(argv: list[str]) -> int:
    """Run the job in the file `argv[0]`; returns the exit code. The one broad except of a worker is here."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -m btswarm.engine.worker JOB.json\n")
        return ExitCode.BAD_CONFIG
    path = Path(argv[0])
    worker = Worker(Path(os.environ.get(FOLDER_VARIABLE) or path.absolute().parent))
    end_with_parent()
    listen(worker)
    try:
        worker.run(path)
    except GateFailed as error:
        return worker.leave(ExitCode.OK, error.failure, error.message, error.fix)  # the artifact is there: it was done
    except BtswarmError as error:
        return worker.leave(error.code, error.failure, error.message, error.fix, getattr(error, "batch", None))
    except MemoryError:
        return worker.leave(ExitCode.HOST_OOM, FailureClass.HOST_OOM, "out of memory", "use a smaller volume")
    except OSError as error:
        traceback.print_exc()
        told = explain(error, Path(error.filename or worker.folder))
        return worker.leave(told.code, told.failure, told.message, told.fix)
    except Exception as error:  # noqa: BLE001  a crash must still be told
        traceback.print_exc()
        return worker.leave(ExitCode.BUG, FailureClass.CRASH, f"{type(error).__name__}: {error}")
    return worker.leave(ExitCode.OK, FailureClass.DONE)


def read_job(path: Path) -> Job:
    """The job in `path`. Raises InputGone when there is none, BadConfig naming the field when it is refused."""
    try:
        raw = orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputGone(f"there is no job file {path}") from error
    except OSError as error:
        raise explain(error, path) from error
    except orjson.JSONDecodeError as error:
        raise BadConfig(f"{path} is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise BadConfig(f"{path} holds no job")
    if isinstance(raw.get("v"), int) and raw["v"] > VERSION:
        raise BadConfig(f"{path} is a job of version {raw['v']}, this program knows {VERSION}", fix="upgrade btswarm")
    try:
        return Job.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadConfig(f"{path}: {where}: {first['msg']}") from error


def listen(worker: Worker) -> None:
    """TERM raises the flag; a second one, or INT, shows all stacks and ends the process."""
    faulthandler.enable()

    def on_term(number: int, _frame: FrameType | None) -> None:
        if worker.stop:
            faulthandler.dump_traceback()
            on_int(number, None)
        worker.stop.raise_flag(signal.Signals(number).name)

    def on_int(_number: int, _frame: FrameType | None) -> None:
        os._exit(worker.leave(ExitCode.STOPPED, FailureClass.STOPPED, "stopped at once"))

    signal.signal(signal.SIGTERM, on_term)
    signal.signal(signal.SIGINT, on_int)
    # The dump is written by C code, so it works while no Python code runs; then the handler above gets its turn.
    faulthandler.register(signal.SIGINT, chain=True)


def end_with_parent() -> None:
    """In the foreground a worker must not outlive the run that started it, however that ends."""
    parent = os.environ.get(PARENT_VARIABLE)
    if not parent:
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):
        os._exit(ExitCode.STOPPED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
