"""Incidents about the world: each lasts while the world is so, and ends by what is seen."""

from dataclasses import replace
from typing import Any

import pytest

from btswarm.daemon.standing import ROWS, over
from btswarm.state.models.facts import AgentView, DiskView, FileView, Observation, ProbeView
from btswarm.state.models.failures import IncidentClass
from btswarm.state.models.records import Hold, IncidentRecord, OpenItem

from ..agents.world import (
    NOW,
    UUID,
    gpu,
    hold,
    host,
    job,
    known,
    lane,
    missing,
    observation,
    progress,
    worker,
)

JOB, WORKER = "r1/SOLUSDT/balanced/optimize", "cpu000@1"
QUEUED = {"jobs": [job(JOB, "queued")], "lanes": [lane("cpu000")]}


def disk(free_mb: Any, *, writable: Any = None, **more: Any) -> Observation:
    return observation(host=host(disk={"state": DiskView(free_mb, writable or known(True))}, **more))


def file(**changes: Any) -> Observation:
    return observation(files=[replace(FileView("workers.json", 2.0, True, limit_s=15.0), **changes)])


def at_work(**changes: Any) -> Observation:
    return observation(jobs=[job(JOB)], lanes=[lane("cpu000")], workers=[worker(WORKER, JOB, **changes)])


def item(id_: str) -> OpenItem:
    return OpenItem(id_, "SpawnWorker", WORKER, "worker_started", NOW, NOW)


def agent(**changes: Any) -> Observation:
    return observation(agents=[replace(AgentView("watchdog", runs=9, cycle=999, at=NOW), **changes)])


CASES: list[tuple[str, str, Observation, Observation]] = [
    ("disk_full", "state", disk(known(2100.0)), disk(known(2300.0))),
    ("disk_full", "state", disk(missing()), disk(known(2300.0))),
    ("disk_full", "state", disk(known(9000.0), writable=known(False)), disk(known(9000.0))),
    ("disk_full", "state", disk(known(9000.0), log_backlog=3), disk(known(9000.0))),
    ("disk_silent", "state", observation(host=host(disk_silent_s=12.0)), observation()),
    ("state_file", "workers.json", file(valid=False, fault="newer"), file()),
    ("state_file", "workers.json", file(age_s=40.0), file()),
    ("probe", "host", observation(probes=[ProbeView("host", "silent")]), observation(probes=[ProbeView("host")])),
    ("probe", UUID, observation(gpus=[gpu(state=missing())]), observation(gpus=[gpu()])),
    ("gpu_hung", UUID, observation(gpus=[gpu(state=known("hung"))]), observation(gpus=[gpu()])),
    ("gpu_lost", UUID, observation(gpus=[gpu()], holds=hold(UUID, "gpu_lost", until=NOW + 9.0)),
     observation(gpus=[gpu()])),
    ("no_worker", "swarm", observation(**QUEUED), at_work()),
    ("stalled", "swarm", at_work(quiet_s=1900.0), at_work(quiet_s=1.0)),
    ("low_utilisation", "cpu", observation(host=host(cpu_ours=known(30.0)), **QUEUED), observation(**QUEUED)),
    ("low_utilisation", "cpu", observation(host=host(cpu_ours=known(30.0)), **QUEUED),
     observation(host=host(cpu_ours=known(30.0)))),
    ("drift", "swarm", at_work(record={"build": "0"}), at_work()),
    ("no_seeds", WORKER, at_work(progress=progress(phase="trial")), at_work(progress=progress(seeds=50))),
    ("no_seeds", WORKER, at_work(progress=progress(phase="trial")), observation()),
    ("agent", "watchdog", agent(cycle=900), agent()),
    ("agent", "watchdog", agent(quarantine=Hold("x", "agent", NOW, needs="mend it")), agent()),
    ("agent", "stranger", observation(), agent(name="stranger")),
    ("verify_late", WORKER, observation(verify=(item("v7"),)), observation(verify=(item("v8"),))),
    *((class_, WORKER, at_work(), observation())
      for class_ in ("slow_kernel", "stuck", "cpu_fallback", "over_budget", "orphan", "unkillable")),
]  # fmt: skip


@pytest.mark.parametrize(("class_", "subject", "ill", "well"), CASES)
def test_it_lasts_while_it_is_so_and_ends_when_it_is_seen_not_to_be(
    class_: str, subject: str, ill: Observation, well: Observation
) -> None:
    incident = IncidentRecord("i3", class_, subject, "classified", "error", NOW, 4, evidence=(7,))
    assert over(incident, ill) is None
    assert over(incident, well)


def test_every_row_is_a_class_there_is_and_has_a_case() -> None:
    assert set(ROWS) <= set(IncidentClass.__args__)  # type: ignore[attr-defined]
    assert {one[0] for one in CASES} == set(ROWS)


def test_what_is_about_a_job_does_not_end_by_a_look_at_the_world() -> None:
    for class_ in ("crash", "stuck", "unkillable", "gpu_lost"):
        incident = IncidentRecord("i3", class_, JOB, "classified", "error", NOW, 4)
        assert over(incident, at_work()) is None
