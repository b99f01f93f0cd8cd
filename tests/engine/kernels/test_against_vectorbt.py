"""The exact simulator against vectorbt's `from_signals`: equal where the semantics are, explained where they are not.

vectorbt is the dependency group `peers`. The tests use it from the Python that BTSWARM_PEER_PYTHON names, or from
this one.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import chain, combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from btswarm.engine.backtest import END, REASONS
from btswarm.engine.bars import Bars
from btswarm.engine.costs import Costs
from btswarm.engine.indicators import ema
from btswarm.engine.kernels import exact
from btswarm.engine.strategies.api import Direction, Params
from btswarm.engine.timeframes import windows

from ..market import walk
from .markets import TURN_DOWN, TURN_UP, Candle, market, params
from .real import candles, days_from

pytestmark = pytest.mark.slow

PEER_PYTHON = "BTSWARM_PEER_PYTHON"
PROGRAM = Path(__file__).with_name("peer_vectorbt.py")
CLOSE = 1e-12  # relative: the same fill, computed in another order


class Told(NamedTuple):
    """A trade as vectorbt tells it; one that is still open at the end has `closed` False."""

    entry: int
    exit: int
    side: int
    entry_price: float
    exit_price: float
    closed: bool


Job = tuple[Bars, list[Params], Costs]
Ask = Callable[[list[Job]], list[list[list[Told]]]]


@pytest.fixture(scope="module")
def ask() -> Ask:
    """Ask vectorbt; skipped with the reason when there is none."""
    python = os.environ.get(PEER_PYTHON) or (sys.executable if importlib.util.find_spec("vectorbt") else None)
    if python is None:
        pytest.skip(f"no vectorbt here: install the group `peers`, or name a Python that has it in {PEER_PYTHON}")

    def ask(jobs: list[Job]) -> list[list[list[Told]]]:
        done = subprocess.run([python, str(PROGRAM)], input=json.dumps([_told(*job) for job in jobs]),
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        answers = json.loads(done.stdout)["trades"]
        return [[[Told(*trade) for trade in trades] for trades in answer] for answer in answers]

    return ask


def _told(bars: Bars, configurations: list[Params], costs: Costs) -> dict[str, Any]:
    columns = {name: getattr(bars, name).tolist() for name in ("time", "open", "high", "low", "close")}
    rest = {"base_minutes": bars.base_minutes, "fee": costs.fee, "slippage": costs.slippage}
    return columns | rest | {"configurations": [one.as_dict() for one in configurations]}


def random_configurations(seed: int, count: int, *, exits: bool) -> list[Params]:
    """Short averages and tight exits, so that a few weeks hold everything. vectorbt has a fixed or a trailing stop."""
    rng = np.random.default_rng(seed)
    directions: tuple[Direction, ...] = ("both", "long", "short")
    drawn = []
    for _ in range(count):
        stop, take, trail = (int(rng.integers(20, 200)) / 10_000 for _ in range(3))
        if not exits:
            stop, take, trail = 0.0, 0.0, 0.0
        elif rng.random() < 0.5:
            stop = 0.0
        else:
            trail = 0.0
        fast, slow = int(rng.choice([5, 15, 30, 45, 60])), int(rng.choice([15, 60, 120, 240]))
        periods = int(rng.integers(2, 15)), int(rng.integers(5, 30))
        drawn.append(Params(fast, periods[0], slow, periods[1], stop, take, trail, directions[rng.integers(3)]))
    return drawn


def some_bars(request: pytest.FixtureRequest) -> list[Bars]:
    """A random walk, and real weeks with the halt of 2023-03-24 in them where there is real data."""
    found = [walk("2023-02-28T10:35", 45, seed=21)]
    if os.environ.get("BTSWARM_TEST_DATA"):
        everything = candles(request.getfixturevalue("market_data"), "SOLUSDT")
        found.append(days_from(everything, "2023-03-01T01:10", 45))
    return found


def test_without_stops_entries_exits_and_fills_are_equal_on_50_configurations(
    ask: Ask, request: pytest.FixtureRequest
) -> None:
    configurations, costs = random_configurations(1, 50, exits=False), Costs(fee=0.0005, slippage=0.0002)
    jobs: list[Job] = [(bars, configurations, costs) for bars in some_bars(request)]
    for (bars, _, _), answers in zip(jobs, ask(jobs), strict=True):
        trades = 0
        for one, told in zip(configurations, answers, strict=True):
            ours = exact.simulate(bars, one, costs, 1.0).trades
            assert len(told) == len(ours)
            for peer, own in zip(told, ours, strict=True):
                assert (peer.entry, peer.exit, peer.side) == (own["entry"], own["exit"], own["side"]), one
                assert peer.entry_price == pytest.approx(own["entry_price"], rel=CLOSE)
                assert peer.closed == (own["reason"] != END)  # vectorbt leaves the last position open
                if peer.closed:
                    assert peer.exit_price == pytest.approx(own["exit_price"], rel=CLOSE)
            trades += len(ours)
        assert trades > 2000


@dataclass(frozen=True)
class Rules:
    """Where the two differ; True is how btswarm has it, False how vectorbt has it."""

    entry_bar_can_exit: bool = True
    """A position opened at this bar's open can be stopped or take on the same bar; vectorbt looks from the next on."""
    peak_counts_entry_bar: bool = True
    """The trailing stop follows the entry bar's high (low for a short); in vectorbt only those of the bars after it."""
    cross_comes_first: bool = True
    """A cross acts at the open, before anything else in its bar; in vectorbt a stop or take anywhere in that bar comes
    first, and the cross is lost: nothing is opened until the next one."""
    open_take_comes_before_inner_stop: bool = True
    """An open beyond the take is before a low beyond the stop; vectorbt looks for the stop in the whole bar first."""
    take_is_a_limit: bool = True
    """A take is filled at its level or a better open; vectorbt's stop orders slip, takes included."""


VECTORBT = Rules(False, False, False, False, False)


class Exit(NamedTuple):
    bar: int
    kind: str
    price: float


def leave(
    bars: list[tuple[float, float, float, float]],
    one: Params,
    slippage: float,
    entry: int,
    end: int,
    s: int,
    rules: Rules,
) -> Exit:
    """Where a position of `entry` is left, when the next cross acts at `end`; in plain Python, under these rules."""
    pe = bars[entry][0] * (1 + s * slippage)
    take = pe * (1 + s * one.take_profit) if one.take_profit else s * np.inf
    peak, slip = pe, 1 - s * slippage
    take_slip = 1.0 if rules.take_is_a_limit else slip
    for j in range(entry, len(bars)):
        opened, high, low, _ = bars[j]
        worst, best = (low, high) if s > 0 else (high, low)
        if j == end and rules.cross_comes_first:
            return Exit(j, "signal", opened * slip)
        if j > entry or rules.entry_bar_can_exit:
            stop = pe * (1 - s * one.stop_loss) if one.stop_loss else -s * np.inf
            if one.trailing_stop:
                stop = peak * (1 - s * one.trailing_stop)
            if j > entry and s * opened <= s * stop:
                return Exit(j, "stop", opened * slip)
            open_take = j > entry and s * opened >= s * take
            if open_take and rules.open_take_comes_before_inner_stop:
                return Exit(j, "take", opened * take_slip)
            if s * worst <= s * stop:
                return Exit(j, "stop", stop * slip)
            if s * best >= s * take:
                return Exit(j, "take", (opened if open_take else take) * take_slip)
        if j == end:
            return Exit(j, "signal", opened * slip)
        if j > entry or rules.peak_counts_entry_bar:
            peak = max(peak, high) if s > 0 else min(peak, low)
    return Exit(len(bars) - 1, "end", bars[-1][3] * slip)


def crosses_of(bars: Bars, one: Params) -> list[tuple[int, int]]:
    """(bar at whose open it acts, side) of every cross; that these are vectorbt's too is the test without stops."""
    fast, slow = windows(bars, one.fast_tf), windows(bars, one.slow_tf)
    averages = ema(fast.close, one.fast_period), ema(slow.close, one.slow_period)
    acting = exact.acting_sides(averages[0], fast.known, averages[1], slow.known, len(bars))
    return [(int(j), int(acting[j])) for j in np.flatnonzero(acting)]


def replay(bars: Bars, one: Params, slippage: float, rules: Rules) -> dict[int, tuple[int, Exit]]:
    """(side, exit) of the trade opened at each bar."""
    rows = list(zip(bars.open.tolist(), bars.high.tolist(), bars.low.tolist(), bars.close.tolist(), strict=True))
    crosses = crosses_of(bars, one)
    wanted = {"both": 0, "long": 1, "short": -1}[one.direction]
    found: dict[int, tuple[int, Exit]] = {}
    lost = -1
    for (bar, side), (end, _) in zip(crosses, [*crosses[1:], (len(rows), 0)], strict=True):
        if wanted in (0, side) and bar != lost:
            left = leave(rows, one, slippage, bar, end, side, rules)
            found[bar] = side, left
            lost = end if left.bar == end and left.kind != "signal" else -1
    return found


def same(one: tuple[int, Exit], other: tuple[int, Exit]) -> bool:
    (side, left), (other_side, other_left) = one, other
    return (side, left.bar) == (other_side, other_left.bar) and left.price == pytest.approx(other_left.price, rel=CLOSE)


def differences(bars: Bars, one: Params, costs: Costs, told: list[Told]) -> Counter[str]:
    """How often btswarm and vectorbt differ by each rule; fails where the rules do not explain a difference.

    Our trades are what the replay says under our rules, vectorbt's what it says under all of its rules: so nothing but
    these rules lies between them. A difference is filed under the rule that alone turns our exit into vectorbt's.
    """
    ours = {
        int(t["entry"]): (int(t["side"]), Exit(int(t["exit"]), REASONS[t["reason"]], float(t["exit_price"])))
        for t in exact.simulate(bars, one, costs, 1.0).trades
    }
    mine, theirs = replay(bars, one, costs.slippage, Rules()), replay(bars, one, costs.slippage, VECTORBT)
    assert ours.keys() == mine.keys()
    assert all(same(ours[entry], mine[entry]) and ours[entry][1].kind == mine[entry][1].kind for entry in ours)
    assert [t.entry for t in told] == list(theirs)
    for t in told:
        side, left = theirs[t.entry]
        assert (t.side, t.exit, t.closed) == (side, left.bar, left.kind != "end"), one
        assert not t.closed or t.exit_price == pytest.approx(left.price, rel=CLOSE), one
    counted: Counter[str] = Counter()
    rows = list(zip(bars.open.tolist(), bars.high.tolist(), bars.low.tolist(), bars.close.tolist(), strict=True))
    ends = {
        bar: end
        for (bar, _), (end, _) in zip(crosses_of(bars, one), [*crosses_of(bars, one)[1:], (-1, 0)], strict=True)
    }
    for entry, (side, left) in ours.items():
        if entry not in theirs:
            assert any(left.bar == entry and left.kind != "signal" for _, left in theirs.values())
            counted["a cross lost to a stop in its bar"] += 1
        elif not same((side, left), theirs[entry]):
            counted[explained(rows, one, costs.slippage, (entry, ends[entry], side), theirs[entry])] += 1
    assert theirs.keys() <= ours.keys()
    return counted


def explained(rows: Any, one: Params, slippage: float, position: tuple[int, int, int], wanted: tuple[int, Exit]) -> str:
    """The names of the fewest rules that, had vectorbt's way, make our exit vectorbt's."""
    names = [field.name for field in fields(Rules)]
    for chosen in chain.from_iterable(combinations(names, count) for count in range(1, len(names) + 1)):
        rules = replace(Rules(), **dict.fromkeys(chosen, False))
        if same((position[2], leave(rows, one, slippage, *position, rules)), wanted):
            return " and ".join(chosen)
    raise AssertionError(f"{one}: the trade of bar {position[0]} ends at {wanted}, and no rule says why")


def test_with_stops_they_differ_by_five_rules_and_by_nothing_else(ask: Ask, request: pytest.FixtureRequest) -> None:
    configurations, costs = random_configurations(2, 50, exits=True), Costs(fee=0.0005, slippage=0.0002)
    jobs: list[Job] = [(bars, configurations, costs) for bars in some_bars(request)]
    for (bars, _, _), answers in zip(jobs, ask(jobs), strict=True):
        counted: Counter[str] = Counter()
        for one, told in zip(configurations, answers, strict=True):
            counted += differences(bars, one, costs, told)
        print(bars.symbol, sum(map(len, answers)), "trades,", dict(counted.most_common()))  # noqa: T201
        for rule in ("entry_bar_can_exit", "peak_counts_entry_bar", "cross_comes_first", "take_is_a_limit"):
            assert counted[rule] > 0
        assert counted["a cross lost to a stop in its bar"] > 0


HOLD: Candle = (100, 101, 100, 101)
SMALL: dict[str, tuple[list[Candle], Params, str]] = {
    "entry bar": ([*TURN_UP, (100, 101, 94, 101), 101, 101], params(stop=0.05), "entry_bar_can_exit"),
    "peak": ([*TURN_UP, (100, 110, 100, 108), (108, 108, 104, 108), 108], params(trail=0.05), "peak_counts_entry_bar"),
    "cross": ([*TURN_UP, HOLD, (101, 101, 96, 96), (97, 97, 90, 97), 97], params(stop=0.05), "cross_comes_first"),
    "both": (
        [*TURN_UP, HOLD, (112, 112, 90, 110), 110],
        params(stop=0.05, take=0.1),
        "open_take_comes_before_inner_stop",
    ),
    "take": ([*TURN_UP, HOLD, (101, 112, 101, 110), 110], params(take=0.1), "take_is_a_limit"),
    "short": ([*TURN_DOWN, (100, 100, 90, 92), (92, 95, 92, 92), 92], params(trail=0.05), "peak_counts_entry_bar"),
}


def test_each_rule_on_a_market_of_a_few_bars(ask: Ask) -> None:
    costs = Costs(fee=0.0, slippage=0.001)
    jobs: list[Job] = [(market(small), [one], costs) for small, one, _ in SMALL.values()]
    for (name, (_, one, rule)), (bars, _, _), (told,) in zip(SMALL.items(), jobs, ask(jobs), strict=True):
        counted = differences(bars, one, costs, told)
        lost = {"a cross lost to a stop in its bar": 1} if name == "cross" else {}
        assert counted == {rule: 1} | lost, name
