"""What a trial costs: proposing the point, the study's storage, the backtests. Times and counts only.

The same code as the stage runs, from random first points, in a folder that is thrown away; nothing enters the ledger of
this host.
"""

import argparse
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..state.errors import BtswarmError, FailureClass, GateFailed
from ..state.models.config import SYNTHETIC
from ..state.models.jobs import Inputs, Job, Phase, Volume
from . import optimize
from .backend import parallel
from .bars import Bars
from .commands.shared import add_data, add_json, last_days, load_data, whole
from .fleet import Fleet
from .ledger import NAME as LEDGER
from .optimize import Timings
from .progress import Silent
from .seeds import NO_SEEDS
from .split import Split, split
from .storage import AUTO


def main(argv: list[str]) -> int:
    """`btswarm bench optimize`. 64 refused; 65, 66 as for any command that reads candles."""
    options = _parser().parse_args(argv)
    whole("--trials", options.trials)
    whole("--seed", options.seed, 0)
    parallel("--workers", options.workers)
    everything = load_data(options)
    cut = split(last_days(everything, options))
    with tempfile.TemporaryDirectory() as folder:
        job = _job(options, everything, cut, Path(folder))
        found = measure(job, cut.training(everything), options.workers)
    found |= {"symbol": everything.symbol, "mode": options.mode, "synthetic": everything.synthetic}
    _print(found, options.json)
    return 0


def measure(job: Job, bars: Bars, workers: int = 1) -> dict[str, Any]:
    """Run the trials of `job` over training `bars` and say what they cost.

    `seconds` is from the first trial to the last one told. The phases are milliseconds per trial of one worker alone:
    proposing a point (sampler), claiming and telling it (storage), its backtests (evaluate). With more `workers` they
    then do as many trials again, in another study.
    """
    timings, watch = Timings(), Watch()
    with suppress(GateFailed):
        optimize.run(job, bars, watch, timings=timings)
    prepare, seconds, writing = (watch.seconds(phase) for phase in ("load", "trial", "write"))
    together = _fleet_seconds(job, workers) if workers > 1 else seconds
    each = 1000 / max(1, timings.trials)
    return {
        "trials": job.volume.trials,
        "seconds": round(together, 4),
        "trials_per_s": round(job.volume.trials / together, 2),
        "workers": workers,
        "one_worker_trials_per_s": round(job.volume.trials / seconds, 2),
        "bars": len(bars),
        "storage": job.study.partition(":")[0],
        "prepare_s": round(prepare, 4),
        "export_s": round(writing, 4),
        "phases": {
            "sampler_ms": round(timings.sampler_s * each, 3),
            "storage_ms": round(timings.storage_s * each, 3),
            "evaluate_ms": round(timings.evaluate_s * each, 3),
        },
    }


def _fleet_seconds(job: Job, workers: int) -> float:
    """How long `workers` processes take for the trials of `job` under another seed: another study, as long."""
    watch = Watch()
    try:
        Fleet(job.model_copy(update={"seed": job.seed + 1}), workers, watch, watch).run()
    except BtswarmError as error:
        if error.failure is not FailureClass.DONE:  # that no trial is feasible is no matter here
            raise
    return watch.seconds("trial")


class Watch(Silent):
    """A reporter that only notes when each phase began."""

    def __init__(self) -> None:
        self._began: list[tuple[str, float]] = []

    def phase(self, name: Phase, steps: int | None = None, unit: str = "") -> None:
        self._began.append((name, time.perf_counter()))

    def seconds(self, phase: str) -> float:
        """How long the phase took; the last one lasts until now."""
        ends = [began for _, began in self._began[1:]] + [time.perf_counter()]
        return sum(end - began for (name, began), end in zip(self._began, ends, strict=True) if name == phase)


def _job(options: argparse.Namespace, everything: Bars, cut: Split, folder: Path) -> Job:
    data = SYNTHETIC if everything.synthetic else str(Path(options.data_path).absolute())
    return Job(
        job="cmd/bench",
        stage="optimize",
        symbol=everything.symbol,
        mode=options.mode,
        inputs=Inputs(data=data, seed_dirs=NO_SEEDS),
        volume=Volume(trials=options.trials),
        train_from=cut.train_from,
        train_to=cut.train_to,
        study=options.storage.replace("{folder}", str(folder)),
        ledger=str(folder / LEDGER),
        seed=options.seed,
        out_dir=str(folder),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm bench optimize", description=__doc__)
    add_data(parser)
    add_json(parser)
    parser.add_argument("--mode", default="aggressive", help="conservative, balanced or aggressive (%(default)s)")
    parser.add_argument("--trials", type=int, default=200, metavar="N", help="in all (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes on one study (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--storage", default=AUTO, metavar="URL", help="of the study; {folder} is one thrown away (%(default)s)"
    )
    return parser


def _print(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        import orjson

        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        return
    for name, value in found.items():
        sys.stdout.write(f"{name:<16}{value}\n")
