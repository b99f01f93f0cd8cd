"""Errors a person or a supervisor can act on: what went wrong, what to do, and the exit code that says so.

Every error that leaves the program on purpose is a `BtswarmError`. The front door prints `line()` and exits with
`code`; anything else is a bug and exits 70.
"""

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    NO_DAEMON = 3
    STALE = 4
    BAD_CONFIG = 64
    BAD_DATA = 65
    INPUT_GONE = 66
    GPU_LOST = 69
    BUG = 70
    HOST_OOM = 71
    CUDA_OOM = 72
    CANNOT_WRITE = 73
    STORAGE = 74
    STOPPED = 75
    CUDA_CONTEXT = 76
    PERMISSION = 77


class FailureClass(StrEnum):
    """What a supervisor files a worker's end under."""

    DONE = "done"
    CRASH = "crash"
    BAD_CONFIG = "bad_config"
    BAD_DATA = "bad_data"
    INPUT_GONE = "input_gone"
    GPU_LOST = "gpu_lost"
    CUDA_CONTEXT = "cuda_context"
    HOST_OOM = "host_oom"
    CUDA_OOM = "cuda_oom"
    CANNOT_WRITE = "cannot_write"
    STORAGE = "storage"
    STOPPED = "stopped"
    PERMISSION = "permission"
    STUCK = "stuck"
    OVER_BUDGET = "over_budget"
    POISON = "poison"


class BtswarmError(Exception):
    """What went wrong in one sentence, and in `fix` what the reader can do about it."""

    code: ExitCode = ExitCode.BUG
    failure: FailureClass = FailureClass.CRASH

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def line(self) -> str:
        """The one line a person reads."""
        text = f"{self.message}; {self.fix}" if self.fix else self.message
        return " ".join(text.split())


class BadConfig(BtswarmError):
    """A setting, parameter or command that parses but is refused."""

    code = ExitCode.BAD_CONFIG
    failure = FailureClass.BAD_CONFIG


class BadData(BtswarmError):
    """Candles or another input that cannot be used as they are."""

    code = ExitCode.BAD_DATA
    failure = FailureClass.BAD_DATA


class InputGone(BtswarmError):
    """A file that should be there is not (yet)."""

    code = ExitCode.INPUT_GONE
    failure = FailureClass.INPUT_GONE


class GpuUnavailable(BtswarmError):
    """A GPU was asked for and there is none that can be used."""

    code = ExitCode.GPU_LOST
    failure = FailureClass.GPU_LOST


class CannotWrite(BtswarmError):
    """The disk is full or refuses to be written."""

    code = ExitCode.CANNOT_WRITE
    failure = FailureClass.CANNOT_WRITE


class OutOfMemory(BtswarmError):
    """The host has no memory left for it."""

    code = ExitCode.HOST_OOM
    failure = FailureClass.HOST_OOM


class StorageBroken(BtswarmError):
    """A study, ledger or state file is torn, locked, edited or of a newer version."""

    code = ExitCode.STORAGE
    failure = FailureClass.STORAGE


class Stopped(BtswarmError):
    """Stopped on request; what was computed is kept and the same command goes on from there."""

    code = ExitCode.STOPPED
    failure = FailureClass.STOPPED


class GateFailed(BtswarmError):
    """A stage did its work and left its artifact, but what it found closes the way to the next stage."""

    code = ExitCode.CHECK_FAILED
    failure = FailureClass.DONE


class NoPermission(BtswarmError):
    """Another user's file, or another process has the folder."""

    code = ExitCode.PERMISSION
    failure = FailureClass.PERMISSION
