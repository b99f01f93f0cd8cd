"""From the plan to jobs: the stages of a round behind their gates, command jobs, and smaller jobs in place of big ones.

Pure functions from records to the data of events; the journal makes them so.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ..agents.detectors.volume import smaller as reduced
from ..state.models.actions import NewJob
from ..state.models.config import CommandJob, Config
from ..state.models.events import MAX_LINE
from ..state.models.names import COMMANDS, command_job, cpu_lane, engine_job, is_command, parse_job, parse_lane
from ..state.models.records import ClaimsRecord, JobRecord, JobSpec, LaneRecord
from ..state.models.transitions import ENDED_JOBS
from ..state.wire import encode

CLOSING: Final = frozenset(("preflight", "optimize", "validate"))
"""Stages whose failure for good closes this symbol and mode for the round."""
ROOM: Final = MAX_LINE - 600
"""Bytes of new jobs in one event."""
USABLE: Final = ("open", "draining")
_HALVED: Final = re.compile(r"(?P<part>.*?)h(?P<times>\d+)")


def in_lines(jobs: Iterable[NewJob]) -> Iterator[list[NewJob]]:
    """As many jobs together as fit one event."""
    batch: list[NewJob] = []
    size = 0
    for job in jobs:
        length = len(encode(job)) + 1
        if batch and size + length > ROOM:
            yield batch
            batch, size = [], 0
        batch.append(job)
        size += length
    if batch:
        yield batch


def freed_by(jobs: Mapping[str, JobRecord], done: str) -> list[str]:
    """Waiting jobs that waited for `done` and for nothing else that is not done."""
    return [
        job.job
        for job in jobs.values()
        if job.state == "waiting" and done in job.after and all(_done(jobs, one) for one in job.after if one != done)
    ]


def closed_by(jobs: Mapping[str, JobRecord], failed: str) -> list[str]:
    """Jobs that can never start now: those that wait for `failed`, and those that wait for them."""
    closed: dict[str, None] = {failed: None}
    for job in jobs.values():  # in the order they were queued, so predecessors come first
        if job.state == "waiting" and any(one in closed for one in job.after):
            closed[job.job] = None
    return [one for one in closed if one != failed]


def smaller(job: JobRecord, volume: Mapping[str, int], learned_gpu_mb: int = 0) -> NewJob:
    """The job that takes the place of one that took too long, or found no room. `volume`: what it gets.

    `learned_gpu_mb`: what its worker had of the device when it found no more; claimed from now on.
    """
    name = parse_job(job.job)
    part, halvings = parts_of(name.part)
    again = engine_job(name.round, name.symbol, name.mode, name.stage, f"{part}h{halvings + 1}")
    return NewJob(again, reduced(job.spec, {**job.spec.volume, **volume}, learned_gpu_mb), job.priority)


def parts_of(part: str) -> tuple[str, int]:
    """The part of its search that a job is, and how often it was replaced by a smaller one: `3h2` is part 3, twice."""
    found = _HALVED.fullmatch(part)
    return (found["part"], int(found["times"])) if found else (part, 0)


def command_jobs(config: Config) -> dict[str, NewJob]:
    """A job for every copy of every command."""
    made = (_command(command, copy) for command in config.command for copy in range(command.copies))
    return {job.job: job for job in made}


def _command(command: CommandJob, copy: int) -> NewJob:
    claims = ClaimsRecord(command.cpus, command.mem_mb, command.pids)
    spec = JobSpec("command", gpu=command.lane == "gpu", lane_role="command", claims=claims, argv=command.argv,
                   restart=command.restart)  # fmt: skip
    return NewJob(command_job(command.name, copy), spec)


def missing_commands(config: Config, jobs: Mapping[str, JobRecord]) -> list[NewJob]:
    """Command jobs of the configuration that nobody has queued, or that changed and are at rest."""
    return [
        new
        for name, new in command_jobs(config).items()
        if name not in jobs or (jobs[name].state in ENDED_JOBS and jobs[name].spec != new.spec)
    ]


def unwanted_commands(config: Config, jobs: Mapping[str, JobRecord]) -> list[str]:
    """Command jobs in the queue that the configuration no longer has."""
    wanted = command_jobs(config)
    return [one for one in jobs if is_command(one) and one not in wanted and jobs[one].state not in ENDED_JOBS]


def command_lanes(jobs: Mapping[str, JobRecord], lanes: Mapping[str, LaneRecord]) -> list[str]:
    """Names of lanes to open so that every living command job has one of its own."""
    needed = sum(1 for job in jobs.values() if is_command(job.job) and job.state not in ENDED_JOBS and not job.spec.gpu)
    there = sum(1 for lane in lanes.values() if lane.role == "command" and lane.state in USABLE)
    return new_lanes(lanes, needed - there, role="command")


def new_lanes(lanes: Mapping[str, LaneRecord], count: int, *, role: str) -> list[str]:
    """CPU lanes to open: closed ones of the same role first, so that generations go on, then new names."""
    closed = [one.lane for one in lanes.values() if one.kind == "cpu" and one.state == "closed" and one.role == role]
    names = sorted(closed, key=lambda one: parse_lane(one).index)[: max(0, count)]
    index = 0
    while len(names) < count:
        if cpu_lane(index) not in lanes:
            names.append(cpu_lane(index))
        index += 1
    return names


def queued_data(jobs: Iterable[NewJob]) -> list[dict[str, Any]]:
    """The `data` of as many job.queued events as these jobs need."""
    return [{"jobs": batch} for batch in in_lines(jobs)]


def subject_of_jobs(jobs: Iterable[NewJob]) -> str:
    """`cmd`, or the round as `r3`."""
    first = next(iter(jobs))
    return COMMANDS if is_command(first.job) else f"r{parse_job(first.job).round}"


def _done(jobs: Mapping[str, JobRecord], name: str) -> bool:
    job = jobs.get(name)
    return job is None or job.state == "done"
