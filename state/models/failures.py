"""What a class of failure means for the job, its lane and the incident: data, read by whoever decides.

`then` is what becomes of the job once its worker is gone; `halves` what the next attempt gets less of. A row says
nothing about when: credits, jitter and buckets are the restart budget's.
"""

from dataclasses import dataclass
from typing import Final, Literal

from ..errors import ExitCode, FailureClass

Then = Literal["finish", "again", "hold", "wait_input", "replace", "requeue"]
"""finish: judged by its artifact. again: a death, relaunched on credit. hold: until a person or a time. wait_input:
waits for its producer. replace: a smaller job takes its place. requeue: queued again without blame."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`blame`: the death counts towards poison. `credit`: an immediate relaunch costs one. `incident`: one is opened.

    `hold_s`: None holds until a person does what `needs` says. `lane_after`: deaths of this class in a row after
    which the lane is quarantined, 0 never.
    """

    then: Then
    blame: bool = False
    credit: bool = False
    incident: bool = True
    halves: Literal["", "volume", "batch", "lanes"] = ""
    hold_s: float | None = None
    needs: str = ""
    lane_after: int = 0


POLICIES: Final[dict[FailureClass, Policy]] = {
    FailureClass.DONE: Policy("finish", incident=False),
    FailureClass.STOPPED: Policy("requeue", incident=False),
    FailureClass.CRASH: Policy("again", blame=True, credit=True),
    FailureClass.STUCK: Policy("again", blame=True, credit=True),
    FailureClass.HOST_OOM: Policy("again", credit=True, halves="lanes"),
    FailureClass.CUDA_OOM: Policy("again", credit=True, halves="batch"),
    FailureClass.CUDA_CONTEXT: Policy("again", credit=True, lane_after=2),
    FailureClass.GPU_LOST: Policy("again", credit=True, lane_after=1),
    FailureClass.OVER_BUDGET: Policy("replace", halves="volume"),
    FailureClass.CANNOT_WRITE: Policy("again", credit=True),
    FailureClass.STORAGE: Policy("again", credit=True),
    FailureClass.BAD_CONFIG: Policy("hold", needs="correct the setting the message names, then release the job"),
    FailureClass.BAD_DATA: Policy("hold", needs="mend the data the message names, then release the job"),
    FailureClass.INPUT_GONE: Policy("wait_input", incident=False),
    FailureClass.PERMISSION: Policy("hold", needs="give this user access to the path named, then release the job"),
    FailureClass.POISON: Policy("hold", hold_s=3600.0),
}

EXIT_CLASSES: Final[dict[int, FailureClass]] = {
    ExitCode.OK: FailureClass.DONE,
    1: FailureClass.CRASH,
    2: FailureClass.BAD_CONFIG,
    ExitCode.BAD_CONFIG: FailureClass.BAD_CONFIG,
    ExitCode.BAD_DATA: FailureClass.BAD_DATA,
    ExitCode.INPUT_GONE: FailureClass.INPUT_GONE,
    ExitCode.GPU_LOST: FailureClass.GPU_LOST,
    ExitCode.BUG: FailureClass.CRASH,
    ExitCode.HOST_OOM: FailureClass.HOST_OOM,
    ExitCode.CUDA_OOM: FailureClass.CUDA_OOM,
    ExitCode.CANNOT_WRITE: FailureClass.CANNOT_WRITE,
    ExitCode.STORAGE: FailureClass.STORAGE,
    ExitCode.STOPPED: FailureClass.STOPPED,
    ExitCode.CUDA_CONTEXT: FailureClass.CUDA_CONTEXT,
    ExitCode.PERMISSION: FailureClass.PERMISSION,
}

IncidentClass = Literal[
    "crash", "bad_config", "bad_data", "gpu_lost", "gpu_hung", "cuda_context", "host_oom", "cuda_oom", "cannot_write",
    "storage", "permission", "stuck", "over_budget", "poison", "cpu_fallback", "drift", "disk_full", "disk_silent",
    "state_file", "agent", "unkillable", "probe", "no_worker", "low_utilisation", "no_seeds", "slow_kernel", "clock",
    "orphan", "budget", "log", "verify_late", "input_gone", "stalled",
]  # fmt: skip
"""Failure classes of workers, and what can go wrong with everything else."""


def class_of_exit(code: int) -> FailureClass:
    """An engine worker's exit status by the table; anything unlisted is a crash. A signal is the caller's to judge."""
    return EXIT_CLASSES.get(code, FailureClass.CRASH)
