"""`btswarm run`: the whole pipeline in the foreground, from candles to validated configurations."""

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .shared import add_config, add_json, whole

if TYPE_CHECKING:
    from ...state.config import Settings
    from ...state.models.rounds import Summary
    from ..plan import Plan
    from ..reporters import Display
    from ..stopping import Stop

EPILOG = """\
Options that are left out come from btswarm.toml. Without any data path the market is an invented one, and every output
says so. Interrupted and started again with the same options, the run goes on where it was. Exit codes: 0 all completed;
75 interrupted; otherwise that of the first symbol and mode that did not complete (1: it holds nothing feasible)."""


def main(argv: list[str]) -> int:
    """Run the plan and print the summary. Returns its exit code."""
    options = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no dash shall not cost the summary
    from ..stopping import Stop, leave_now, listening

    # Before the heavy imports: a library that is interrupted while it loads takes that for damage.
    with listening(Stop(), leave_now, _stopping) as stop:
        told = _run(options, stop)
    if options.json:
        sys.stdout.write(told.model_dump_json(indent=2) + "\n")
    else:
        from ..summary_text import console, show

        show(console(sys.stdout), told)
    return told.exit_code


def _stopping(name: str) -> None:
    print(f"{name}: stopping; once more to leave at once", file=sys.stderr)


def _run(options: argparse.Namespace, stop: "Stop") -> "Summary":
    from ...state.config import load
    from .. import pipeline

    settings = load(options.config)
    plan = plan_of(options, settings)
    display = display_of(options)
    if plan.synthetic:
        display.say("SYNTHETIC DATA: this runs on an invented market; --data-path names real candles")
    if plan.backend.note:
        display.say(plan.backend.note)
    floor_mb = settings.config.disk.floor_mb
    try:
        return pipeline.run(plan, display, stop, new_round=options.new_round, floor_mb=floor_mb)
    finally:
        display.close()


def plan_of(options: argparse.Namespace, settings: "Settings") -> "Plan":
    """The plan: what the command line says, else btswarm.toml, else the defaults. Raises BadConfig, GpuUnavailable."""
    from ...state.models.config import SYNTHETIC
    from ...state.models.jobs import CostRates, Limits, Volume
    from ..backend import cores, parallel, resolve
    from ..plan import Plan

    config = settings.config
    results = (options.results or settings.roots.results).expanduser().absolute()
    asked = _given(
        combos=options.prescreen, trials=options.trials, paths=options.paths, permutations=options.permutations
    )
    table = config.volume.model_dump(include={"combos", "top_k", "trials", "paths", "permutations"}) | asked
    volume = Volume(**{name: _natural(name, value) for name, value in table.items()})
    costs = config.costs.model_dump() | _given(fee=options.fee, slippage=options.slippage, funding=options.funding)
    data = options.data_path or config.plan.data_path or SYNTHETIC
    workers = config.workers
    return Plan(
        data=data if data == SYNTHETIC else str(Path(data).expanduser().absolute()),
        symbols=tuple(_listed(options.symbol) or config.plan.symbols),
        modes=tuple(_listed(options.mode) or config.plan.modes),
        results=results,
        ledger=settings.roots.ledger,
        backend=resolve(options.engine, options.gpu),
        threads=parallel("--threads", options.threads) if options.threads is not None else cores(),
        optimizers=parallel("--workers", options.workers) if options.workers is not None else None,
        volume=volume,
        costs=CostRates(**costs),
        space={str(mode): dict(overrides) for mode, overrides in config.space.items()},
        seed=whole("--seed", options.seed, 0),
        train_days=config.plan.train_days,
        holdout_days=config.plan.holdout_days,
        min_trades=config.plan.min_trades,
        allow=tuple(dict.fromkeys([*config.plan.allow, *options.allow])),
        last_days=options.last_days,
        study=config.storage.study,
        keep_rounds=config.results.keep_rounds,
        limits=Limits(
            start_s=workers.start_s,
            quiet_floor_s=workers.quiet_floor_s.model_dump(),
            stop_grace_s=workers.stop_grace_s,
            budget_s=workers.budget_s,
        ),
    )


def display_of(options: argparse.Namespace) -> "Display":
    """Progress goes to stderr: bars on a terminal, plain lines elsewhere, nothing when quiet."""
    from ..reporters import JsonLines, Plain, Quiet

    kind = "none" if options.quiet else options.progress
    if kind == "auto":
        kind = "bars" if sys.stderr.isatty() else "plain"
    if kind == "bars":
        from rich.console import Console

        from ..terminal import Bars

        return Bars(Console(stderr=True))
    if kind == "plain":
        return Plain(sys.stderr)
    return JsonLines(sys.stderr) if kind == "json" else Quiet()


def add_engine(parser: argparse.ArgumentParser) -> None:
    """--engine, --gpu, --threads, --seed."""
    parser.add_argument("--engine", default="auto", metavar="auto|cpu|gpu", help="what screens (%(default)s)")
    parser.add_argument("--gpu", type=int, metavar="N", help="-1: the CPU; else that device")
    parser.add_argument("--threads", type=int, metavar="N", help="cores to use (all)")
    parser.add_argument("--workers", type=int, metavar="N", help="optimizers on one study (as many as pay)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (%(default)s)")


def add_progress(parser: argparse.ArgumentParser) -> None:
    """--quiet, --progress."""
    parser.add_argument("--quiet", action="store_true", help="no progress, only the summary")
    choices = ("auto", "bars", "plain", "json", "none")
    parser.add_argument("--progress", choices=choices, default="auto", help="how it is shown on stderr (%(default)s)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="btswarm run", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    plan = parser.add_argument_group("what")
    plan.add_argument("--data-path", metavar="P", help="candle file, or a folder searched by symbol; else synthetic")
    plan.add_argument("--symbol", action="append", metavar="S", help="repeatable, or comma separated: SOL,BTC")
    plan.add_argument("--mode", action="append", metavar="M", help="conservative, balanced, aggressive; repeatable")
    plan.add_argument("--last-days", type=float, metavar="N", help="use only the last N days of the data")
    plan.add_argument(
        "--allow", action="append", default=[], metavar="NAME", help="accept this preflight failure: days, gaps..."
    )
    volume = parser.add_argument_group("how much")
    volume.add_argument("--prescreen", type=int, metavar="N", help="combos to screen for each symbol and mode")
    volume.add_argument("--trials", type=int, metavar="N", help="Optuna trials")
    volume.add_argument("--paths", type=int, metavar="N", help="Monte Carlo paths")
    volume.add_argument("--permutations", type=int, metavar="N", help="null markets of each kind; 0: no verdict")
    costs = parser.add_argument_group("costs, as fractions")
    costs.add_argument("--fee", type=float, metavar="F", help="of traded notional, per side")
    costs.add_argument("--slippage", type=float, metavar="F", help="of the price, per market fill")
    costs.add_argument("--funding", type=float, metavar="F", help="per 8 hours, paid by longs")
    add_engine(parser)
    parser.add_argument("--results", type=Path, metavar="DIR", help="where rounds and the published best go")
    parser.add_argument("--new-round", action="store_true", help="search on after a finished round, with fresh seeds")
    add_progress(parser)
    add_config(parser)
    add_json(parser)
    return parser


def _listed(values: list[str] | None) -> list[str]:
    """`["SOL,BTC", "SOL"]` -> SOL, BTC: each once, in the order given."""
    words = [word.strip() for value in values or [] for word in value.split(",")]
    return list(dict.fromkeys(word for word in words if word))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _natural(name: str, value: int) -> int:
    names = {"combos": "--prescreen", "trials": "--trials", "paths": "--paths", "permutations": "--permutations"}
    return whole(names.get(name, f"volume.{name}"), value, 0 if name in ("paths", "permutations") else 1)
