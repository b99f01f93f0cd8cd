"""A sheet from a `best_*` folder: its configuration simulated again, exactly, on the training bars it was chosen on.

Only `best_robust` is ever shown on the hold-out, and only when a validation has looked at it there before: drawing a
page must never be a look that nobody entered.
"""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ...state.errors import BadData
from ...state.models.trials import BestConfig, BestMetrics
from ...state.models.validation import Validation
from ..artifacts import ALL_TRIALS, PHASE0, VALIDATION, read_model
from ..backtest import Backtest, trades_as_rows
from ..bars import DAY_MS, Bars
from ..costs import Costs
from ..kernels.exact import simulate
from ..metrics import jsonable, metrics
from ..split import iso_day
from ..strategies.api import Params
from . import words
from .figures import matched
from .sheet import HOLD_OUT, TRAINING, Reproduction, Sheet, Stretch, Trade
from .validated import HoldOut, hold_out_of, is_about, read_validation

CANDIDATE = "best_robust"
TITLES = {
    "best_sharpe": "Highest Sharpe",
    "best_returns": "Highest return",
    "lowest_drawdown": "Lowest drawdown",
    "best_winrate": "Highest win rate",
    "best_robust": "Most robust",
}
CONFIG, METRICS, PARAMS_FILE = "config.json", "metrics.json", "params.json"
CLOSE = 1e-9  # relative difference below which two computations of a metric are the same


@dataclass(frozen=True)
class Setup:
    """What a `best_*` folder says, as the simulator takes it."""

    config: BestConfig
    params: Params
    costs: Costs

    @property
    def leverage(self) -> float:
        return self.config.search.leverage


def sheet_of(folder: Path, bars: Bars) -> Sheet:
    """The sheet of one folder. `bars` are all candles of the market, or at least the training ones.

    Raises InputGone without a config.json, BadData when it is damaged or was computed on other candles.
    """
    config = read_model(folder / CONFIG, BestConfig)
    setup = Setup(config, Params.parse(config.params), Costs(**config.search.costs.model_dump()))
    candidate = folder.name == CANDIDATE
    validation, notes = _validation(folder, setup) if candidate else (None, [])
    training = _training(bars, config, folder)
    result = simulate(training, setup.params, setup.costs, setup.leverage)
    stretches = [_stretch(TRAINING, training, 0, result, setup.leverage)]
    if validation and (held := hold_out_of(validation, bars)):
        stretches.append(_held(held, bars, setup))
        notes += _hold_out_differences(stretches[1], validation)
    return Sheet(
        name=folder.name,
        eyebrow=_eyebrow(config, training),
        title=f"{TITLES.get(folder.name, folder.name)} configuration",
        summary=_sentence(setup),
        stretches=stretches,
        reproduction=_reproduction(setup),
        candidate=candidate,
        synthetic=config.search.data.synthetic or bars.synthetic,
        validation=validation,
        tried=_tried(folder.parent),
        benchmark_name="Buy and hold at the same exposure",
        benchmark_note=_benchmark_note(stretches, setup.leverage),
        notes=[*_differences(folder, stretches[0]), *notes],
    )


def _validation(folder: Path, setup: Setup) -> tuple[Validation | None, list[str]]:
    """The validation of this very configuration, or a note that the one beside it is of another."""
    found = read_validation(folder.parent / VALIDATION)
    if found is None or is_about(found, setup.params, setup.leverage):
        return found, []
    return None, [f"{VALIDATION} is about another configuration, which stood here before; run certify again."]


def _training(bars: Bars, config: BestConfig, folder: Path) -> Bars:
    """A copy of exactly the bars the configuration was chosen on: nothing after them is within reach."""
    data = config.search.data
    start, stop = (int(one) for one in bars.time.searchsorted((data.first, data.last + 1)))
    training = bars.slice(start, stop)
    if len(training) == 0 or training.sha256 != data.sha256:
        raise BadData(
            f"{folder / CONFIG} was computed on other candles of {data.symbol} than these",
            fix=f"give the data it names ({data.source or 'synthetic'}), or run the search again",
        )
    return training


def _held(held: HoldOut, bars: Bars, setup: Setup) -> Stretch:
    """Series use all earlier bars; trading starts flat at the first bar of the hold-out."""
    seen = bars.slice(0, held.stop)
    result = simulate(seen, setup.params, setup.costs, setup.leverage, trade_from=held.start)
    return _stretch(HOLD_OUT, seen, held.start, result, setup.leverage)


def _stretch(name: str, bars: Bars, start: int, result: Backtest, leverage: float) -> Stretch:
    found = metrics(result)
    exposure = found["exposure"] if math.isfinite(found["exposure"]) else 0.0
    day = bars.day[start:]
    closes = bars.close[start:][[*(day[1:] != day[:-1]).nonzero()[0], len(day) - 1]]
    return Stretch(
        name=name,
        day=result.day,
        equity=result.equity,
        metrics=jsonable(found),
        trades=[Trade(**row) for row in trades_as_rows(result.trades, bars)],  # type: ignore[arg-type]
        benchmark=matched(closes, float(bars.open[start]), exposure * leverage),
        weight=exposure * leverage,
        market=float(bars.close[-1] / bars.open[start] - 1.0),
        bar_ms=bars.base_ms,
    )


def _benchmark_note(stretches: list[Stretch], leverage: float) -> str:
    apart = len(stretches) > 1
    shares = [
        words.percent(part.metrics["exposure"], 0).text + (f" in the {part.name.lower()}" if apart else "")
        for part in stretches
    ]
    plain = [
        words.percent(part.market, 0, signed=True).text + (f" in the {part.name.lower()}" if apart else "")
        for part in stretches
    ]
    return (
        f"Dashed: the market held at the same exposure, {' and '.join(shares)} of the time at {leverage:g}× leverage, "
        f"rebalanced daily, without costs. Plain buy and hold made {' and '.join(plain)}."
    )


def _eyebrow(config: BestConfig, training: Bars) -> str:
    search = config.search
    frame = words.timeframe(training.base_minutes)
    return f"{search.symbol} · {search.mode} · {frame} candles{' · synthetic' if search.data.synthetic else ''}"


def _sentence(setup: Setup) -> str:
    """The configuration in words."""
    p = setup.params
    sides = {"both": "Long and short", "long": "Long only", "short": "Short only"}[p.direction]
    exits = [
        f"a {words.percent(x).text} {name}" if x else f"no {name}"
        for name, x in (("stop", p.stop_loss), ("take profit", p.take_profit), ("trailing stop", p.trailing_stop))
    ]
    return (
        f"{sides} where the {p.fast_period}-period EMA of {words.timeframe(p.fast_tf)} bars crosses the "
        f"{p.slow_period}-period EMA of {words.timeframe(p.slow_tf)} bars, at {setup.leverage:g}× leverage, with "
        f"{exits[0]}, {exits[1]} and {exits[2]}."
    )


def _tried(folder: Path) -> Mapping[str, int]:
    """How much was tried to find this: combos screened and trials, as far as the artifacts beside it say."""
    found = {}
    for stage, file, name in (("prescreen", PHASE0, "volume"), ("optimize", ALL_TRIALS, "told")):
        try:
            header = orjson.loads((folder / file).read_bytes())["header"]
            found[stage] = int(header[name])
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            continue
    return found


def _differences(folder: Path, training: Stretch) -> list[str]:
    """A note when the stored metrics are not the ones that come out now; the page shows those that come out now."""
    path = folder / METRICS
    if not path.exists():
        return []
    stored = read_model(path, BestMetrics).metrics
    differing = [name for name, x in training.metrics.items() if name in stored and not _same(x, stored[name])]
    if not differing:
        return []
    return [
        f"Computed again, {', '.join(differing)} came out different from {METRICS}: another version wrote that file."
    ]


def _hold_out_differences(held: Stretch, validation: Validation) -> list[str]:
    stored = validation.holdout.metrics or {}
    differing = [name for name, x in held.metrics.items() if name in stored and not _same(x, stored[name])]
    if not differing:
        return []
    return [
        f"On the hold-out, {', '.join(differing)} came out different from {VALIDATION}: other candles, or a version."
    ]


def _same(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=CLOSE, abs_tol=1e-12)


def _reproduction(setup: Setup) -> Reproduction:
    config, search = setup.config, setup.config.search
    data = search.data
    rows: list[tuple[str, str]] = [
        ("Data", data.source or "synthetic market"),
        ("Data hash", f"sha256 {data.sha256}"),
        ("Training", f"{words.stamp(data.first)} to {words.stamp(data.last)}, {data.rows:,} bars"),
        ("Costs", _costs(setup.costs)),
        ("Leverage", f"{setup.leverage:g}×, fixed by the mode {search.mode}"),
        ("Strategy", f"{search.strategy}, space {search.space_sha256[:16]}"),
        ("Seed", f"{search.seed} of the study, trial {config.trial}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in sorted(search.versions.items()))),
    ]
    return Reproduction(
        rows=rows,
        files=[(PARAMS_FILE, orjson.dumps([config.params], option=orjson.OPT_INDENT_2).decode())],
        command=_command(setup),
        note="The same parameters, costs and bars give the same trades, to the last bit.",
    )


def _costs(costs: Costs) -> str:
    parts = [
        f"fee {words.percent(costs.fee, 3).text} a side",
        f"slippage {words.percent(costs.slippage, 3).text} a fill",
    ]
    return ", ".join([*parts, f"funding {words.percent(costs.funding, 3).text}" if costs.funding else "no funding"])


def _command(setup: Setup) -> str:
    """On the training days alone: whoever runs it sees nothing of the hold-out."""
    data = setup.config.search.data
    options: list[tuple[str, Any]] = [
        ("--params-file", PARAMS_FILE),
        ("--data-path", data.source or "synthetic"),
        ("--symbol", data.symbol),
        ("--from", iso_day(data.first // DAY_MS)),
        ("--to", iso_day(data.last // DAY_MS)),
        ("--leverage", f"{setup.leverage:g}"),
        ("--fee", setup.costs.fee),
        ("--slippage", setup.costs.slippage),
        ("--funding", setup.costs.funding),
    ]
    arguments = [word for name, value in options for word in (name, str(value))]
    return shlex.join(["btswarm", "backtest", *arguments, "--trades", "--json"])
