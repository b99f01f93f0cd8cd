"""Several workers on one stage, for as long as this process lives.

Each part is one subprocess in a process group of its own, so that a terminal's Ctrl-C reaches only this process, which
then asks them to stop. The kernel kills them when this process dies. A worker that dies is replaced, so often.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import orjson

from ..state.errors import (
    BadConfig,
    BadData,
    BtswarmError,
    CannotWrite,
    ExitCode,
    FailureClass,
    GpuUnavailable,
    InputGone,
    NoPermission,
    StorageBroken,
)
from ..state.files import make_folder, write_atomic
from ..state.models.jobs import Exit, Job, Progress
from .progress import Reporter
from .worker import EXIT, FOLDER_VARIABLE, PARENT_VARIABLE, PROGRESS

JOB = "job.json"
FOLDER = ".workers"
POLL_S = 0.1
CREDITS = 5  # replacements of one stage
POISON = 3  # deaths in a row without a step more than ever before
INT_GRACE_S = 3.0
KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "VIRTUAL_ENV",
)
KEPT_PREFIXES = ("NUMBA_", "BTSWARM_", "COVERAGE_")
THREADED = ("OMP", "OPENBLAS", "MKL", "NUMBA")
MAY_RETRY = (FailureClass.CRASH, FailureClass.STOPPED, FailureClass.HOST_OOM)

KINDS = (BadConfig, BadData, CannotWrite, GpuUnavailable, InputGone, NoPermission, StorageBroken)


class WorkersDied(BtswarmError):
    """Workers died again and again, by a bug or by somebody's hand."""


@dataclass
class Member:
    """One part: its job, its folder, and the process that does it now."""

    job: Job
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    readers: list[threading.Thread] = field(default_factory=list)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Fleet:
    """The workers of one stage. `log` gets what they write to stderr, `report` their lines and the stage's progress."""

    def __init__(self, job: Job, parts: int, report: Reporter, log: Reporter) -> None:
        self._report, self._log = report, log
        self._grace_s = job.limits.stop_grace_s
        self._lines: queue.SimpleQueue[tuple[bool, str]] = queue.SimpleQueue()
        self._seen: set[str] = set()
        self._credits, self._deaths, self._best = CREDITS, 0, -1
        self._phase: tuple[str, int | None] | None = None
        self.artifacts: list[Path] = []
        self._members = [self._member(job, part) for part in range(parts)]

    def run(self) -> list[Path]:
        """Until every part is done. Returns the artifacts; no worker lives when this ends, however it ends.

        Raises what a worker ended with if trying again cannot help, WorkersDied when they die too often, Stopped.
        """
        try:
            for member in self._members:
                self._start(member)
            while self._look_at_all():
                self._follow()
                time.sleep(POLL_S)
            self._follow()
        finally:
            self._stop_all()
        return self.artifacts

    def _member(self, job: Job, part: int) -> Member:
        named = job.model_copy(update={"job": f"{job.job}.{part}", "worker": f"fg{part:03d}@0"})
        return Member(named, make_folder(Path(job.out_dir) / FOLDER / f"{job.stage}.{part}"))

    def _start(self, member: Member) -> None:
        lane, _, generation = member.job.worker.partition("@")
        member.job = member.job.model_copy(update={"worker": f"{lane}@{int(generation) + 1}"})
        for name in (PROGRESS, EXIT):
            (member.folder / name).unlink(missing_ok=True)
        path = member.folder / JOB
        write_atomic(path, orjson.dumps(member.job.model_dump(), option=orjson.OPT_INDENT_2), sync=False)
        member.process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"{__package__}.worker", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(member.folder, member.job),
            process_group=0,
        )
        assert member.process.stdout is not None
        assert member.process.stderr is not None
        pipes = ((member.process.stdout, True), (member.process.stderr, False))
        member.readers = [threading.Thread(target=self._read, args=pipe, daemon=True) for pipe in pipes]
        for reader in member.readers:
            reader.start()

    def _read(self, pipe: IO[bytes], said: bool) -> None:
        for line in pipe:
            self._lines.put((said, line.decode(errors="replace").rstrip()))
        pipe.close()

    def _look_at_all(self) -> bool:
        working = [self._look(member) for member in self._members]
        return any(working)

    def _look(self, member: Member) -> bool:
        """Whether this part still works; one that died is started again while that can help."""
        if member.running:
            return True
        if member.process is None:
            return False
        code = member.process.returncode
        for reader in member.readers:
            reader.join(timeout=1)
        member.process = None
        last = last_word(member.folder, member.job.worker)
        if code == 0:
            self.artifacts += [Path(path) for path in (last.artifacts if last else [])]
            return False
        self._judge(member, code, last)
        self._start(member)
        return True

    def _judge(self, member: Member, code: int, last: Exit | None) -> None:
        """Raise what ends the stage, or spend a credit."""
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
        if last and FailureClass(last.class_) not in MAY_RETRY:
            raise typed(last)
        furthest = self._furthest()
        step = furthest.step if furthest else 0
        self._deaths = 1 if step > self._best else self._deaths + 1
        self._best = max(self._best, step)
        if not self._credits or self._deaths >= POISON:
            if last and last.class_ == FailureClass.HOST_OOM:
                raise typed(last)
            said = f": {last.message}" if last and last.message else ""
            raise WorkersDied(
                f"workers of {member.job.stage} died again and again, the last with {how}{said}",
                fix="see run.log beside the artifacts; the same command goes on from where it is",
            )
        self._credits -= 1
        self._report.line(f"worker {member.job.worker} ended with {how}: started again")

    def _follow(self) -> None:
        """Pass on what the workers said and how far they are. Raises Stopped."""
        with contextlib.suppress(queue.Empty):
            while True:
                said, line = self._lines.get_nowait()
                if not said:
                    self._log.line(line)
                elif line not in self._seen:
                    self._seen.add(line)
                    self._report.line(line)
        furthest = self._furthest()
        if furthest and (phase := (furthest.phase, furthest.steps)) != self._phase:
            self._phase = phase
            self._report.phase(furthest.phase, furthest.steps, furthest.unit)
            self._report.fact(backend=furthest.backend, device=furthest.device)
        self._report.step(furthest.step if furthest else 0)

    def _furthest(self) -> Progress | None:
        """All parts count the same steps, those of the whole stage; whoever looked last knows best."""
        found = [one for one in map(_progress, self._members) if one and one.steps]
        return max(found, key=lambda one: one.step, default=None)

    def _stop_all(self) -> None:
        """The ladder: TERM and a grace, INT and a moment for the stacks, KILL."""
        for number, grace in ((signal.SIGTERM, self._grace_s), (signal.SIGINT, INT_GRACE_S), (signal.SIGKILL, 10.0)):
            living = [member.process for member in self._members if member.process and member.running]
            for process in living:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
            until = time.monotonic() + grace
            for process in living:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, until - time.monotonic()))


def _progress(member: Member) -> Progress | None:
    try:
        return Progress.model_validate_json((member.folder / PROGRESS).read_bytes())
    except (OSError, ValueError):
        return None


def environment(folder: Path, job: Job) -> dict[str, str]:
    """What a worker of the foreground sees: an allow-list, its folder, whose child it is, and its threads."""
    kept = {k: v for k, v in os.environ.items() if k in KEPT_VARIABLES or k.startswith(KEPT_PREFIXES)}
    threads = str(max(1, int(job.claims.cpus)))
    own = {FOLDER_VARIABLE: str(folder), PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
    return {**kept, **{f"{name}_NUM_THREADS": threads for name in THREADED}, "CUDA_VISIBLE_DEVICES": "", **own}


def last_word(folder: Path, worker: str) -> Exit | None:
    """`exit.json` of this very worker, if it got so far."""
    try:
        last = Exit.model_validate_json((folder / EXIT).read_bytes())
    except (OSError, ValueError):
        return None
    return last if last.worker == worker else None


def typed(last: Exit) -> BtswarmError:
    """A worker's end as the error it was."""
    kind = next((kind for kind in KINDS if kind.failure == last.class_), BtswarmError)
    error = kind(last.message or f"a worker ended with code {last.code}", fix=last.fix)
    error.code, error.failure = ExitCode(last.code), FailureClass(last.class_)
    return error
