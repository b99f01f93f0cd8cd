"""What came of one symbol and mode, read from its artifacts and said so that a person understands it."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..state.errors import BtswarmError
from ..state.models.artifacts import Metrics
from ..state.models.rounds import Figures, Outcome
from ..state.models.trials import AllTrials, TrialRow
from ..state.models.validation import Gate, Section, Validation
from .artifacts import ALL_TRIALS, TEARSHEET, VALIDATION, read_model
from .gates import preflight_warnings

ROBUST = "best_robust"
MEANING = {
    "UNCERTIFIED": "nothing is proven. The best of many tries looks good even where there is nothing to find, and it "
    "was not tested against luck",
    "CERTIFIED": "luck alone rarely does this well. That is no promise for the future",
    "REJECTED": "what was found is what luck alone finds, or too thin to trade",
    "INSUFFICIENT EVIDENCE": "nothing speaks against it, and too little for it, to tell skill from luck",
}


def describe(outcome: Outcome, folder: Path, allow: Collection[str] = ()) -> None:
    """Fill `outcome` with what the artifacts in `folder` say, as far as the stages came."""
    if "preflight" in (time.stage for time in outcome.stages):
        outcome.warnings = _quietly(preflight_warnings, folder, allow) or []
    found = _quietly(read_model, folder / ALL_TRIALS, AllTrials)
    if found is None or ROBUST not in found.best:
        return
    row = next(row for row in found.trials if row.number == found.best[ROBUST])
    _configuration(outcome, row, found.header.search.leverage)
    page = folder / ROBUST / TEARSHEET
    outcome.tearsheet = str(page) if page.is_file() else ""
    if not any(time.stage == "validate" for time in outcome.stages):
        return
    validation = _quietly(read_model, folder / VALIDATION, Validation)
    if validation is not None and validation.candidate.export == found.header.export:
        _judgement(outcome, validation)


def words_of(params: dict[str, Any], leverage: float) -> str:
    """`EMA 23 of 45 min crossing EMA 110 of 4 h, long and short, leverage 2, stop 3.2 %, take 11 %, trailing off`."""
    sides = {"both": "long and short", "long": "long only", "short": "short only"}
    exits = [f"{name} {_percent(params[key])}" for name, key in EXITS]
    fast = f"EMA {params['fast_period']} of {_timeframe(params['fast_tf'])}"
    slow = f"EMA {params['slow_period']} of {_timeframe(params['slow_tf'])}"
    return ", ".join([f"{fast} crossing {slow}", sides[params["direction"]], f"leverage {leverage:g}", *exits])


EXITS = (("stop", "stop_loss"), ("take", "take_profit"), ("trailing", "trailing_stop"))


def _configuration(outcome: Outcome, row: TrialRow, leverage: float) -> None:
    outcome.params, outcome.leverage, outcome.score = row.params, leverage, row.score
    outcome.words = words_of(row.params or {}, leverage)
    outcome.metrics = row.metrics
    outcome.training = _figures(row.metrics)


def _judgement(outcome: Outcome, found: Validation) -> None:
    outcome.verdict = found.verdict
    outcome.meaning = _meaning(found)
    outcome.gates = len(found.gates)
    outcome.gates_failed = [_said(gate) for gate in found.gates if not gate.passed]
    rolling = found.walk_forward_rolling
    outcome.walk_forward = Figures(
        sharpe=_value(rolling, "sharpe"),
        trades=_value(rolling, "trades"),
    )
    outcome.holdout = _figures(found.holdout.metrics)


def _meaning(found: Validation) -> str:
    text = MEANING[found.verdict]
    if not found.split.sufficient:
        text += f" ({found.split.reason}; at least {found.split.needed_days} whole days are needed)"
    if found.holdout.metrics is None:
        figure = found.holdout.figures.get("sharpe")
        reason = figure.reason.removeprefix("not looked at: ") if figure and figure.reason else ""
        text += "; the hold-out was not looked at" + (f": {reason}" if reason and reason not in text else "")
    return text


def _said(gate: Gate) -> str:
    value = "undefined" if gate.value is None else f"{gate.value:.3g}"
    return f"{gate.name} ({value}, must be {gate.rule} {gate.threshold:g})"


def _figures(metrics: Metrics | None) -> Figures | None:
    if metrics is None:
        return None
    names = ("sharpe", "total_return", "annual_return")
    return Figures(
        **{name: metrics.get(name) for name in names},
        max_drawdown=metrics.get("max_drawdown_daily"),
        trades=metrics.get("total_trades"),
    )


def _value(section: Section, name: str) -> float | None:
    figure = section.figures.get(name)
    return None if figure is None else figure.value


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.4g} %" if fraction else "off"


def _timeframe(minutes: int) -> str:
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def _quietly(read: Any, *arguments: Any) -> Any:
    """What `read` gives, None where the artifact is not there or not whole: a summary never fails a run."""
    try:
        return read(*arguments)
    except BtswarmError:
        return None
