"""Observations in which much is wrong at once: what the conformance suite shows to every agent."""

from dataclasses import replace

from btswarm.state.models.facts import DiskView, FileView, Observation, ProbeView
from btswarm.state.models.state_files import CONTROL, FLEET

from .world import (
    MONO,
    NOW,
    UUID,
    died,
    fleet,
    gpu,
    hold,
    host,
    incident,
    job,
    known,
    lane,
    progress,
)

IDLE_LANES = 4


def trouble() -> Observation:
    """Stuck, stopped and misplaced workers, deaths, a hung GPU, little memory and disk, torn files, idle lanes."""
    seen = fleet(10)
    workers, jobs, lanes = dict(seen.workers), dict(seen.jobs), dict(seen.lanes)
    stuck, stopped = workers["cpu000@3"], workers["cpu001@3"]
    workers["cpu000@3"] = replace(stuck, quiet_s=400.0, quiet_cpu_s=known(0.1))
    workers["cpu001@3"] = replace(stopped, proc_state=known("T"), stopped_s=45.0)
    workers["gpu0@1"] = replace(workers["gpu0@1"], progress=progress(backend="cpu"))
    for n in range(IDLE_LANES):
        name = f"r1/X{n}USDT/balanced/prescreen"
        jobs[name] = died(job(name), f"cpu60{n}@1", ("crash", "host_oom", "storage", "cuda_oom")[n])
        lanes[f"cpu60{n}"] = lane(f"cpu60{n}")
    fresh = "r1/SOLUSDT/balanced/optimize"
    jobs[fresh] = job(fresh, "queued")
    late = "r1/BTCUSDT/balanced/prescreen"
    jobs[late] = died(job(late), "cpu700@2", "over_budget")
    jobs[late] = replace(jobs[late], state="running", worker="cpu700@2")
    lanes["gpu0.1"] = lane("gpu0.1")
    return replace(
        seen,
        workers=workers,
        jobs=jobs,
        lanes=lanes,
        host=host(cpus=8.0, cpu_ours=known(20.0), mem_free_mb=known(100.0), oom_kills=known(3), log_backlog=0),
        gpus={UUID: gpu(state=known("hung"))},
        files={CONTROL: FileView(CONTROL, None, False, "torn"), FLEET: FileView(FLEET, 900.0, True, limit_s=15.0)},
        probes={"gpu": ProbeView("gpu", "silent", NOW - 90.0, 1, "no answer")},
        holds=hold("swarm", "test", until=NOW - 1.0),
        incidents=incident("crash", "cpu009@2"),
    )


def full_disk() -> Observation:
    """Beside the trouble a disk without room: nothing may start, and silence proves nothing."""
    seen = trouble()
    disk = {"state": DiskView(known(10.0), known(False)), "results": DiskView(known(10.0), known(False))}
    return replace(seen, host=host(disk=disk, log_backlog=5, ballast_mb=known(256.0)))


def starving() -> Observation:
    """All is well but for idle lanes and a queue that could fill them."""
    seen = trouble()
    return replace(seen, host=host(cpus=40.0, cpu_ours=known(20.0)), gpus={UUID: gpu()}, holds={}, probes={}, files={})


def elapsed(seen: Observation, seconds: float) -> Observation:
    """The same some time later, all readings taken anew."""
    return replace(seen, cycle=seen.cycle + 1, now=NOW + seconds, mono=MONO + seconds, gap_s=1.0)
