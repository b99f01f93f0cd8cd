"""What must hold before the next stage may start, read from what the stage left; and the line that says how it went."""

from collections.abc import Collection
from pathlib import Path

from ..state.errors import BadData, GateFailed
from ..state.models.jobs import Job
from ..state.models.preflight import Check, PreflightReport
from ..state.models.trials import AllTrials
from ..state.models.validation import Validation
from .artifacts import ALL_TRIALS, BEST, PHASE0, PREFLIGHT, TEARSHEET, VALIDATION, read_model, read_phase0

MAX_SHOWN = 3


def pass_gate(job: Job, allow: Collection[str] = ()) -> str:
    """What the stage of `job` found, in a few words.

    Raises GateFailed when it closes the way to the next stage, and what reading the artifact raises when it is not
    there or not whole.
    """
    folder = Path(job.out_dir)
    match job.stage:
        case "preflight":
            return _preflight(folder, allow)
        case "prescreen":
            return _prescreen(folder, job)
        case "optimize":
            return _optimize(folder)
        case "validate":
            return read_model(folder / VALIDATION, Validation).verdict
        case _:
            pages = sum((folder / name / TEARSHEET).is_file() for name in BEST)
            return f"{pages} tearsheet{'s' if pages != 1 else ''}"


def preflight_warnings(folder: Path, allow: Collection[str] = ()) -> list[str]:
    """What the preflight warned of in the data, and what it found that the plan accepts."""
    found = read_model(folder / PREFLIGHT, PreflightReport)
    return [
        f"{check.name}: {check.message}" for check in found.checks if check.name != "gpu" and _is_warning(check, allow)
    ]


def _is_warning(check: Check, allow: Collection[str]) -> bool:
    return check.status == "warn" or (check.status == "fail" and (check.allowed or check.name in allow))


def _preflight(folder: Path, allow: Collection[str]) -> str:
    found = read_model(folder / PREFLIGHT, PreflightReport)
    failed = [check for check in found.failures() if check.name not in allow]
    if failed:
        said = "; ".join(f"{check.name}: {check.message}" for check in failed[:MAX_SHOWN])
        more = f" (and {len(failed) - MAX_SHOWN} more)" if len(failed) > MAX_SHOWN else ""
        raise GateFailed(f"preflight refuses {found.symbol}: {said}{more}", fix=failed[0].fix)
    warned = sum(_is_warning(check, allow) for check in found.checks)
    passed = sum(check.status == "pass" for check in found.checks)
    return f"{passed} checks passed" + (f", {warned} warning{'s' if warned > 1 else ''}" if warned else "")


def _prescreen(folder: Path, job: Job) -> str:
    found = read_phase0(folder / PHASE0)
    header = found.header
    if (header.symbol, header.mode) != (job.symbol, job.mode):
        raise BadData(
            f"{folder / PHASE0} is of {header.symbol}/{header.mode}, not of {job.symbol}/{job.mode}",
            fix="delete it and run the same command again",
        )
    if not found.rows:
        raise GateFailed(
            f"none of {header.volume:,} combos of {job.symbol}/{job.mode} has {header.min_trades} trades and a daily "
            f"drawdown inside the mode's limit",
            fix="use more combos, more candles or a wider space",
        )
    best = found.rows[0].metrics["sharpe"]
    return f"{header.volume:,} combos, {header.feasible:,} feasible, best Sharpe {best:.2f}"


def _optimize(folder: Path) -> str:
    header = (found := read_model(folder / ALL_TRIALS, AllTrials)).header
    if not found.best:
        raise GateFailed(
            f"none of {header.told} trials of {header.search.symbol}/{header.search.mode} is feasible",
            fix="use more trials, more candles or a wider space",
        )
    score = next(row.score for row in found.trials if row.number == found.best["best_robust"])
    shown = f", best neighbourhood {score:.2f}" if score is not None else ""
    return f"{header.told:,} trials, {header.feasible:,} feasible{shown}"
