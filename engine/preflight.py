"""The preflight stage: are these candles and this host fit for the search? Every check leaves a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..state.errors import BadConfig, BadData, BtswarmError, CannotWrite, GateFailed, GpuUnavailable
from ..state.files import make_folder
from ..state.models.config import MIN_TRADES, Disk
from ..state.models.jobs import Job
from ..state.models.preflight import Check, PreflightReport
from .artifacts import PREFLIGHT, write_model
from .bars import MINUTE_MS, Bars
from .candles.faults import NAMES, base_of
from .candles.load import clock_ms
from .candles.read import Raw, of_bars
from .candles.repair import repair
from .checks.alignment import alignment_check
from .checks.host import disk_check, gpu_check, memory_check, trades_check
from .checks.rows import data_of, days_check, fault_checks, flat_check, gaps_check
from .progress import Reporter
from .strategies.mtf_ema import MODES, Space, space_for

ALLOWABLE = ("days", "gaps", "flat", "disk", "memory")
HOST: dict[str, type[BtswarmError]] = {"gpu": GpuUnavailable, "disk": CannotWrite, "memory": BadConfig}
CHECKS = ("days", *NAMES, "gaps", "flat", "timeframes", "min_trades", "disk", "memory", "gpu")


@dataclass(frozen=True)
class Request:
    """What the search will ask of data and host. `mode` empty: all of them. `gpu` None: nobody named a device.

    `space`: mode -> overrides of its default space.
    """

    mode: str = ""
    out_dir: Path = field(default_factory=Path)
    min_trades: int = MIN_TRADES
    engine: str = "auto"
    gpu: int | None = None
    space: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    floor_mb: int = Disk().floor_mb
    seed: int = 0

    def spaces(self) -> list[Space]:
        """The parameter spaces that will be searched. Raises BadConfig for an unknown mode."""
        return [space_for(mode, self.space.get(mode)) for mode in ([self.mode] if self.mode else MODES)]


def run(
    job: Job, bars: Bars, report: Reporter, *, allow: tuple[str, ...] = (), floor_mb: int = Disk().floor_mb
) -> list[Path]:
    """Check `bars` (all candles of the market) for `job`, write `preflight.json`, return its path.

    Raises what `refuse` raises, with the artifact written, when a check failed that is not in `allow`.
    """
    request = Request(
        mode=job.mode,
        out_dir=Path(job.out_dir),
        min_trades=job.min_trades,
        gpu=None if job.gpu < 0 else job.gpu,
        space={job.mode: job.space},
        allow=allow,
        floor_mb=floor_mb,
        seed=job.seed,
    )
    checked = check_all(of_bars(bars), request, report, base_minutes=bars.base_minutes)
    path = write_model(make_folder(Path(job.out_dir)) / PREFLIGHT, checked)
    refuse(checked)
    return [path]


def check_all(
    raw: Raw, request: Request, report: Reporter, *, base_minutes: int | None = None, now_ms: int | None = None
) -> PreflightReport:
    """Every check, in the order of CHECKS. Raises BadData for rows without a timeframe, BadConfig for the request."""
    refuse_unknown(request.allow)
    spaces = request.spaces()
    base_ms, now_ms = base_of(raw, base_minutes), clock_ms() if now_ms is None else now_ms
    report.phase("load", steps=len(CHECKS), unit="checks")
    checks = [
        days_check(raw, base_ms),
        *fault_checks(raw, base_ms, now_ms),
        gaps_check(raw, base_ms),
        flat_check(raw, base_ms),
    ]
    report.step(len(checks))
    checks += _on_bars(_mended(raw, base_ms, now_ms), request, spaces)
    report.step(len(checks))
    checks.append(disk_check(request.out_dir, request.floor_mb))
    checks.append(max((memory_check(len(raw), base_ms, space) for space in spaces), key=lambda check: check.limit or 0))
    checks.append(gpu_check(request.engine, request.gpu))
    report.step(len(checks))
    return _reported(raw, base_ms, request, checks)


def refuse(report: PreflightReport) -> None:
    """Raise for the failures, if there are any: GateFailed for the data's, which a second run would find again, and the
    host's own error (GpuUnavailable, CannotWrite for the disk, BadConfig for the memory) for what may pass."""
    failures = report.failures()
    if not failures:
        return
    first = next((check for check in failures if check.name not in HOST), failures[0])
    others = ", ".join(check.name for check in failures if check is not first)
    more = f" (and failed too: {others})" if others else ""
    kind: type[BtswarmError] = HOST.get(first.name, GateFailed)
    raise kind(f"preflight of {report.symbol}: {first.name}: {first.message}{more}", fix=first.fix)


def refuse_unknown(allow: Sequence[str]) -> None:
    """Raise BadConfig for a name that is no check, or one whose failure nothing can be computed with."""
    for name in allow:
        if name not in CHECKS:
            raise BadConfig(f"there is no preflight check {name!r}", fix=f"those that may fail: {', '.join(ALLOWABLE)}")
        if name not in ALLOWABLE:
            raise BadConfig(f"a failed {name!r} cannot be allowed", fix=f"those that may fail: {', '.join(ALLOWABLE)}")


def _mended(raw: Raw, base_ms: int, now_ms: int) -> Bars | None:
    """The candles without their harmless faults; None if there are others."""
    try:
        return repair(raw, now_ms, base_minutes=base_ms // MINUTE_MS).raw.bars(base_ms)
    except BadData:
        return None


def _on_bars(bars: Bars | None, request: Request, spaces: list[Space]) -> list[Check]:
    """The checks that compute with the candles, and so need sound ones."""
    if bars is None:
        why = "not run: the rows have faults that cannot be mended"
        return [Check(name=name, status="skip", message=why) for name in ("timeframes", "min_trades")]
    timeframes = sorted({tf for space in spaces for tf in (*space.fast_tf, *space.slow_tf)})
    trades = [trades_check(bars, space, request.min_trades) for space in spaces]
    worst = min(trades, key=lambda check: (check.status != "fail", check.status != "warn", check.figure or 0))
    return [alignment_check(bars, timeframes, request.seed), worst]


def _reported(raw: Raw, base_ms: int, request: Request, checks: list[Check]) -> PreflightReport:
    for check in checks:
        check.allowed = check.status == "fail" and check.name in request.allow
    return PreflightReport(
        symbol=raw.symbol,
        mode=request.mode,
        data=data_of(raw, base_ms),
        checks=checks,
        passed=not any(check.status == "fail" and not check.allowed for check in checks),
    )
