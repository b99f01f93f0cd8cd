"""Names of things: how they are built, and what they say when taken apart.

lane      gpu<i>[.<n>] or cpu<nnn>             worker    <lane>@<gen>
job       r<round>/<SYMBOL>/<mode>/<stage>[.<part>] or cmd/<name>.<copy>
token     <swarm_id>.<32 hex>                  incident  i<seq of its incident.detected>
hold      <subject>#<class>
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from ..errors import BadData

LaneKind = Literal["gpu", "cpu"]
SubjectKind = Literal["job", "lane", "worker", "gpu", "swarm", "other"]
SWARM: Final = "swarm"
"""Subject of what concerns all of it; also the scope of a hold or a pause."""
COMMANDS: Final = "cmd"
_OF_COMMANDS: Final = f"{COMMANDS}/"
STAGES: Final = ("preflight", "prescreen", "optimize", "validate", "report")

_LANE = re.compile(r"(?:gpu(?P<gpu>0|[1-9]\d*)(?:\.(?P<slot>0|[1-9]\d*))?|cpu(?P<cpu>\d{3,}))\Z")
_WORKER = re.compile(r"(?P<lane>[a-z]{3}[\d.]+)@(?P<gen>[1-9]\d*)\Z")
_ENGINE = re.compile(
    rf"r(?P<round>\d+)/(?P<symbol>[^/\s]+)/(?P<mode>[a-z]+)/(?P<stage>{'|'.join(STAGES)})(?:\.(?P<part>[\w-]+))?\Z"
)
_COMMAND = re.compile(r"cmd/(?P<name>\S+)\.(?P<copy>\d+)\Z")
_SWARM_ID = re.compile(r"[0-9a-f]{32}\Z")
_TOKEN = re.compile(r"(?P<swarm>[0-9a-f]{32})\.(?P<own>[0-9a-f]{32})\Z")
_INCIDENT = re.compile(r"i(?P<seq>[1-9]\d*)\Z")
_RUN = re.compile(r"bt-\d{8}_\d{6}Z\Z")


@dataclass(frozen=True, slots=True)
class LaneName:
    """`index` counts devices or CPU lanes; `slot` the lanes of one device, None where it has a single one."""

    kind: LaneKind
    index: int
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class JobName:
    """An engine job has round, symbol, mode and stage; a command job only `command` and `copy`."""

    round: int = 0
    symbol: str = ""
    mode: str = ""
    stage: str = ""
    part: str = ""
    command: str = ""
    copy: int = 0


def gpu_lane(index: int, slot: int | None = None) -> str:
    return f"gpu{index}" if slot is None else f"gpu{index}.{slot}"


def cpu_lane(index: int) -> str:
    return f"cpu{index:03d}"


def parse_lane(text: str) -> LaneName:
    """Raises BadData for what is no lane."""
    if not (found := _LANE.match(text)):
        raise _refused("lane", text, "gpu0, gpu0.1 or cpu000")
    if found["cpu"] is not None:
        return LaneName("cpu", int(found["cpu"]))
    return LaneName("gpu", int(found["gpu"]), None if found["slot"] is None else int(found["slot"]))


def lane_kind(lane: str) -> LaneKind:
    """The kind without the cost of a parse; `lane` is known to be one."""
    return "gpu" if lane.startswith("gpu") else "cpu"


def worker_name(lane: str, gen: int) -> str:
    return f"{lane}@{gen}"


def parse_worker(text: str) -> tuple[str, int]:
    """Lane and generation. Raises BadData."""
    if not (found := _WORKER.match(text)):
        raise _refused("worker", text, "cpu000@1")
    parse_lane(found["lane"])
    return found["lane"], int(found["gen"])


@lru_cache(maxsize=1 << 13)
def lane_of(worker: str) -> str:
    """The lane without the cost of a parse; `worker` is known to be one."""
    return worker.partition("@")[0]


def engine_job(round_: int, symbol: str, mode: str, stage: str, part: str = "") -> str:
    return f"r{round_}/{symbol}/{mode}/{stage}{f'.{part}' if part else ''}"


def command_job(name: str, copy: int) -> str:
    return f"{COMMANDS}/{name}.{copy}"


def parse_job(text: str) -> JobName:
    """Raises BadData for what is no job."""
    if found := _ENGINE.match(text):
        return JobName(int(found["round"]), found["symbol"], found["mode"], found["stage"], found["part"] or "")
    if found := _COMMAND.match(text):
        return JobName(command=found["name"], copy=int(found["copy"]))
    raise _refused("job", text, "r1/SOLUSDT/balanced/prescreen or cmd/fill.0")


@lru_cache(maxsize=1 << 13)
def is_command(job: str) -> bool:
    return job.startswith(_OF_COMMANDS)


def incident_name(seq: int) -> str:
    return f"i{seq}"


def parse_incident(text: str) -> int:
    """The seq of the `incident.detected` event. Raises BadData."""
    if not (found := _INCIDENT.match(text)):
        raise _refused("incident", text, "i123")
    return int(found["seq"])


def hold_name(subject: str, class_: str) -> str:
    """One subject may be held for several reasons at once; releasing one leaves the others."""
    return f"{subject}#{class_}"


def parse_hold(text: str) -> tuple[str, str]:
    """Subject and class. Raises BadData."""
    subject, mark, class_ = text.rpartition("#")
    if not (subject and mark and class_):
        raise _refused("hold", text, "swarm#cannot_write")
    return subject, class_


def token(swarm_id: str, own: str) -> str:
    """`own`: 32 hex digits of this worker alone."""
    return f"{swarm_id}.{own}"


def parse_token(text: str) -> tuple[str, str]:
    """Swarm and worker part. Raises BadData."""
    if not (found := _TOKEN.match(text)):
        raise _refused("token", text, "64 hex digits with a dot between the halves")
    return found["swarm"], found["own"]


def subject_kind(subject: str) -> SubjectKind:
    """What the subject of a hold or of an event is, by its form."""
    if subject == SWARM:
        return "swarm"
    if subject.startswith(("GPU-", "MIG-")):
        return "gpu"
    if _LANE.match(subject):
        return "lane"
    if _WORKER.match(subject):
        return "worker"
    if _COMMAND.match(subject) or _ENGINE.match(subject):
        return "job"
    return "other"


def is_swarm_id(text: str) -> bool:
    return _SWARM_ID.match(text) is not None


def is_run(text: str) -> bool:
    return _RUN.match(text) is not None


def epoch(boot_id: str, pid_namespace: int, container: str) -> str:
    """16 hex digits outside of which a pid means nothing. `pid_namespace`: inode of /proc/self/ns/pid."""
    return hashlib.sha256(f"{boot_id}\n{pid_namespace}\n{container}".encode()).hexdigest()[:16]


def _refused(what: str, text: str, example: str) -> BadData:
    return BadData(f"{text!r} is no {what}", fix=f"its form is {example}")
