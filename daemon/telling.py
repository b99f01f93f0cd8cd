"""What `query` prints, in words and tables. Standard library only; a document is what session_latest.json holds."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .view import in_words

Document = Mapping[str, Any]


def continuity(document: Document) -> str:
    """The run, what is wrong, and what happens next."""
    lines = [*_heading(document), "", "next steps:"]
    for step in document.get("next_steps") or ():
        blocked = f", blocked by {', '.join(step['blocked_by'])}" if step.get("blocked_by") else ""
        lines.append(f"  {step['action']} ({step['subject']}): {step['why']}{blocked}")
        if step.get("expected_outcome"):
            lines.append(f"    expected: {step['expected_outcome']}")
    if not document.get("next_steps"):
        lines.append("  none known")
    return "\n".join([*lines, *_troubles(document), *_stale_files(document)])


def status(document: Document) -> str:
    """One screen."""
    at = document.get("at") or 0.0
    lines = [*_heading(document), *_troubles(document)]
    running = [one for one in document.get("workers") or () if one["state"] in ("starting", "running", "stopping")]
    lines += ["", *table(("WORKER", "JOB", "STATE", "PHASE", "STEP", "RATE", "QUIET"), map(_worker_row, running[:30]))]
    if len(running) > 30:
        lines.append(f"... and {len(running) - 30} more; btswarm workers lists all")
    agents = document.get("agents") or {}
    tired = [name for name, one in agents.items() if not one["fresh"] or one["quarantine"]]
    lines += ["", f"agents: {len(agents)}" + (f", not well: {', '.join(tired)}" if tired else ", all fresh")]
    return "\n".join([*lines, *_stale_files(document), f"as of {clock(at)}"])


def workers(document: Document) -> str:
    rows = [(*_worker_row(one), str(one["pid"]), in_words(one["age_s"])) for one in document.get("workers") or ()]
    lanes = document.get("lanes") or {}
    taken = {one["lane"] for one in document.get("workers") or ()}
    free = [
        (name, lane["state"], lane["role"], lane["hold"] or "") for name, lane in lanes.items() if name not in taken
    ]
    head = ("WORKER", "JOB", "STATE", "PHASE", "STEP", "RATE", "QUIET", "PID", "SINCE")
    return "\n".join([*table(head, rows), "", *table(("FREE LANE", "STATE", "ROLE", "HELD"), free)])


def agents(document: Document) -> str:
    rows = [
        (name, "-" if one["age_s"] is None else in_words(one["age_s"]), str(one["runs"]), one["health"],
         str(one["crashes"]), one["quarantine"] or "")
        for name, one in (document.get("agents") or {}).items()
    ]  # fmt: skip
    return "\n".join(table(("AGENT", "LAST RUN", "RUNS", "HEALTH", "CRASHES", "QUARANTINE"), rows))


def event_line(event: Mapping[str, Any], now: float) -> str:
    """One event for people: when, how bad, what, of whom, why."""
    cause = f" <- {event['cause_seq']}" if event.get("cause_seq") else ""
    count = f" x{event['count']}" if event.get("count", 1) > 1 else ""
    data = event.get("data") or {}
    told = ", ".join(f"{key} {_brief(data[key])}" for key in _TOLD if data.get(key) not in (None, "", [], {}))
    said = "; ".join(part for part in (event.get("outcome"), told) if part)
    mark = {"warning": "!", "error": "!!", "critical": "!!!"}.get(event.get("severity", ""), "")
    head = f"{clock(event.get('ts') or 0.0, now)} {event['seq']:>7}{cause} {mark:<3}{event['kind']}{count}"
    return f"{head} {event.get('subject', '')}" + (f": {said}" if said else "")


def headline(document: Document) -> dict[str, Any]:
    """`status --json`: the few fields that tell how it is."""
    names = ("v", "run_id", "stage", "round", "health", "health_why", "at", "cycle", "desired", "utilisation")
    queue = (document.get("queue") or {}).get("counts", {})
    counts = {name: len(document.get(name) or ()) for name in ("workers", "incidents", "holds")}
    return {**{name: document.get(name) for name in names}, "queue": queue, **counts}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell; nothing but the head when there are no rows."""
    cells = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def clock(ts: float, now: float | None = None) -> str:
    """UTC; the date only where it is not that of `now`."""
    day = "%Y-%m-%d "
    same = now is not None and time.strftime(day, time.gmtime(ts)) == time.strftime(day, time.gmtime(now))
    return time.strftime(("" if same else day) + "%H:%M:%SZ", time.gmtime(ts))


_TOLD = ("class", "action", "job", "state", "code", "why", "reason", "message", "cmd", "pid", "seen", "error")


def _brief(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else f"{text[:97]}..."


def _heading(document: Document) -> list[str]:
    desired, counts = document.get("desired") or {}, (document.get("queue") or {}).get("counts", {})
    run = document.get("run_id") or "no run yet"
    why = f" ({document['health_why']})" if document.get("health_why") else ""
    lines = [
        f"{run}  round {document.get('round', 0)}  stage {document.get('stage') or '-'}",
        f"health: {document.get('health')}{why}",
        f"wanted: {desired.get('life', '-')}" + _listed("paused", desired) + _listed("draining", desired),
        "queue: " + (", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "empty"),
    ]
    if (document.get("plan") or {}).get("data_path") == "synthetic":
        lines.append("SYNTHETIC DATA: this searches an invented market")
    return [*lines, *_utilisation(document.get("utilisation") or {})]


def _listed(name: str, desired: Mapping[str, Any]) -> str:
    return f", {name}: {', '.join(desired[name])}" if desired.get(name) else ""


def _utilisation(found: Mapping[str, Any]) -> list[str]:
    parts = []
    for name, one in found.items():
        value = f"{one['pct']:.0f} %" if one.get("pct") is not None else f"unknown ({one.get('missing')})"
        parts.append(f"{name.upper()} {value} of {one['target_pct']} % wanted")
    return [f"utilisation: {', '.join(parts)}"] if parts else []


def _troubles(document: Document) -> list[str]:
    incidents, holds = document.get("incidents") or (), document.get("holds") or ()
    lines = ["", "open incidents:"] if incidents else []
    for one in incidents:
        needs = f"; needs you: {one['needs']}" if one.get("needs") else ""
        lines.append(f"  {one['incident']} {one['class']} of {one['subject']}, {one['state']} for "
                     f"{in_words(one['age_s'])}: {one['why']}{needs}")  # fmt: skip
    lines += ["", "held:"] if holds else []
    for one in holds:
        end = f"until {clock(one['until'])}" if one.get("until") else f"needs you: {one.get('needs')}"
        lines.append(f"  {one['subject']}: {one['reason']}; {end}")
    return lines


def _stale_files(document: Document) -> list[str]:
    bad = [
        f"{name} ({one['fault'] or 'stale'})"
        for name, one in (document.get("files") or {}).items()
        if not one["valid"] or (one["limit_s"] and (one["age_s"] or 0) > one["limit_s"])
    ]
    return ["", f"state files not well: {', '.join(bad)}"] if bad else []


def _worker_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    step = "-" if one["step"] is None else f"{one['step']:,}" + (f"/{one['steps']:,}" if one["steps"] else "")
    rate = f"{one['rate']:,.0f} {one['unit']}/s" if one["rate"] else ""
    state = f"{one['state']} (rung {one['stop']['rung']}: {one['stop']['reason']})" if one["stop"] else one["state"]
    return one["worker"], one["job"], state, one["phase"] or "-", step, rate, in_words(one["quiet_s"])
