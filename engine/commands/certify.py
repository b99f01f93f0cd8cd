"""`btswarm certify`: validate what optimize left in best_robust/, with one look at the sealed hold-out."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ...state.errors import BadConfig, InputGone
from ..backend import parallel
from .shared import add_config, add_data, add_json, last_days, load_data, whole

if TYPE_CHECKING:
    from ...state.config import Settings
    from ...state.models.jobs import Job
    from ...state.models.trials import BestConfig
    from ...state.models.validation import Figure, Validation
    from ..bars import Bars

EPILOG = """\
Space, costs, seed and training days are those the configuration was optimized with. The look is entered in the search
ledger before anything is evaluated; the same configuration on the same days is one look however often this is run, and
after three looks the hold-out is spent until it has moved on by 30 days. Any verdict is exit code 0."""
SHOWN = (
    ("Sharpe ratio in training", "sharpe", "sharpe"),
    ("Sharpe ratio in the rolling walk-forward", "walk_forward_rolling", "sharpe"),
    ("Sharpe ratio in the hold-out", "holdout", "sharpe"),
    ("... at twice the costs", "holdout", "sharpe_at_twice_the_costs"),
    ("Deflated Sharpe ratio", "deflated_sharpe", "probability"),
    ("Probability of backtest overfitting", "pbo", "pbo"),
)


def main(argv: list[str]) -> int:
    """Run the validate stage alone. 64 refused, 65 other candles, 66 nothing to validate, 74 bad ledger, 75 stopped."""
    options = _parser().parse_args(argv)
    for name, value in (("--paths", options.paths), ("--permutations", options.permutations)):
        if value is not None:
            whole(name, value, 0)
    parallel("--threads", options.threads)
    from ...state.config import load as load_settings

    settings = load_settings(options.config)
    config = _candidate(options.folder, options.mode)
    everything = load_data(options)
    bars = last_days(everything, options)
    job = _job(options, settings, config, bars)
    _run(job, bars)
    _print(job, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="btswarm certify",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data(parser)
    parser.add_argument(
        "--from", dest="folder", type=Path, required=True, metavar="DIR", help="the folder that holds best_robust/"
    )
    parser.add_argument("--mode", help="conservative, balanced or aggressive; must be that of the configuration")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where validation.json goes (--from)")
    parser.add_argument("--paths", type=int, metavar="N", help="bootstrap paths (volume.paths)")
    parser.add_argument(
        "--permutations", type=int, metavar="N", help="null markets of each kind (volume.permutations); 0: no verdict"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(%(default)s)")
    add_config(parser)
    add_json(parser)
    return parser


def _candidate(folder: Path, mode: str | None) -> "BestConfig":
    from ...state.models.trials import BestConfig
    from ..artifacts import read_model
    from ..validate import CANDIDATE

    if not folder.is_dir():
        raise InputGone(f"{folder} is no folder", fix="give the folder in which optimize left best_robust/")
    config = read_model(folder / CANDIDATE, BestConfig)
    if mode not in (None, config.search.mode):
        raise BadConfig(f"{folder / CANDIDATE} is of mode {config.search.mode}, not {mode}", fix="leave --mode out")
    return config


def _job(options: argparse.Namespace, settings: "Settings", config: "BestConfig", bars: "Bars") -> "Job":
    """The validate job of a configuration, as the run that found it would have made it."""
    from ...state.models.config import SYNTHETIC
    from ...state.models.jobs import Claims, CostRates, Inputs, Job, Volume
    from ..bars import DAY_MS, MINUTE_MS

    found, volume = config.search, settings.config.volume
    last = found.data.last + found.data.base_minutes * MINUTE_MS
    return Job(
        job=f"cmd/{bars.symbol}/{found.mode}/validate",
        worker="cmd@1",
        stage="validate",
        symbol=bars.symbol,
        mode=found.mode,
        inputs=Inputs(
            data=SYNTHETIC if bars.synthetic else str(Path(options.data_path).absolute()),
            artifacts=[str(options.folder.absolute())],
        ),
        volume=Volume(
            combos=volume.combos,
            paths=volume.paths if options.paths is None else options.paths,
            permutations=volume.permutations if options.permutations is None else options.permutations,
        ),
        costs=CostRates(**found.costs.model_dump()),
        space=found.space,
        train_from=found.data.first // DAY_MS * DAY_MS,
        train_to=-(-last // DAY_MS) * DAY_MS,
        ledger=str(settings.roots.ledger),
        certified=str(settings.roots.results / "certified"),
        min_trades=found.min_trades,
        seed=found.seed,
        out_dir=str((options.out or options.folder).absolute()),
        claims=Claims(cpus=options.threads),
    )


def _run(job: "Job", bars: "Bars") -> None:
    from ..reporters import Plain, Relay
    from ..stages import run_stage
    from ..stopping import Stop, leave_now, listening

    stop = Stop()
    display = Plain(sys.stderr)
    report = Relay(stop, display.begin(f"{job.symbol} {job.mode}"))
    if bars.synthetic:
        report.line("the data are SYNTHETIC: an invented market")
    with listening(stop, leave_now):
        run_stage(job, bars, report)


def _print(job: "Job", as_json: bool) -> None:
    from ...state.models.validation import Validation
    from ..artifacts import VALIDATION, read_model

    path = Path(job.out_dir) / VALIDATION
    if as_json:
        sys.stdout.buffer.write(path.read_bytes())
        return
    found = read_model(path, Validation)
    print(f"{found.symbol} {found.mode}: {found.verdict}")
    print(f"  {found.why}")
    for label, one in (("p of the search", found.p_search), ("p of the hold-out", found.p_holdout)):
        print(f"  {label:<42}{_text(one)}")
    for label, part, name in SHOWN:
        section = getattr(found, part)
        print(f"  {label:<42}{_text(section.figures[name])}")
        print(f"    null hypothesis: {section.null_hypothesis}")
    passed = sum(gate.passed for gate in found.gates)
    print(f"  {passed} of {len(found.gates)} gates passed; not passed:")
    for gate in found.gates:
        if not gate.passed:
            value = "undefined" if gate.value is None else f"{gate.value:.3g}"
            print(f"    {gate.name}: {value}, must be {gate.rule} {gate.threshold:g}")
    print(_counted(found))
    print(f"  {path}")


def _text(figure: "Figure") -> str:
    return f"{figure.value:6.2f}" if figure.value is not None else f"     - ({figure.reason})"


def _counted(found: "Validation") -> str:
    counts = found.counts
    volume = ", ".join(f"{count:,} by {stage}" for stage, count in counts.volume.items()) or "none"
    return (
        f"  tried in this search: {volume}; looks at this hold-out: {counts.looks}, "
        f"{counts.looks_of_this_search} of them by this search; exposures: {counts.exposures}"
    )
