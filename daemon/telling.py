"""What `query` prints, in words and tables. Standard library only; a document is what session_latest.json holds."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .view import in_words

Document = Mapping[str, Any]


def continuity(document: Document) -> str:
    """The run, what is wrong, what happens next, and how fresh all of it is."""
    lines = [*_heading(document), *_gates(document), *_results(document), "", "next steps:"]
    for step in document.get("next_steps") or ():
        lines += _step(step, document.get("at") or 0.0)
    if not document.get("next_steps"):
        lines.append("  none known")
    return "\n".join([*lines, *_troubles(document), *_files(document)])


def status(document: Document) -> str:
    """One screen."""
    at = document.get("at") or 0.0
    lines = [*_heading(document), *_troubles(document)]
    running = [one for one in document.get("workers") or () if one["state"] in ("starting", "running", "stopping")]
    if running:
        lines += [
            "",
            *table(("WORKER", "JOB", "STATE", "PHASE", "STEP", "RATE", "QUIET"), map(_worker_row, running[:30])),
        ]
    else:
        lines += ["", "no worker runs"]
    if len(running) > 30:
        lines.append(f"... and {len(running) - 30} more; btswarm workers lists all")
    steps = [f"{one['action']} ({one['subject']})" for one in document.get("next_steps") or ()]
    if steps:
        lines += ["", f"next: {', '.join(steps[:3])}" + (f" and {len(steps) - 3} more" if len(steps) > 3 else "")]
    agents = document.get("agents") or {}
    tired = [name for name, one in agents.items() if not one["fresh"] or one["quarantine"]]
    lines += ["", f"agents: {len(agents)}" + (f", not well: {', '.join(tired)}" if tired else ", all fresh")]
    return "\n".join([*lines, *_stale_files(document), f"as of {clock(at)}"])


def workers(document: Document) -> str:
    rows = [(*_worker_row(one), str(one["pid"]), in_words(one["age_s"])) for one in document.get("workers") or ()]
    lanes = document.get("lanes") or {}
    taken = {one["lane"] for one in document.get("workers") or ()}
    free = [
        (name, lane["state"], lane["role"], lane["hold"] or "")
        for name, lane in lanes.items()
        if name not in taken and lane["state"] != "closed"
    ]
    head = ("WORKER", "JOB", "STATE", "PHASE", "STEP", "RATE", "QUIET", "PID", "AGE")
    lines = table(head, rows) if rows else ["no worker runs"]
    return "\n".join([*lines, *(["", *table(("FREE LANE", "STATE", "ROLE", "HELD"), free)] if free else [])])


def agents(document: Document) -> str:
    rows = [
        (name, "never" if one["age_s"] is None else f"{in_words(one['age_s'])} ago", "yes" if one["fresh"] else "NO",
         str(one["runs"]), one["health"], str(one["crashes"]), one["quarantine"] or "")
        for name, one in (document.get("agents") or {}).items()
    ]  # fmt: skip
    return "\n".join(table(("AGENT", "LAST RUN", "FRESH", "RUNS", "HEALTH", "CRASHES", "QUARANTINE"), rows))


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
    why = f" ({document['health_why']})" if document.get("health_why") else ""
    plan = document.get("plan") or {}
    searched = f": {', '.join(plan['symbols'])} x {', '.join(plan.get('modes') or ())}" if plan.get("symbols") else ""
    lines = [
        f"run          {document.get('run_id') or 'none yet'}, round {document.get('round', 0)}, "
        f"stage {document.get('stage') or '-'}",
        f"health       {document.get('health')}{why}",
        f"wanted       {desired.get('life', '-')}{searched}"
        + _listed("paused", desired)
        + _listed("draining", desired),
    ]
    if plan.get("data_path") == "synthetic":
        lines.append("data         SYNTHETIC: this searches an invented market")
    lines += _utilisation(document)
    lines.append("queue        " + (", ".join(f"{counts[one]} {one}" for one in _ordered(counts)) or "empty"))
    return lines


_STATES = ("running", "queued", "waiting", "held", "done", "replaced", "cancelled")


def _ordered(counts: Mapping[str, int]) -> list[str]:
    return sorted(counts, key=lambda one: (_STATES.index(one) if one in _STATES else len(_STATES), one))


def _listed(name: str, desired: Mapping[str, Any]) -> str:
    return f", {name}: {', '.join(desired[name])}" if desired.get(name) else ""


def _utilisation(document: Document) -> list[str]:
    parts = []
    queued = (document.get("queue") or {}).get("counts", {}).get("queued")
    for name, one in (document.get("utilisation") or {}).items():
        if one.get("pct") is not None:
            low = " (LOW)" if queued and one["pct"] < one["target_pct"] else ""
            parts.append(f"{name.upper()} {one['pct']:.0f} %, target {one['target_pct']} %{low}")
        else:
            why = one.get("missing")
            parts.append(f"{name.upper()} {_NO_READING.get(why or '', f'unknown: {why}')}")
    rates = document.get("throughput") or {}
    done = [f"{rates[key]:,.{digits}f} {unit}/s" for key, unit, digits in _RATES if rates.get(key)]
    living = sum(one["state"] in ("starting", "running", "stopping") for one in document.get("workers") or ())
    lines = [f"utilisation  {'; '.join(parts)}"] if parts else []
    return [*lines, f"workers      {living}" + (f", {', '.join(done)}" if done else "")]


_NO_READING = {"skip_gpu_actions_no_gpu_detected": "none detected"}
_RATES = (("combos_per_s", "combos", 0), ("trials_per_s", "trials", 1))


def _gates(document: Document) -> list[str]:
    gates = [one for one in document.get("run_gates") or () if one["met"] != "waived"]
    return ["", "gates:", *(f"  {one['gate']}: {one['met']}, {one['evidence']}" for one in gates)] if gates else []


def _results(document: Document) -> list[str]:
    """The best of what was validated, and which hold-outs may not be looked at again."""
    rows = document.get("leaderboard") or ()
    lines = ["", "validated, best first:"] if rows else []
    for row in rows[:3]:
        figures = [f"{label} {row['metrics'][name]:.2f}" for name, label in _FIGURES
                   if row["metrics"].get(name) is not None]  # fmt: skip
        lines.append(f"  {row['symbol']} {row['mode']} {row['verdict']}: {', '.join(figures)} (round {row['round']})")
    if len(rows) > 3:
        lines.append(f"  and {len(rows) - 3} more; query --json lists them")
    spent = {key.rpartition("/")[0].rpartition("/")[0]: one["spent_until"]
             for key, one in (document.get("searches") or {}).items() if one["spent_until"]}  # fmt: skip
    lines += ["", "spent:"] if spent else []
    lines += [f"  {market}: no look at its hold-out until that begins on {day}" for market, day in spent.items()]
    return lines


_FIGURES = (("training_sharpe", "Sharpe in training"), ("walk_forward_sharpe", "walk-forward"),
            ("holdout_sharpe", "hold-out"), ("deflated_sharpe", "deflated probability"))  # fmt: skip


def _step(step: Mapping[str, Any], at: float) -> list[str]:
    who = "" if step.get("actionable", True) else "  [waits]"
    lines = [f"  {step['action']} ({step['subject']}): {step['why']}{who}"]
    if step.get("blocked_by"):
        lines.append(f"    needs:    {'; '.join(step['blocked_by'])}")
    if step.get("expected_outcome"):
        lines.append(f"    expected: {step['expected_outcome']}")
    if step.get("due"):
        lines.append(f"    due:      {_when(step['due'], at)}")
    return lines


def _when(ts: float, at: float) -> str:
    ahead = ts - at
    return f"{clock(ts, at)} (" + (f"in {in_words(ahead)})" if ahead >= 0 else f"{in_words(-ahead)} late)")


def _troubles(document: Document) -> list[str]:
    incidents, holds = document.get("incidents") or (), document.get("holds") or ()
    at = document.get("at") or 0.0
    lines = ["", "open incidents:"] if incidents else []
    for one in incidents:
        lines.append(
            f"  {one['incident']} {one['class']} of {one['subject']}, for {in_words(one['age_s'])}: {one['why']}"
        )
        due = f", escalates {_when(one['due'], at)}" if one.get("due") and one["state"] != "escalated" else ""
        lines.append(f"    {_doing(one)}{due}")
    lines += ["", "held:"] if holds else []
    for one in holds:
        end = f"until {_when(one['until'], at)}" if one.get("until") else f"needs you: {one.get('needs')}"
        lines.append(f"  {one['subject']}: {one['reason']}; {end}")
    return lines


def _doing(incident: Mapping[str, Any]) -> str:
    """What is being done about it."""
    done = ", ".join(dict.fromkeys(incident.get("actions") or ()))
    if incident.get("needs"):
        return f"needs you: {incident['needs']}" + (f" (tried: {done})" if done else "")
    if incident["state"] == "escalated":
        return f"escalated: {f'{done} did not help' if done else 'nothing was seen to help'}"
    return (
        f"{incident['state']}: {done}; waiting to see that it worked" if done else f"{incident['state']}: being decided"
    )


def _files(document: Document) -> list[str]:
    files = document.get("files") or {}
    rows = [
        (f"  {name}", "-" if one["age_s"] is None else in_words(one["age_s"]),
         "" if one["limit_s"] is None else in_words(one["limit_s"]), _file_state(one))
        for name, one in files.items()
    ]  # fmt: skip
    return ["", *table(("state files:", "AGE", "LIMIT", ""), rows)] if rows else []


def _file_state(one: Mapping[str, Any]) -> str:
    old = one["limit_s"] and (one["age_s"] or 0) > one["limit_s"]
    return "" if one["valid"] and not old else (one["fault"] or "stale").upper()


def _stale_files(document: Document) -> list[str]:
    bad = [f"{name} ({fault.lower()})" for name, one in (document.get("files") or {}).items()
           if (fault := _file_state(one))]  # fmt: skip
    return ["", f"state files not well: {', '.join(bad)}"] if bad else []


def _worker_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    step = "-" if one["step"] is None else f"{one['step']:,}" + (f"/{one['steps']:,}" if one["steps"] else "")
    rate = f"{one['rate']:,.0f} {one['unit']}/s" if one["rate"] else ""
    state = f"{one['state']} (rung {one['stop']['rung']}: {one['stop']['reason']})" if one["stop"] else one["state"]
    quiet = f"{in_words(one['quiet_s'])} of {in_words(one['quiet_limit_s'])}" if one.get("quiet_limit_s") else "-"
    return one["worker"], one["job"], state, one["phase"] or "-", step, rate, quiet
