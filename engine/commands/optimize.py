"""`btswarm optimize`: refine the prescreened combos of one symbol and mode with Optuna."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ...state.errors import BadConfig
from ..backend import parallel
from .run import add_progress, display_of
from .shared import add_config, add_costs, add_data, add_json, costs_of, last_days, load_data, whole

if TYPE_CHECKING:
    from ...state.config import Settings
    from ...state.models.jobs import Job
    from ...state.models.trials import AllTrials
    from ..bars import Bars

RESULTS = "results"  # of a stage run alone, in the working folder
SHOWN = ("sharpe", "total_return", "max_drawdown_daily", "win_rate")


def main(argv: list[str]) -> int:
    """Run the stage alone. Stopped, it goes on when run again.

    1 no trial is feasible, 64 refused, 65 bad candles, 66 no phase-0 artifact or no candles, 74 the study is damaged,
    75 stopped.
    """
    options = _parser().parse_args(argv)
    _check(options)
    from ...state.config import load as load_settings

    settings = load_settings(options.config)
    if options.repair_study:
        return _repair(options, settings)
    everything = load_data(options)
    job = _job(options, settings, everything)
    path = _run(options, job, everything)
    from ...state.models.trials import AllTrials
    from ..artifacts import read_model

    _print(read_model(path, AllTrials), path, as_json=options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm optimize", description=__doc__)
    add_data(parser)
    parser.add_argument("--mode", default="balanced", help="conservative, balanced or aggressive (%(default)s)")
    parser.add_argument("--trials", type=int, metavar="N", help="in all, by all workers (volume.trials)")
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument(
        "--phase0-seed-dirs",
        metavar="DIR[,DIR]",
        help="where to look for phase0_top500.json; without it beside --out and its sibling lanes",
    )
    seeds.add_argument("--no-seeds", action="store_true", help="begin at random points")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"(./{RESULTS}/SYMBOL/MODE)")
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="of the study: auto is a file in --out; or journal:///, sqlite:///, postgresql://",
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes on the study (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(%(default)s)")
    parser.add_argument("--gpu", type=int, default=-1, metavar="-1", help="trials run on the CPU only")
    parser.add_argument(
        "--repair-study",
        action="store_true",
        help="keep the sound part of a damaged study, set the rest aside, and end",
    )
    add_progress(parser)
    add_costs(parser)
    add_config(parser)
    add_json(parser)
    return parser


def _check(options: argparse.Namespace) -> None:
    if options.trials is not None:
        whole("--trials", options.trials)
    parallel("--workers", options.workers)
    whole("--seed", options.seed, 0)
    if options.gpu != -1:
        raise BadConfig(f"--gpu {options.gpu}: trials run on the CPU only", fix="leave it out, or use --gpu -1")


def _job(options: argparse.Namespace, settings: "Settings", everything: "Bars") -> "Job":
    from ...state.models.config import SYNTHETIC
    from ...state.models.jobs import CostRates, Inputs, Job, Volume
    from ..seeds import NO_SEEDS
    from ..split import split

    plan, costs = settings.config.plan, costs_of(options, settings)
    cut = split(last_days(everything, options), plan.holdout_days, plan.train_days)
    named = [folder for folder in (options.phase0_seed_dirs or "").split(",") if folder]
    return Job(
        job=f"cmd/{everything.symbol}/{options.mode}/optimize",
        worker="cmd@1",
        stage="optimize",
        symbol=everything.symbol,
        mode=options.mode,
        inputs=Inputs(
            data=SYNTHETIC if everything.synthetic else everything.source,
            data_sha256=everything.sha256,
            seed_dirs=NO_SEEDS if options.no_seeds else named,
        ),
        volume=Volume(trials=options.trials or settings.config.volume.trials),
        costs=CostRates(fee=costs.fee, slippage=costs.slippage, funding=costs.funding),
        space=dict(settings.config.space.get(options.mode, {})),
        train_from=cut.train_from,
        train_to=cut.train_to,
        study=options.storage or settings.config.storage.study,
        ledger=str(settings.roots.ledger),
        min_trades=plan.min_trades,
        seed=options.seed,
        out_dir=str(_out(options, everything.symbol).absolute()),
    )


def _out(options: argparse.Namespace, symbol: str) -> Path:
    out: Path = options.out or Path(RESULTS) / symbol / options.mode
    return out


def _run(options: argparse.Namespace, job: "Job", everything: "Bars") -> Path:
    from ..fleet import Fleet
    from ..reporters import Relay
    from ..stages import run_stage
    from ..stopping import Stop, leave_now, listening

    display = display_of(options)
    if everything.synthetic:
        display.say("SYNTHETIC DATA: an invented market")
    try:
        with listening(Stop(), leave_now) as stop:
            report = Relay(stop, display.begin(f"{job.symbol} {job.mode}"))
            many = options.workers > 1
            return (Fleet(job, options.workers, report, report).run() if many else run_stage(job, everything, report))[
                0
            ]
    finally:
        display.close()


def _repair(options: argparse.Namespace, settings: "Settings") -> int:
    from ...state.symbols import canonical
    from ..journal import repair
    from ..storage import place

    url = options.storage or settings.config.storage.study
    where = place(url, options.out or _out(options, canonical(options.symbol or "")))
    if where.url is not None or where.file is None:
        raise BadConfig(f"{where.name} is a database", fix="repair it with its own tools; this is for journal files")
    kept, dropped, aside = repair(where.file)
    print(f"kept {kept} records, dropped {dropped}; the damaged original is {aside}")
    return 0


def _print(found: "AllTrials", path: Path, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
        return
    header, rows = found.header, {row.number: row for row in found.trials}
    what = f"{header.search.symbol} {header.search.mode}" + (", SYNTHETIC DATA" if header.search.data.synthetic else "")
    print(f"{what}: {header.told:,} trials, {header.feasible:,} feasible, in {path.parent}")
    for name, number in found.best.items():
        row = rows[number]
        figures = {"score": row.score} | {key: (row.metrics or {}).get(key) for key in SHOWN}
        shown = ", ".join(f"{key.replace('_', ' ')} {'-' if x is None else f'{x:.2f}'}" for key, x in figures.items())
        print(f"  {name:<16} trial {number}: {shown}")
