"""What may be said to a running swarm over its control socket, checked where it comes in.

A request is one line, `{"v":1,"id":"..","cmd":"..","args":{}}`; so is the answer. Reading commands are answered from
what the last cycle prepared; changing ones change what is wanted and are carried out by the next cycle.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from .config import CommandJob, CostsTable, Mode, Plan, Table, VolumeTable
from .facts import CommandName

VERSION: Final = 1
READING: Final = ("ping", "status", "query", "workers", "agents")
FOLLOWING: Final = "events"
CHANGING: Final[tuple[CommandName, ...]] = (
    "launch", "pause", "resume", "stop_job", "release", "drain", "restart", "reload",
)  # fmt: skip
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.:-]+$")]
Subject = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S+$")]


class Args(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Request(Args):
    """`id` is the sender's: the same one twice is one command."""

    v: Literal[1]
    id: Id
    cmd: str = Field(max_length=32)
    args: dict[str, Any] = Field(default_factory=dict)


class Nothing(Args):
    """ping, status, query, workers, agents, restart, reload."""


class Launch(Table):
    """Tables of btswarm.toml as the sender wants them; what is left out is as in the daemon's own file."""

    plan: Plan | None = None
    volume: VolumeTable | None = None
    costs: CostsTable | None = None
    space: dict[Mode, dict[str, Any]] | None = None
    command: tuple[CommandJob, ...] | None = None


class Scope(Args):
    """pause, resume, drain. `subject`: `swarm`, a lane or a job."""

    subject: Subject = "swarm"


class StopJob(Args):
    job: Subject


class Release(Args):
    """`subject`: a held job, lane, GPU or the swarm, or an agent that was set aside."""

    subject: Subject


class Events(Args):
    """`since_seq`: only later ones. `kind`: a kind or the part before its dot. `follow`: stay and tell new ones."""

    follow: bool = False
    since_seq: int = Field(0, ge=0)
    kind: str = Field("", max_length=64)
    subject: str = Field("", max_length=200)


ARGS: Final[dict[str, type[BaseModel]]] = {
    **dict.fromkeys((*READING, "restart", "reload"), Nothing),
    **dict.fromkeys(("pause", "resume", "drain"), Scope),
    "launch": Launch,
    "stop_job": StopJob,
    "release": Release,
    FOLLOWING: Events,
}
