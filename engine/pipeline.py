"""The main job in the foreground: every stage for every symbol and mode, in order, gated, and resumable.

Candles are read before anything is written. Then this process holds the results root, goes on with the plan's round,
and takes one symbol and mode after the other, each with all cores. One that fails does not stop the others.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..state.errors import BtswarmError, CannotWrite, ExitCode, GateFailed, NoPermission, Stopped
from ..state.models.config import Disk
from ..state.models.rounds import Outcome, Round, State, Summary
from ..state.symbols import canonical
from . import rounds
from .artifacts import write_model
from .bars import Bars
from .case import Case
from .plan import Plan
from .publish import publish, published_rounds
from .reporters import Display
from .stages import load_market
from .stopping import Stop
from .summary import describe

SUMMARY = "summary.json"
FATAL = (CannotWrite, NoPermission, Stopped)  # the next symbol and mode would fare no better
SEARCH_ON = "this plan was finished before; --new-round searches further, with fresh seeds"


@dataclass
class Market:
    """One market of the plan: its candles, or why there are none. `excerpt`: what --last-days leaves of them."""

    symbol: str
    bars: Bars | None = None
    excerpt: Bars | None = None
    error: BtswarmError | None = None


def run(
    plan: Plan, display: Display, stop: Stop, *, new_round: bool = False, floor_mb: int = Disk().floor_mb
) -> Summary:
    """Run the plan to its end, or to where `stop` is raised; the summary says which.

    Raises, with nothing written: BadConfig for a plan that cannot work, what reading the candles raises when no market
    is left, NoPermission when another run holds the results root.
    """
    began = time.perf_counter()
    stop.check()
    plan.check()
    markets = load_markets(plan, stop)
    with rounds.only_run(plan.results):
        data = {market.symbol: market.bars.sha256 for market in markets if market.bars}
        identity = plan.identity([market.symbol for market in markets])
        found = rounds.choose(plan.results, identity, plan.seed, data, new=new_round)
        notes = [note for note in (plan.backend.note, SEARCH_ON if found.complete else "") if note]
        rounds.save(plan.results, found)
        rounds.sweep(rounds.lane_folder(plan.results, found.number))
        session = Session(plan, found, display, stop, {"allow": plan.allow, "floor_mb": floor_mb})
        return session.finish(session.run(markets), notes, began)


def load_markets(plan: Plan, stop: Stop) -> list[Market]:
    """The candles of every symbol. Raises the first refusal when there are none at all."""
    markets: dict[str, Market] = {}
    for asked in plan.symbols or ("",):
        market = _load(plan, asked)
        stop.check()  # first: a terminal's Ctrl-C also reaches the process that reads the candles
        markets.setdefault(market.symbol, market)
    errors = [market.error for market in markets.values() if market.error]
    if len(errors) == len(markets):
        raise errors[0]
    return list(markets.values())


def _load(plan: Plan, asked: str) -> Market:
    try:
        bars = load_market(plan.data, asked)
        return Market(bars.symbol, bars, bars if plan.last_days is None else bars.last_days(plan.last_days))
    except BtswarmError as error:
        return Market(canonical(asked) if asked else "", error=error)


class Session:
    """One process at work on one round. The caller holds the results root."""

    def __init__(self, plan: Plan, found: Round, display: Display, stop: Stop, preflight: dict[str, Any]) -> None:
        self._plan, self._round = plan, found
        self._display, self._stop = display, stop
        self._preflight = preflight
        self._ended = False

    def run(self, markets: list[Market]) -> list[Outcome]:
        """Every symbol and mode in the plan's order; those after a stop or a full disk are left waiting."""
        return [self._outcome(market, mode) for market in markets for mode in self._plan.modes]

    def finish(self, outcomes: list[Outcome], notes: list[str], began: float) -> Summary:
        """Write the summary, mark the round complete if it is, and let old rounds go."""
        plan, found = self._plan, self._round
        found.complete = all(one.state in ("done", "closed") for one in outcomes)
        told = Summary(
            round=found.number,
            lane=found.lane,
            synthetic=plan.synthetic,
            complete=found.complete,
            exit_code=_exit_code(outcomes),
            seconds=round(time.perf_counter() - began, 3),
            backend=plan.backend.name,
            threads=plan.threads,
            seed=found.seed,
            data=plan.data,
            results=str(plan.results),
            notes=notes,
            outcomes=outcomes,
        )
        try:
            write_model(rounds.lane_folder(plan.results, found.number) / SUMMARY, told)
            rounds.save(plan.results, found)
        except CannotWrite as error:
            told.notes.append(error.line())
            told.exit_code = told.exit_code or error.code
        if found.complete:
            removed = rounds.prune(plan.results, plan.keep_rounds, published_rounds(plan.results))
            told.notes += [f"removed round {number}: results.keep_rounds is {plan.keep_rounds}" for number in removed]
        return told

    def _outcome(self, market: Market, mode: str) -> Outcome:
        outcome = Outcome(symbol=market.symbol, mode=mode, state="waiting")
        if market.bars is None or market.excerpt is None:
            return _ended(outcome, market.error or BtswarmError("no candles"))
        if self._ended:
            return outcome
        folder = rounds.lane_folder(self._plan.results, self._round.number) / market.symbol / mode
        outcome.folder = str(folder)
        try:
            case = Case(self._plan, self._round, folder, market.bars, market.excerpt, mode)
        except BtswarmError as error:
            return self._failed(outcome, error)
        try:
            case.run(self._display, self._stop, self._preflight)
            outcome.state = "done"
        except BtswarmError as error:
            outcome = self._failed(outcome, error)
        outcome.stages = case.times
        describe(outcome, folder, self._plan.allow)
        return self._publish(outcome, folder)

    def _publish(self, outcome: Outcome, folder: Path) -> Outcome:
        """What was optimized is published even if its validation failed; not what was only interrupted."""
        if outcome.state == "interrupted" or outcome.params is None:
            return outcome
        try:
            outcome.published = publish(self._plan.results, folder, outcome.symbol, outcome.mode)
        except BtswarmError as error:
            return self._failed(outcome, error)
        return outcome

    def _failed(self, outcome: Outcome, error: BtswarmError) -> Outcome:
        self._ended = self._ended or isinstance(error, FATAL)
        if not isinstance(error, Stopped):
            self._display.say(f"{outcome.symbol} {outcome.mode}: {error.line()}")
        return _ended(outcome, error)


def _ended(outcome: Outcome, error: BtswarmError) -> Outcome:
    states: dict[type[BtswarmError], State] = {Stopped: "interrupted", GateFailed: "closed"}
    outcome.state = states.get(type(error), "failed")
    outcome.code, outcome.message, outcome.fix = int(error.code), error.message, error.fix
    return outcome


def _exit_code(outcomes: list[Outcome]) -> int:
    """0 when all completed, 75 after a stop, else the code of the first that did not complete."""
    if any(one.state == "interrupted" for one in outcomes):
        return ExitCode.STOPPED
    return next((one.code for one in outcomes if one.code), ExitCode.OK)
