"""What a soak came to, from the event log, the faults that were injected and the files that lie there."""

import os
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from btswarm.state.disk import RealDisk
from btswarm.state.logread import events_after

from .fire import Fault

Event = dict[str, Any]
HZ = os.sysconf("SC_CLK_TCK")
LIFE = ("detected", "classified", "executed", "verified", "escalated", "closed")


def log_of(state: Path) -> list[Event]:
    """Every event, oldest first."""
    return list(events_after(RealDisk(), state, 0))


def repairs(events: Sequence[Event], faults: Iterable[Fault]) -> list[dict[str, Any]]:
    """For each worker that was hit: what became of its job, and seconds until somebody worked on it again.

    Times are those of the processes' starts, as the kernel tells them.
    """
    job_of = {one["subject"]: one["data"]["job"] for one in events if one["kind"] == "worker.spawning"}
    ends = {one["subject"]: one for one in events if one["kind"] == "worker.exited"}
    starts = [(one["seq"], one["subject"], one["data"]["start_ticks"] / HZ) for one in events
              if one["kind"] == "worker.started"]  # fmt: skip
    found = []
    for fault in faults:
        if not fault.worker:
            continue
        end = ends.get(fault.worker)
        row: dict[str, Any] = {"kind": fault.kind, "worker": fault.worker, "job": fault.job, "phase": fault.phase,
                               "lost_s": fault.lost_s, "back_s": None, "became": "not ended"}  # fmt: skip
        if end is not None:
            row["became"] = end["data"].get("class") or end["outcome"]
            after = [start for seq, worker, start in starts if seq > end["seq"] and job_of.get(worker) == fault.job]
            row["back_s"] = round(min(after) - fault.boot_s, 2) if after else None
        found.append(row)
    return found


def incidents(events: Sequence[Event]) -> dict[str, Any]:
    """How many came to which step of their life, by class; and seconds from detection to verification."""
    classes = {f"i{one['seq']}": one["data"]["class"] for one in events if one["kind"] == "incident.detected"}
    begun = {f"i{one['seq']}": one["ts"] for one in events if one["kind"] == "incident.detected"}
    reached: dict[str, dict[str, float]] = {name: {"detected": ts} for name, ts in begun.items()}
    for one in events:
        name, step = one["data"].get("incident"), one["kind"].partition(".")[2]
        if one["kind"].startswith("incident.") and name in reached:
            reached[name].setdefault(step, one["ts"])
    counts = {step: sum(step in steps for steps in reached.values()) for step in LIFE}
    spans = [steps["verified"] - steps["detected"] for steps in reached.values() if "verified" in steps]
    open_ = {name: f"{classes[name]}, {list(steps)[-1]}" for name, steps in reached.items() if "closed" not in steps}
    return {"counts": counts, "classes": dict(Counter(classes.values())), "open": open_,
            "verified_s": spread(spans)}  # fmt: skip


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Median and worst."""
    if not values:
        return {"n": 0, "median": None, "worst": None}
    return {"n": len(values), "median": round(statistics.median(values), 3), "worst": round(max(values), 3)}


def jobs(events: Sequence[Event]) -> dict[str, Any]:
    """Ends of jobs and workers, rounds, changes of scale."""
    finished = Counter(one["data"]["state"] for one in events if one["kind"] == "job.finished")
    exits = Counter(one["data"].get("class") or one["outcome"] for one in events if one["kind"] == "worker.exited")
    kinds = Counter(one["kind"] for one in events)
    names = ("worker.started", "worker.adopted", "worker.unkillable", "orphan.killed", "job.held", "job.replaced",
             "round.started", "round.finished", "scale.up", "scale.down", "daemon.started", "storage.repaired",
             "state.quarantined", "log.recovered", "proposal.refused", "agent.raised", "agent.quarantined",
             "cycle.slow")  # fmt: skip
    return {
        "jobs": dict(finished),
        "exits": dict(exits),
        "events": {one: kinds[one] for one in names if kinds[one]},
    }


def gaps(events: Sequence[Event]) -> list[int]:
    """Numbers that are missing in the log."""
    seqs = [one["seq"] for one in events]
    return [after - 1 for before, after in pairwise(seqs) if after != before + 1]


def artifacts(results: Path, events: Sequence[Event]) -> dict[str, Any]:
    """Files by name; those that cannot be read; those that a finished job left and that are gone."""
    files = [path for path in results.glob("rounds/*/*/*/*/**/*") if path.is_file()]
    wanted = ("preflight.json", "phase0_top500.json", "all_trials.json", "validation.json", "tearsheet.html",
              "config.json", "metrics.json", "trades.csv")  # fmt: skip
    counts = Counter(path.name for path in files if path.name in wanted)
    torn = [str(path) for path in files if path.name in wanted and not _whole(path)]
    kept = {path.name for path in (results / "rounds").glob("*")} if (results / "rounds").exists() else set()
    said = {path for one in events if one["kind"] == "job.finished" for path in one["data"].get("artifacts", ())}
    gone = [path for path in said if not Path(path).exists() and _round(path, results) in kept]
    published = [str(path.relative_to(results)) for path in (results / "optimizations").glob("*/*")]
    return {"counts": dict(counts), "torn": torn, "gone": gone, "published": sorted(published)}


def _round(path: str, results: Path) -> str:
    parts = Path(path).relative_to(results).parts if Path(path).is_relative_to(results) else ("", "")
    return parts[1] if len(parts) > 1 else ""


def _whole(path: Path) -> bool:
    data = path.read_bytes()
    if path.suffix != ".json":
        return bool(data)
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
