"""`btswarm prescreen`: screen random combos of one symbol and mode, and evaluate the best of them exactly."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..backend import parallel
from .run import add_engine, add_progress, display_of
from .shared import add_config, add_costs, add_data, add_json, costs_of, last_days, load_data, whole

if TYPE_CHECKING:
    from ...state.config import Settings
    from ...state.models.artifacts import Phase0
    from ...state.models.jobs import Job
    from ..bars import Bars
    from ..stopping import Stop

RESULTS = "results"  # of a stage run alone, in the working folder
SHOWN = 10


def main(argv: list[str]) -> int:
    """Run the stage alone on the training days. Stopped, it goes on when run again.

    64 refused, 65 bad candles, 66 no candles, 69 no such GPU, 75 stopped.
    """
    options = _parser().parse_args(argv)
    for name in ("combos", "top_k"):
        if getattr(options, name) is not None:
            whole(f"--{name.replace('_', '-')}", getattr(options, name))
    whole("--seed", options.seed, 0)
    if options.threads is not None:
        parallel("--threads", options.threads)
    from ..stopping import Stop, leave_now, listening

    with listening(Stop(), leave_now) as stop:
        path = _run(options, stop)
    from ..artifacts import read_phase0

    _print(read_phase0(path), path, as_json=options.json)
    return 0


def _job(options: argparse.Namespace, settings: "Settings", everything: "Bars") -> "Job":
    from ...state.models.config import SYNTHETIC
    from ...state.models.jobs import Claims, CostRates, Inputs, Job, Volume
    from ..backend import cores, resolve
    from ..split import split
    from ..strategies.mtf_ema import space_for

    plan, volume, costs = settings.config.plan, settings.config.volume, costs_of(options, settings)
    override = dict(settings.config.space.get(options.mode, {}))
    space_for(options.mode, override)
    backend = resolve(options.engine, options.gpu)
    cut = split(last_days(everything, options), plan.holdout_days, plan.train_days)
    return Job(
        job=f"cmd/{everything.symbol}/{options.mode}/prescreen",
        worker="cmd@1",
        stage="prescreen",
        symbol=everything.symbol,
        mode=options.mode,
        inputs=Inputs(data=SYNTHETIC if everything.synthetic else everything.source, data_sha256=everything.sha256),
        volume=Volume(combos=options.combos or volume.combos, top_k=options.top_k or volume.top_k),
        costs=CostRates(fee=costs.fee, slippage=costs.slippage, funding=costs.funding),
        space=override,
        train_from=cut.train_from,
        train_to=cut.train_to,
        ledger=str(settings.roots.ledger),
        min_trades=plan.min_trades,
        seed=options.seed,
        gpu=backend.gpu,
        out_dir=str((options.out or Path(RESULTS) / everything.symbol / options.mode).absolute()),
        claims=Claims(cpus=options.threads or cores()),
    )


def _run(options: argparse.Namespace, stop: "Stop") -> Path:
    from ...state.config import load as load_settings
    from ..reporters import Relay
    from ..stages import run_stage

    settings = load_settings(options.config)
    everything = load_data(options)
    stop.check()
    job = _job(options, settings, everything)
    display = display_of(options)
    if everything.synthetic:
        display.say("SYNTHETIC DATA: an invented market")
    try:
        return run_stage(job, everything, Relay(stop, display.begin(f"{job.symbol} {job.mode}")))[0]
    finally:
        display.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm prescreen", description=__doc__)
    add_data(parser)
    parser.add_argument("--mode", default="balanced", help="conservative, balanced or aggressive (%(default)s)")
    parser.add_argument("--combos", type=int, metavar="N", help="to screen (volume.combos)")
    parser.add_argument("--top-k", type=int, metavar="K", help="of them evaluated exactly (volume.top_k)")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where the artifact goes (./{RESULTS}/SYMBOL/MODE)")
    add_engine(parser)
    add_progress(parser)
    add_costs(parser)
    add_config(parser)
    add_json(parser)
    return parser


def _print(found: "Phase0", path: Path, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
        return
    from ..summary import words_of

    header = found.header
    synthetic = ", SYNTHETIC DATA" if header.data.synthetic else ""
    print(
        f"{header.symbol} {header.mode}{synthetic}: {header.volume:,} combos, {header.feasible:,} feasible, "
        f"the best {len(found.rows)} in {path}"
    )
    for row in found.rows[:SHOWN]:
        sharpe, trades = row.metrics["sharpe"], row.metrics["total_trades"]
        print(f"  {row.rank:>3}. Sharpe {sharpe:.2f}, {trades} trades: {words_of(row.params, header.leverage)}")
