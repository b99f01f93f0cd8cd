"""Is there anything here that order in time explains? The whole selection, repeated on markets that hold nothing.

Notation: B null markets of each kind, numbered from 1; s the statistic of the real market, s_i that of null market i; a
tie counts against. After h of them reached s, no more are needed: p = h / l with l how many it took (Besag and Clifford
1991, Sequential Monte Carlo p-values, Biometrika 78(2)); else p = (1 + k) / (B + 1) with k that reached it (Phipson and
Smyth 2010). The larger p of the two kinds counts. A null market depends on the candles and its number, and the rule is
applied in the order of the numbers: threads and interruptions change nothing.
"""

import math
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import orjson

from ...state.files import write_atomic
from ..artifacts import versions
from ..bars import Bars
from ..kernels import cpu
from ..kernels.market import Market
from ..kernels.rebuild import Rebuilder
from .permutation import KINDS, Kind, Source, null_market, source_of
from .selection import Selection

STOP_AFTER = 10
CHECKPOINT = ".search_null.json"
MEMORY_BYTES = 3 << 30  # what the markets of all threads together may take


@dataclass
class NullRun:
    """One kind of null market: `statistics` in the order of their numbers, as many as were needed."""

    kind: Kind
    observed: float
    wanted: int
    stop_after: int = STOP_AFTER
    statistics: list[float] = field(default_factory=list)

    @property
    def exceedances(self) -> int:
        return sum(one >= self.observed for one in self.statistics)

    @property
    def stopped(self) -> bool:
        """Whether enough of them reached the observed statistic to know that p is not small."""
        return self.exceedances >= self.stop_after

    @property
    def done(self) -> bool:
        return self.stopped or len(self.statistics) >= self.wanted

    @property
    def p(self) -> float:
        """NaN before it is done, or when none was wanted."""
        if not self.done or self.wanted < 1:
            return math.nan
        if self.stopped:
            return self.stop_after / len(self.statistics)
        return (1 + self.exceedances) / (self.wanted + 1)


@dataclass(frozen=True)
class SearchNull:
    """The statistic of the real market, -inf when no combo has enough trades, and both kinds of null.

    seed: the words the null markets are drawn by.
    """

    observed: float
    runs: tuple[NullRun, ...]
    seed: tuple[int, ...] = ()

    @property
    def p(self) -> float:
        """The larger of the two; NaN when none was wanted."""
        return max((run.p for run in self.runs), default=math.nan)

    @property
    def luck(self) -> float:
        """The mean best Sharpe ratio on the null markets of the kind on which it is larger; NaN where there is none."""
        found = [[one for one in run.statistics if math.isfinite(one)] for run in self.runs]
        return max((float(np.mean(values)) for values in found if values), default=math.nan)


class Checkpoint:
    """What was computed so far, in one small file. Statistics are kept; how many are wanted may change."""

    def __init__(self, path: Path | None, key: str) -> None:
        self._path, self._key = path, key
        self.observed: float | None = None
        self.statistics: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
        self._load()

    def save(self) -> None:
        if self._path is None or self.observed is None:
            return
        body = {
            "key": self._key,
            "observed": _plain(self.observed),
            "statistics": {kind: [_plain(one) for one in found] for kind, found in self.statistics.items()},
        }
        write_atomic(self._path, orjson.dumps(body), sync=False)

    def _load(self) -> None:
        if self._path is None:
            return
        try:
            saved = orjson.loads(self._path.read_bytes())
            if saved["key"] == self._key:
                statistics = {kind: [_number(one) for one in saved["statistics"][kind]] for kind in KINDS}
                self.observed, self.statistics = _number(saved["observed"]), statistics
        except (OSError, ValueError, KeyError, TypeError):
            pass  # missing or damaged: begin anew


def search_null(
    bars: Bars,
    selection: Selection,
    count: int,
    *,
    stop_after: int = STOP_AFTER,
    threads: int = 1,
    checkpoint: Path | None = None,
    on_market: Callable[[int], None] = lambda done: None,
) -> SearchNull:
    """Both nulls of the training `bars`, `count` markets of each at the most.

    on_market: told how many null markets are done, those spared by stopping early included; what it raises ends the
    work, and what was computed stays in `checkpoint`. Raises BadConfig when the space does not fit the bars.
    """
    if count < 1:
        return SearchNull(math.nan, tuple(NullRun(kind, math.nan, 0) for kind in KINDS))
    selection.refuse_misfits(bars)
    kept = Checkpoint(checkpoint, key_of(bars, selection))
    real = cpu.prepare(bars, selection.space, threads=threads)
    if kept.observed is None:
        kept.observed = selection.best(real)
        kept.save()
    source, rooms = source_of(bars), Rooms(real, threads)
    runs = []
    for number, kind in enumerate(KINDS):
        run = NullRun(kind, kept.observed, count, stop_after)
        before = number * count
        for value in _statistics(source, selection, kind, kept, rooms, count):
            run.statistics.append(value)
            on_market(before + (count if run.done else len(run.statistics)))
            if run.done:
                break
        runs.append(run)
    return SearchNull(kept.observed, tuple(runs), source.seed)


def key_of(bars: Bars, selection: Selection) -> str:
    """What must be equal for statistics to be the same."""
    rules = (selection.effort, selection.costs, selection.min_trades)
    return f"{bars.sha256} {selection.space.sha256} {rules} {versions()}"


class Rooms:
    """One rebuilder for each thread that works, and no more threads than fit into the memory."""

    def __init__(self, real: Market, threads: int) -> None:
        size = sum(bank.values.nbytes for bank in (*real.fast, *real.slow))
        size += sum(grid.fast.nbytes for grid in real.grids) + 8 * real.prices.tiles.nbytes
        self.count = max(1, min(threads, MEMORY_BYTES // max(1, size)))
        self._real = real
        self._free: queue.SimpleQueue[Rebuilder] = queue.SimpleQueue()

    def statistic(self, selection: Selection, bars: Bars) -> float:
        """The selection on one null market, in a room of its own."""
        try:
            room = self._free.get_nowait()
        except queue.Empty:
            room = Rebuilder(self._real)
        try:
            return selection.best(room.rebuild(bars))
        finally:
            self._free.put(room)


def _statistics(
    source: Source, selection: Selection, kind: Kind, kept: Checkpoint, rooms: Rooms, count: int
) -> Iterator[float]:
    """The statistics 1..count in order: those kept, then new ones, each kept as it comes."""
    known = kept.statistics[kind]
    yield from islice(list(known), count)
    waiting: list[Future[float]] = []
    following = iter(range(len(known) + 1, count + 1))
    with ThreadPoolExecutor(max_workers=rooms.count) as pool:

        def begin(number: int) -> None:
            waiting.append(pool.submit(lambda: rooms.statistic(selection, null_market(source, kind, number))))

        try:
            for number in islice(following, rooms.count):
                begin(number)
            while waiting:
                value = waiting.pop(0).result()
                for number in islice(following, 1):
                    begin(number)
                known.append(value)
                kept.save()
                yield value
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _plain(value: float) -> float | None:
    """JSON knows no infinity: -inf is null."""
    return value if np.isfinite(value) else None


def _number(value: object) -> float:
    if value is None:
        return -math.inf
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no statistic")
    return float(value)
