"""Every row of the failure table has a policy in code, and everything a policy asks for has a hand that does it."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from btswarm.daemon.endings import Endings
from btswarm.daemon.executor import Executor
from btswarm.daemon.notebook import Notebook
from btswarm.daemon.probing import Probing
from btswarm.daemon.renting import Renting
from btswarm.daemon.repairs import Repairs
from btswarm.daemon.standing import ROWS as STANDING
from btswarm.daemon.study_repair import StudyRepair
from btswarm.daemon.verify import Verifier
from btswarm.state.errors import FailureClass
from btswarm.state.models.actions import RULES
from btswarm.state.models.failures import POLICIES, IncidentClass, class_of_exit

from ..agents.trouble import full_disk, trouble
from ..agents.world import ROSTER, died, gpu, incident, job, known, lane, observation, progress, propose, worker
from .workshop import Bench

JOB, GPU_JOB = "r1/SOLUSDT/balanced/optimize", "r1/SOLUSDT/balanced/prescreen"
WORKER, GPU_WORKER = "cpu000@1", "gpu0@1"


def ended(class_: str, name: str = JOB, by: str = WORKER, **more: Any) -> Any:
    """A worker of this job has just ended so, and left it as the policy says."""
    policy = POLICIES[FailureClass(class_)]
    one = died(job(name, spec={"gpu": by.startswith("gpu")}), by, class_)
    if policy.then == "replace" or policy.halves == "batch":
        one = job(name, worker=by, attempts=one.attempts, tries=1)
    return observation(jobs=[one], lanes=[lane(by.partition("@")[0])], gpus=[gpu()] * by.startswith("gpu"), **more)


def at_work(name: str = JOB, by: str = WORKER, **changes: Any) -> Any:
    spec = {"gpu": by.startswith("gpu")}
    view = worker(by, name, **changes)
    return observation(jobs=[job(name, spec=spec, worker=by)], lanes=[lane(view.lane)], workers=[view], gpus=[gpu()])


def crowded(seen: Any) -> Any:
    """The same with as many lanes as the target asks for."""
    return replace(seen, lanes={one.lane: one for one in (lane(f"cpu00{n}") for n in range(7))})


def classified(class_: str, subject: str) -> dict[str, Any]:
    return {name: replace(one, state="classified") for name, one in incident(class_, subject).items()}


STUCK = at_work(quiet_s=100.0, quiet_cpu_s=known(0.0))
TABLE: Final[dict[str, tuple[str, Any, str]]] = {
    # row of the table: the class of its incident or failure, how it looks, what is asked for
    "crash": ("crash", ended("crash"), "SpawnWorker"),
    "host OOM": ("host_oom", ended("host_oom"), "SpawnWorker"),
    "host OOM, lanes": ("host_oom", crowded(ended("host_oom")), "SetLanes"),
    "CUDA OOM": ("cuda_oom", ended("cuda_oom", GPU_JOB, GPU_WORKER), "ReplaceJob"),
    "GPU hung": ("gpu_hung", observation(gpus=[gpu(state=known("hung"))]), "Hold"),
    "GPU lost": ("gpu_lost", observation(gpus=[gpu(state=known("lost"))]), "Hold"),
    "GPU detached": ("gpu_lost", observation(gpus=[gpu(state=known("detached"))]), "Hold"),
    "GPU Xid": ("gpu_lost", observation(gpus=[gpu(xid=known(79))]), "Hold"),
    "GPU context": ("cuda_context", ended("cuda_context", GPU_JOB, GPU_WORKER), "SpawnWorker"),
    "GPU probe": ("probe", trouble(), "RestartProbe"),
    "silent CPU fallback": ("cpu_fallback", at_work(GPU_JOB, GPU_WORKER, progress=progress(backend="cpu")),
                            "StopWorker"),
    "environment drift": ("drift", at_work(record={"build": "0"}), "OpenIncident"),
    "stuck": ("stuck", STUCK, "StopWorker"),
    "over budget of time": ("over_budget", ended("over_budget"), "ReplaceJob"),
    "disk full": ("disk_full", full_disk(), "ReleaseBallast"),
    "disk full, held": ("disk_full", full_disk(), "Hold"),
    "bad config": ("bad_config", None, ""),
    "bad data": ("bad_data", None, ""),
    "storage": ("storage", ended("storage", incidents=classified("storage", JOB)), "RepairStorage"),
    "poison job": ("poison", None, ""),
}  # fmt: skip


def asked(seen: Any) -> set[str]:
    """Kinds of action that any agent asks for."""
    return {one.kind for agent in ROSTER.proposers for one in propose(agent.name, seen)[0]}


@pytest.mark.parametrize("row", TABLE)
def test_a_row_has_a_policy_and_its_remedy_is_asked_for(row: str) -> None:
    class_, seen, action = TABLE[row]
    assert class_ in IncidentClass.__args__  # type: ignore[attr-defined]
    if seen is None:
        policy = POLICIES[FailureClass(class_)]
        assert policy.then == "hold"
        assert policy.needs or policy.hold_s
    else:
        assert action in asked(seen), asked(seen)


def hands(folder: Path) -> tuple[Executor, Verifier]:
    swarm = Bench(folder).swarm
    every = (Repairs(swarm), StudyRepair(swarm), Probing(swarm, {}), Notebook(swarm), Renting(swarm))
    return Executor(swarm, Endings.__new__(Endings), every), Verifier(swarm, every)


def test_every_action_has_a_hand_and_every_hand_a_rule(tmp_path: Path) -> None:
    executor, _ = hands(tmp_path)
    kinds = {kind for kind, rule in RULES.items() if rule.action in executor._carried} | set(executor._hands)
    assert kinds == set(RULES)


def test_what_takes_time_is_looked_at_again_until_it_is_seen(tmp_path: Path) -> None:
    _, verifier = hands(tmp_path)
    slow = {rule.done_when for rule in RULES.values() if rule.within_s is None or rule.within_s > 1.0}
    by_its_end = {"worker_gone"}  # the worker's end itself closes it
    at_once = {"hypothesis_recorded", "notes_written"}  # read back in the cycle that wrote them
    assert slow == by_its_end | at_once | set(verifier._looks)


def test_every_class_of_failure_has_a_policy_and_every_exit_code_a_class() -> None:
    assert set(POLICIES) == set(FailureClass)
    assert {class_of_exit(code) for code in (0, 1, 2, 64, 65, 66, 69, 70, 71, 72, 73, 74, 75, 76, 77)} <= set(POLICIES)
    for class_, policy in POLICIES.items():
        endless = policy.then == "hold" and policy.hold_s is None
        assert not endless or policy.needs, f"{class_} is held without a word of what to do"


def test_an_incident_ends_by_its_job_or_by_what_is_seen_of_the_world() -> None:
    of_jobs = {str(one) for one in FailureClass if POLICIES[one].incident} | {"input_gone"}
    kept_by_others = {"clock", "budget", "log"}  # told by events only; nobody opens one
    assert set(IncidentClass.__args__) == of_jobs | set(STANDING) | kept_by_others  # type: ignore[attr-defined]


def test_a_device_that_fails_again_and_again_costs_its_lane_and_is_tried_again() -> None:
    held = [one for one in propose("worker_sentry", ended("gpu_lost", GPU_JOB, GPU_WORKER))[0] if one.kind == "Hold"]
    assert [one.action.subject for one in held] == ["gpu0"]  # type: ignore[union-attr]
    assert held[0].action.until is not None  # type: ignore[union-attr]
