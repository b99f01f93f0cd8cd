"""The prescreen stage: random combos, screened; the best by Sharpe re-evaluated exactly and written down.

Notation: N combos of one seeded stream, K kept. Memory does not grow with N: after each batch only the best survive.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import orjson

from ..state.files import make_folder, write_atomic
from ..state.models.artifacts import Phase0, Phase0Header, Phase0Row
from ..state.models.jobs import Job
from .artifacts import PHASE0, cost_facts, data_facts, versions, write_model
from .bars import Bars
from .costs import Costs
from .kernels import exact
from .metrics import jsonable, metrics
from .progress import Reporter
from .ranking import Ranking
from .screens import CpuScreen, GpuScreen, Screen, drawn, open_device
from .strategies import mtf_ema
from .strategies.api import Combos, Params
from .strategies.mtf_ema import Space

BATCH = 1 << 16
MARGIN = 10  # screened combos re-evaluated beyond K: the exact top K is inside them
CHECKPOINT = ".phase0_checkpoint.json"


def run(job: Job, bars: Bars, report: Reporter) -> list[Path]:
    """Screen `job.volume.combos` combos of stream `job.seed` over `bars` (training bars only) and write the artifact.

    Goes on from its checkpoint when it was stopped. Raises BadConfig for a space that does not fit the bars,
    GpuUnavailable when the job asks for a GPU that cannot be used, CudaOutOfMemory when one is too full.
    """
    clock = Clock()
    folder = make_folder(Path(job.out_dir))
    space = mtf_ema.space_for(job.mode, job.space)
    costs = Costs(**job.costs.model_dump())
    report.phase("load")
    screen = _screen_of(job, bars, space, costs)
    report.fact(backend=screen.backend, device=screen.device, gpu_mem_mb=screen.gpu_mem_mb())
    clock.lap("series")
    ranking = _screen_batches(job, screen, bars, space, costs, report, folder / CHECKPOINT)
    clock.lap("screen")
    report.phase("exact", len(ranking.numbers), "combos")
    rows = evaluate(job, bars, space, costs, ranking, report)
    clock.lap("exact")
    report.phase("write")
    header = Phase0Header(
        symbol=bars.symbol,
        mode=job.mode,
        strategy=mtf_ema.NAME,
        seed=job.seed,
        space=space.model_dump(mode="json"),
        space_sha256=space.sha256,
        data=data_facts(bars),
        costs=cost_facts(costs),
        leverage=space.leverage,
        min_trades=job.min_trades,
        volume=job.volume.combos,
        feasible=ranking.feasible,
        top_k=job.volume.top_k,
        backend=screen.backend,
        versions=versions(),
        timings={**clock.laps, "threads": threads_of(job)},
    )
    path = write_model(folder / PHASE0, Phase0(header=header, rows=rows))
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return [path]


class Clock:
    """Seconds spent in each phase."""

    def __init__(self) -> None:
        self.laps: dict[str, float | int | str] = {}
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[f"{name}_s"] = round(now - self._since, 4)
        self._since = now


def threads_of(job: Job) -> int:
    return max(1, int(job.claims.cpus))


def _screen_of(job: Job, bars: Bars, space: Space, costs: Costs) -> Screen:
    if job.gpu >= 0:
        return GpuScreen(bars, space, costs, job.min_trades, open_device(job.gpu))
    return CpuScreen(bars, space, costs, job.min_trades, threads_of(job))


def _screen_batches(
    job: Job, screen: Screen, bars: Bars, space: Space, costs: Costs, report: Reporter, checkpoint: Path
) -> Ranking:
    total, size = job.volume.combos, job.volume.batch or BATCH
    key = _checkpoint_key(job, screen, bars, space, costs)
    ranking = _resume(checkpoint, key, job.volume.top_k + MARGIN, total)
    batches = -(-total // size)
    report.phase("batch", total, "combos")
    report.step(ranking.done, checkpoint=ranking.done)
    for combos in drawn(space, job.seed, ranking.done, total, size):
        first, began = ranking.done, time.perf_counter()
        screen.fold(ranking, first, combos, lambda done, first=first: report.step(first + done))  # type: ignore[misc]
        rate = len(combos) / (time.perf_counter() - began)
        best = f", best Sharpe {ranking.sharpe[0]:.2f}" if len(ranking.sharpe) else ""
        report.line(f"Batch {-(-ranking.done // size)}/{batches} {len(combos):,} combos at {rate:,.0f}/s{best}")
        report.fact(gpu_mem_mb=screen.gpu_mem_mb())
        _save(checkpoint, key, ranking)
        report.step(ranking.done, checkpoint=ranking.done)
    return ranking


def evaluate(job: Job, bars: Bars, space: Space, costs: Costs, ranking: Ranking, report: Reporter) -> list[Phase0Row]:
    """The ranked combos simulated exactly, sorted by exact Sharpe, the infeasible dropped, at most top_k."""

    def one(number: int, row: Combos) -> tuple[int, Params, dict[str, float]]:
        params = Params.from_row(row)
        return number, params, metrics(exact.simulate(bars, params, costs, space.leverage))

    found = []
    screened = dict(zip(ranking.numbers.tolist(), ranking.sharpe.tolist(), strict=True))
    combos = mtf_ema.pick(space, job.seed, ranking.numbers)
    with ThreadPoolExecutor(max_workers=threads_of(job)) as pool:
        for done, result in enumerate(pool.map(one, screened, combos), start=1):
            found.append(result)
            report.step(done)
    found = [
        r for r in found if r[2]["total_trades"] >= job.min_trades and r[2]["max_drawdown_daily"] <= space.max_drawdown
    ]
    found.sort(key=lambda r: (-r[2]["sharpe"], r[0]))
    return [
        Phase0Row(
            rank=rank,
            combo=number,
            params=params.as_dict(),
            metrics=jsonable(values),
            screened_sharpe=screened[number],
        )
        for rank, (number, params, values) in enumerate(found[: job.volume.top_k], start=1)
    ]


def _checkpoint_key(job: Job, screen: Screen, bars: Bars, space: Space, costs: Costs) -> str:
    """What must be equal for half a screen to be worth keeping: not its volume and batches, for the best of the first
    combos of a stream are the same whatever comes after them."""
    rules = (job.volume.top_k, job.min_trades, job.seed)
    return f"{bars.sha256} {space.sha256} {costs} {rules} {screen.backend} {versions()}"


def _resume(checkpoint: Path, key: str, keep: int, total: int) -> Ranking:
    try:
        saved = orjson.loads(checkpoint.read_bytes())
        if saved["key"] == key and saved["done"] <= total:
            numbers, sharpe = np.array(saved["numbers"], dtype=np.int64), np.array(saved["sharpe"], dtype=np.float64)
            identities = np.array(saved["identities"], dtype=np.uint64)
            return Ranking(keep, numbers, sharpe, identities, saved["feasible"], saved["done"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # missing or damaged: begin anew
    return Ranking(keep)


def _save(checkpoint: Path, key: str, ranking: Ranking) -> None:
    body = {
        "key": key,
        "numbers": ranking.numbers.tolist(),
        "sharpe": ranking.sharpe.tolist(),
        "identities": ranking.identities.tolist(),
        "feasible": ranking.feasible,
        "done": ranking.done,
    }
    write_atomic(checkpoint, orjson.dumps(body), sync=False)
