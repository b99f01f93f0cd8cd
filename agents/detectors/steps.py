"""What comes next, what keeps it from happening, and what is expected of it: the entries of `next_steps`.

`actionable`: the swarm will do it by itself, now or when `due` comes and nothing else is in the way. What waits for a
person says in `blocked_by` what to do. When all is well there is one entry: `MAINTAIN`.
"""

from collections.abc import Iterator
from typing import Final

from ...state.models.facts import Observation
from ...state.models.names import SWARM
from ...state.models.records import Hold, NextStep
from .idle import free_lanes
from .placement import closed, placements, startables, tight
from .rounds import blocked, chains, jobs_of, next_round, open_jobs, spent

MAINTAIN: Final = "maintain_polling_and_keep_workers_saturated"
REPAIR: Final = "ensure_swarm_watchdogs"
NO_GPU: Final = "skip_gpu_actions_no_gpu_detected"
MOST: Final = 32
REPAIRS: Final = {
    "state_file": REPAIR, "disk_full": "free_disk_space", "stuck": "replace_stuck_worker", "crash": "relaunch_job",
    "host_oom": "relaunch_with_fewer_lanes", "cuda_oom": "relaunch_with_half_the_batch", "gpu_hung": "retry_gpu",
    "gpu_lost": "retry_gpu", "cpu_fallback": "relaunch_on_gpu", "over_budget": "replace_with_half_the_volume",
    "probe": "restart_probe", "no_worker": "relaunch_workers", "low_utilisation": "open_fill_lanes",
}  # fmt: skip
"""What answers an incident, by its class; any other is `resolve_incident`."""
OUTCOMES: Final = {
    "state_file": "it reads back valid and fresh", "disk_full": "there is room over the floor and jobs start again",
    "stuck": "the worker is gone and its job goes on from the checkpoint", "crash": "another worker runs the job",
    "host_oom": "the job runs with fewer lanes open", "cuda_oom": "the job runs with half the batch",
    "gpu_hung": "the device answers and its lanes work", "gpu_lost": "the device answers and its lanes work",
    "cpu_fallback": "the job runs on the GPU", "over_budget": "a smaller job is done within its time",
    "probe": "the probe answers", "no_worker": "workers run what is queued",
    "low_utilisation": "use is at or above its target, or nothing is queued", "poison": "its one more try gets further",
    "stalled": "a worker takes a step",
}  # fmt: skip
"""What is seen when that worked; for any other class, that the incident is closed."""


def next_steps(observation: Observation, *, gpu_skipped: bool) -> tuple[NextStep, ...]:
    """At most `MOST`, most urgent first."""
    steps = [
        *_wishes(observation),
        *_holds(observation),
        *_incidents(observation),
        *_stale(observation),
        *_starts(observation, gpu_skipped),
        *_rounds(observation),
    ]
    if not steps:
        return (_maintain(observation),)
    return tuple(steps[:MOST])


def _maintain(observation: Observation) -> NextStep:
    targets = observation.swarm.config.targets
    busy = any(job.state in ("queued", "running") for job in observation.jobs.values())
    outcome = f"CPU at or above {targets.cpu_pct} %" if busy else "the swarm is ready for work"
    if busy and observation.gpus:
        outcome += f", GPU at or above {targets.gpu_pct} %"
    return NextStep(MAINTAIN, MAINTAIN, SWARM, "all is well", actionable=busy, expected_outcome=outcome)


def _wishes(observation: Observation) -> Iterator[NextStep]:
    desired = observation.swarm.desired
    if desired.life == "idle" and not observation.jobs:
        yield _for_a_person("launch_plan", SWARM, "no plan was launched", "btswarm launch", "round 1 starts")
    elif desired.life in ("drain", "restart"):
        outcome = "no worker is left" if desired.life == "drain" else "workers go on under the next daemon"
        yield NextStep(desired.life, desired.life, SWARM, "a person asked for it", True, expected_outcome=outcome)
    for subject in (*desired.paused, *desired.draining):
        why = "a person paused it"
        yield _for_a_person("resume", subject, why, f"btswarm resume {subject}", "its work goes on")


def _for_a_person(action: str, subject: str, why: str, needs: str, outcome: str) -> NextStep:
    return NextStep(f"{action}:{subject}", action, subject, why, False, (needs,), outcome)


def _holds(observation: Observation) -> Iterator[NextStep]:
    holds = dict(observation.holds)
    for subject, hold in _recorded(observation):
        holds[hold.name(subject)] = hold
    for name, hold in sorted(holds.items(), key=lambda one: one[0]):
        subject = name.rpartition("#")[0]
        if hold.needs:
            yield _for_a_person("release", subject, hold.reason, hold.needs, "it is released and goes on")
        else:
            yield NextStep(
                f"retry:{name}", "retry", subject, hold.reason, True, (), "it is tried again", due=hold.until
            )


def _recorded(observation: Observation) -> Iterator[tuple[str, Hold]]:
    for job in observation.jobs.values():
        if job.hold is not None:
            yield job.job, job.hold
    for lane in observation.lanes.values():
        if lane.hold is not None:
            yield lane.lane, lane.hold
    for agent in observation.agents.values():
        if agent.quarantine is not None:
            yield agent.name, agent.quarantine


def _incidents(observation: Observation) -> Iterator[NextStep]:
    for incident in sorted(observation.incidents.values(), key=lambda one: one.seq):
        action = REPAIRS.get(incident.class_, "resolve_incident")
        needs = (incident.needs,) if incident.needs else ()
        why = f"{incident.class_}: {incident.why or 'seen'} ({incident.state})"
        outcome = OUTCOMES.get(incident.class_, "the incident is verified and closed")
        yield NextStep(
            f"{action}:{incident.incident}", action, incident.subject, why, not needs, needs, outcome, incident.due
        )


def _stale(observation: Observation) -> Iterator[NextStep]:
    """State files that are not as they should be and of which no incident tells yet."""
    known = {one.subject for one in observation.incidents.values()}
    for view in sorted(observation.files.values(), key=lambda one: one.name):
        old = view.limit_s is not None and view.age_s is not None and view.age_s > view.limit_s
        if (view.fault or not view.valid or old) and view.name not in known:
            why = f"{view.name} is {view.fault or ('stale' if view.valid else 'not valid')}"
            yield NextStep(f"{REPAIR}:{view.name}", REPAIR, view.name, why, True, (), "it reads back valid and fresh")


def _starts(observation: Observation, gpu_skipped: bool) -> Iterator[NextStep]:
    """Jobs that wait out their backoff, and those that could start but for something."""
    now = observation.now
    backing_off = [
        job for job in observation.jobs.values() if job.state == "queued" and job.hold is None and job.not_before > now
    ]
    for job in sorted(backing_off, key=lambda one: (one.not_before, one.job))[:MOST]:
        yield NextStep(
            f"relaunch_job:{job.job}", "relaunch_job", job.job, "it waits out its backoff", True, (),
            "it runs again", due=job.not_before,
        )  # fmt: skip
    waiting = startables(observation)
    if not waiting:
        return
    reasons = closed(observation) or tight(observation)
    if reasons:
        why = f"{len(waiting)} jobs could start"
        yield NextStep("start_jobs", "start_jobs", SWARM, why, False, reasons, "they run in free lanes")
    elif gpu_skipped and any(job.spec.gpu for job in waiting):
        why = "jobs that want a GPU are queued and none is detected"
        needs = ("attach a GPU, or stop these jobs",)
        yield NextStep(NO_GPU, NO_GPU, "gpu", why, False, needs, "the other jobs go on")
    elif free_lanes(observation, "cpu") and not placements(observation):
        needs = ("memory, pids or CPU that living workers have reserved",)
        yield NextStep("start_jobs", "start_jobs", SWARM, f"{len(waiting)} jobs wait for room", True, needs, "they run")


def _rounds(observation: Observation) -> Iterator[NextStep]:
    """Between two rounds."""
    swarm, plan = observation.swarm, chains(observation.swarm.config)
    if swarm.desired.life != "run" or not plan or (swarm.round and open_jobs(observation)):
        return
    if all(spent(observation, one) for one in plan):
        needs = ("newer candles: every hold-out has been looked at as often as it may be",)
        why = "this data holds nothing more to find at the price of another look"
        yield NextStep("idle", "idle_on_command_jobs", SWARM, why, False, needs, "searching goes on with newer data")
    elif set(plan) <= blocked(observation):
        needs = ("release the jobs that are held",)
        yield NextStep("start_round", "start_round", SWARM, "every symbol and mode is held", False, needs, "")
    elif not (limit := swarm.config.plan.rounds) or swarm.round - max(1, swarm.first) + 1 < limit:
        jobs = jobs_of(observation, swarm.round)
        why = f"round {swarm.round} is over" if jobs else "the plan was launched"
        outcome = f"round {next_round(observation)} runs with fresh seeds"
        yield NextStep("start_round", "start_round", SWARM, why, True, (), outcome)
    else:
        why = f"the plan's {limit} rounds are done"
        yield _for_a_person("launch_plan", SWARM, why, "btswarm launch with more rounds", "another round starts")
