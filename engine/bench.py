"""How fast the screen is, against the plain loop over every bar measured in the same run.

Only times and counts leave this module: no performance of any configuration, so a benchmark can run on any bars.
"""

import resource
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..state.files import write_atomic
from .bars import Bars
from .costs import Costs
from .kernels import cpu, exact
from .prescreen import BATCH, MARGIN
from .ranking import Ranking, feasible
from .strategies import mtf_ema
from .strategies.api import Combos, Params
from .strategies.mtf_ema import Space

TOP_K = 500
MIN_TRADES = 30


@dataclass
class Phases:
    """Seconds per phase, summed over the run."""

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def restart(self) -> None:
        self._since = time.perf_counter()

    def add(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now


def bench_screen(
    bars: Bars, space: Space, combos: int, threads: int, *, seed: int = 0, sample: int = 100
) -> dict[str, Any]:
    """Screen `combos` random combos of `space` over `bars` and time the plain loop on `sample` of them, before,
    between and after its batches.

    `seconds` is the whole screen: series, generation, events and metrics, ranking, writing the artifact. Compilation
    comes before the clock starts. `exact`, the re-evaluation of the best 500, is given beside it.
    """
    costs = Costs()
    _warm_up(bars, space, costs, seed)
    phases = Phases()
    market = cpu.prepare(bars, space, threads=threads)
    phases.add("series")
    ranking = Ranking(TOP_K + MARGIN)
    samples = iter(np.array_split(mtf_ema.draw(space, seed, 0, sample), -(-combos // BATCH) + 1))
    plain_s = _plain_loop(bars, next(samples), costs, space.leverage)
    while ranking.done < combos:
        first = ranking.done
        phases.restart()
        drawn = mtf_ema.draw(space, seed, first, min(first + BATCH, combos))
        phases.add("generation")
        screened = cpu.screen(market, drawn, costs, space.leverage, threads=threads)
        phases.add("events")
        ranking.add(first, drawn, screened, feasible(screened, space, MIN_TRADES))
        phases.add("ranking")
        plain_s += _plain_loop(bars, next(samples), costs, space.leverage)
    phases.restart()
    _write(ranking)
    phases.add("artifact")
    seconds = sum(phases.seconds.values())
    exact_s = _plain_loop(bars, mtf_ema.pick(space, seed, ranking.numbers[:TOP_K]), costs, space.leverage)
    return {
        "backend": "cpu",
        "threads": threads,
        "combos": combos,
        "bars": len(bars),
        "seconds": round(seconds, 4),
        "combos_per_s": round(combos / seconds, 1),
        "gbar_per_s": round(combos * len(bars) / seconds / 1e9, 4),
        "plain_loop_combos_per_s": round(sample / plain_s, 2),
        "times_plain_loop": round(combos / seconds / (sample / plain_s), 2),
        "exact_top_k_s": round(exact_s, 4),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "phases": {name: round(value, 4) for name, value in phases.seconds.items()},
    }


def _warm_up(bars: Bars, space: Space, costs: Costs, seed: int) -> None:
    """Compile, on the first bars alone."""
    few = bars.slice(0, min(len(bars), 5000))
    drawn = mtf_ema.draw(space, seed, 0, 16)
    cpu.screen(cpu.prepare(few, space), drawn, costs, space.leverage)
    _plain_loop(few, drawn, costs, space.leverage)


def _plain_loop(bars: Bars, combos: Combos, costs: Costs, leverage: float) -> float:
    """Seconds that the exact simulator, one compiled loop over every bar on one thread, takes for these combos."""
    params = [Params.from_row(row) for row in combos]
    began = time.perf_counter()
    for one in params:
        exact.simulate(bars, one, costs, leverage)
    return time.perf_counter() - began


def _write(ranking: Ranking) -> None:
    import orjson

    body = {"numbers": ranking.numbers.tolist(), "sharpe": ranking.sharpe.tolist()}
    with tempfile.TemporaryDirectory() as folder:
        write_atomic(Path(folder) / "screen.json", orjson.dumps(body))
