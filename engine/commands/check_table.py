"""The checks of a report as a table a person reads."""

from ...state.models.preflight import Check, PreflightReport
from ..candles.faults import iso

WORDS = {"pass": "ok", "warn": "warning", "fail": "FAILED", "skip": "not run"}


def text(report: PreflightReport) -> str:
    """A head that says what was looked at, a line for each check, and the verdict."""
    checks = report.checks
    width = max(len(check.name) for check in checks)
    lines = [*_head(report), ""]
    for check in checks:
        lines.append(f"  {_word(check):<8} {check.name:<{width}}  {check.message}")
        if check.fix and check.status in ("fail", "warn"):
            lines.append(f"  {'':<8} {'':<{width}}  -> {check.fix}")
    return "\n".join([*lines, "", _verdict(report)])


def _head(report: PreflightReport) -> list[str]:
    data = report.data
    invented = " (invented: no real market, every result is worth nothing)" if data.synthetic else ""
    return [
        f"{report.symbol}{', ' + report.mode if report.mode else ''}: {data.path}{invented}",
        f"{data.rows:,} bars of {data.base_minutes} min, {iso(data.first)} to {iso(data.last)} UTC, "
        f"sha256 {data.sha256[:16]}",
    ]


def _word(check: Check) -> str:
    return "allowed" if check.allowed else WORDS[check.status]


def _verdict(report: PreflightReport) -> str:
    failed = [check.name for check in report.failures()]
    if failed:
        return f"failed: {', '.join(failed)}"
    counts = {
        "warning": sum(check.status == "warn" for check in report.checks),
        "allowed failure": sum(check.allowed for check in report.checks),
        "check not run": sum(check.status == "skip" for check in report.checks),
    }
    notes = [f"{count} {name}{'s' * (count > 1)}" for name, count in counts.items() if count]
    return f"passed{', with ' + ', '.join(notes) if notes else ''}"
