"""What the figures of `bench supervise` are held to."""

from collections.abc import Mapping
from typing import Any, Final

QUIET_FLOOR_MS: Final = 2.0
"""A machine whose bare spawn takes no longer is quiet: then times count, not only ratios."""


def targets(found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each figure that was measured beside the most it may be."""
    rows = [
        ("crash.ratio.median", 2.0),
        ("crash.ratio.p99", 2.0),
        ("burst.ratio.to_bare", 1.5),
        ("answers.status_socket.median_ms", 2.0),
        ("answers.ratio.query", 4.0),
        ("idle.rss_mb", 60.0),
        ("idle.cpu_pct", 0.5),
        ("thousand.crash_to_replacement.median_ms", 100.0),
        ("thousand.cpu_pct", 5.0),
        ("daemon.duplicates", 0),
        ("daemon.orphans", 0),
        ("leaks.btswarm.leaked", 0),
    ]
    floor = look(found, "crash.floor.median_ms")
    if floor is not None and floor <= QUIET_FLOOR_MS:
        rows += [("crash.btswarm.median_ms", 15.0), ("crash.btswarm.p99_ms", 50.0)]
    judged = [_judged(name, look(found, name), most) for name, most in rows]
    ours = look(found, "crash.btswarm.median_ms")
    for other, least in (("supervisord", 40.0), ("circus_tuned", 3.0)):
        theirs = look(found, f"others.{other}.one_by_one.median_ms")
        times = round(theirs / ours, 1) if ours and theirs else None
        judged.append({"figure": f"{other} against btswarm, median", "value": times, "at_least": least,
                       "met": None if times is None else times >= least})  # fmt: skip
    return [row for row in judged if row["value"] is not None]


def look(found: Mapping[str, Any], path: str) -> float | None:
    """The number at a dotted path; None where there is none."""
    at: Any = found
    for name in path.split("."):
        at = at.get(name) if isinstance(at, Mapping) else None
    return at if isinstance(at, int | float) else None


def _judged(figure: str, value: float | None, most: float) -> dict[str, Any]:
    return {"figure": figure, "value": value, "at_most": most, "met": None if value is None else value <= most}
