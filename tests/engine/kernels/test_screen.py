"""The screen as a whole: threads, progress, interruption, refusals, segments."""

import threading
from typing import Any

import numpy as np
import pytest

from btswarm.engine.costs import Costs
from btswarm.engine.kernels import cpu
from btswarm.engine.kernels.exact import simulate
from btswarm.engine.kernels.market import Market
from btswarm.engine.metrics import metrics
from btswarm.engine.strategies.api import Combos, Params, combos_of
from btswarm.engine.strategies.mtf_ema import draw, space_for
from btswarm.state.errors import BadConfig

from ..market import walk

SPACE = space_for("balanced")


@pytest.fixture(scope="module")
def prepared() -> Market:
    return cpu.prepare(walk(days=60, seed=4), SPACE)


@pytest.fixture(scope="module")
def combos() -> Combos:
    return draw(SPACE, 2, 0, 6000)


def as_bytes(screened: cpu.Screened) -> list[list[bytes]]:
    """Of each array, the bytes of each combo."""
    arrays: list[np.ndarray[Any, Any]] = [
        screened.sharpe,
        screened.total_return,
        screened.max_drawdown_daily,
        screened.trades,
    ]
    arrays += [part for part in (screened.sums, screened.segment_trades) if part is not None]
    return [[row.tobytes() for row in array] for array in arrays]


EDGES = np.array([0, 1, 20, 21, 59, 60], dtype=np.int64)


def test_the_number_of_threads_does_not_change_a_byte(prepared: Market, combos: Combos) -> None:
    one, two, three = (
        cpu.screen(prepared, combos, Costs(), 2.0, threads=threads, segments=EDGES) for threads in (1, 2, 3)
    )
    assert as_bytes(one) == as_bytes(two) == as_bytes(three)
    assert one.trades.sum() > 10_000


def test_neither_does_preparing_on_more_threads(prepared: Market, combos: Combos) -> None:
    again = cpu.prepare(prepared.bars, SPACE, threads=3)
    assert as_bytes(cpu.screen(again, combos[:500], Costs(), 2.0)) == as_bytes(
        cpu.screen(prepared, combos[:500], Costs(), 2.0)
    )


def test_a_combo_is_screened_alike_alone_and_among_others(prepared: Market, combos: Combos) -> None:
    together = cpu.screen(prepared, combos, Costs(), 2.0, segments=EDGES)
    for k in (0, 1, 999, 5999):
        alone = cpu.screen(prepared, combos[k : k + 1], Costs(), 2.0, segments=EDGES)
        assert [part[0] for part in as_bytes(alone)] == [part[k] for part in as_bytes(together)]


def test_the_order_of_combos_is_kept(prepared: Market, combos: Combos) -> None:
    shuffled = np.random.default_rng(0).permutation(len(combos))
    together = cpu.screen(prepared, combos, Costs(), 2.0)
    other = cpu.screen(prepared, combos[shuffled], Costs(), 2.0)
    assert other.sharpe.tobytes() == together.sharpe[shuffled].tobytes()


def test_segments_do_not_change_the_totals_but_in_the_last_bits(prepared: Market, combos: Combos) -> None:
    whole = cpu.screen(prepared, combos, Costs(), 2.0)
    parts = cpu.screen(prepared, combos, Costs(), 2.0, segments=EDGES)
    assert whole.sums is None
    assert whole.segment_trades is None
    assert parts.sums is not None
    assert parts.segment_trades is not None
    assert parts.sums.shape == (6000, 5, 4)
    assert (parts.segment_trades.sum(axis=1) == whole.trades).all()
    np.testing.assert_allclose(parts.sharpe, whole.sharpe, rtol=1e-9)
    assert parts.total_return.tobytes() == whole.total_return.tobytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_progress_is_told_from_the_calling_thread_and_ends_at_all(
    prepared: Market, combos: Combos, threads: int
) -> None:
    told: list[tuple[int, int]] = []
    cpu.screen(
        prepared, combos, Costs(), 2.0, threads=threads, on_batch=lambda n: told.append((n, threading.get_ident()))
    )
    counts = [n for n, _ in told]
    assert counts == sorted(set(counts))
    assert counts[-1] == len(combos)
    assert {thread for _, thread in told} == {threading.get_ident()}


@pytest.mark.parametrize("threads", [1, 2])
def test_what_on_batch_raises_ends_the_screen_and_its_threads(prepared: Market, combos: Combos, threads: int) -> None:
    class Enough(Exception):
        pass

    calls: list[int] = []

    def stop(done: int) -> None:
        calls.append(done)
        raise Enough

    before = set(threading.enumerate())
    with pytest.raises(Enough):
        cpu.screen(prepared, combos, Costs(), 2.0, threads=threads, on_batch=stop)
    assert len(calls) == 1
    assert set(threading.enumerate()) == before
    assert cpu.screen(prepared, combos[:10], Costs(), 2.0, threads=threads).trades.sum() > 0


def test_an_interrupt_from_the_keyboard_ends_it_too(prepared: Market, combos: Combos) -> None:
    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cpu.screen(prepared, combos, Costs(), 2.0, threads=2, on_batch=interrupt)


def test_no_combos_give_empty_arrays(prepared: Market) -> None:
    screened = cpu.screen(prepared, combos_of([]), Costs(), 2.0, segments=EDGES)
    assert screened.sharpe.shape == (0,)
    assert screened.sums is not None
    assert screened.sums.shape == (0, 5, 4)


@pytest.mark.parametrize(
    ("params", "costs", "named"),
    [
        (Params(15, 5, 60, 20, 0.0, 0.1, 0.0, "both"), Costs(), "needs a stop_loss"),
        (Params(15, 5, 60, 20, 0.0004, 0.1, 0.0, "both"), Costs(), "twice the slippage"),
        (Params(20, 5, 60, 20, 0.05, 0.1, 0.0, "both"), Costs(), "fast_tf is not in the space"),
        (Params(15, 5, 90, 20, 0.05, 0.1, 0.0, "both"), Costs(), "slow_tf is not in the space"),
        (Params(15, 4, 60, 20, 0.05, 0.1, 0.0, "both"), Costs(), "fast_period lies outside the space's 5-50"),
        (Params(15, 5, 60, 201, 0.05, 0.1, 0.0, "both"), Costs(), "slow_period lies outside the space's 20-200"),
        (Params(17, 5, 60, 20, 0.05, 0.1, 0.0, "both"), Costs(), "no multiple of the data's 5 minutes"),
    ],
)
def test_what_it_cannot_screen_is_refused(prepared: Market, params: Params, costs: Costs, named: str) -> None:
    with pytest.raises(BadConfig, match=named):
        cpu.screen(prepared, combos_of([params]), costs, 2.0)


def test_a_space_that_does_not_fit_the_bars_is_refused() -> None:
    with pytest.raises(BadConfig, match="timeframe 15 is no multiple of the data's 10 minutes"):
        cpu.prepare(walk(days=3, minutes=10), SPACE)


@pytest.mark.parametrize("funding", [0.0003, -0.001])
def test_funding_is_charged_as_the_exact_simulator_charges_it(prepared: Market, combos: Combos, funding: float) -> None:
    costs = Costs(funding=funding)
    screened = cpu.screen(prepared, combos[:100], costs, 2.0)
    for k, row in enumerate(combos[:100]):
        exact = metrics(simulate(prepared.bars, Params.from_row(row), costs, 2.0))
        assert screened.trades[k] == exact["total_trades"]
        assert screened.total_return[k] == pytest.approx(exact["total_return"], abs=1e-12)
        assert screened.max_drawdown_daily[k] == pytest.approx(exact["max_drawdown_daily"], abs=1e-12)


@pytest.mark.parametrize("edges", [[0, 59], [1, 60], [0, 30, 30, 60], [0, 61]])
def test_segments_that_do_not_cover_the_days_once_are_a_programmers_error(
    prepared: Market, combos: Combos, edges: list[int]
) -> None:
    with pytest.raises(ValueError, match="segments must rise from 0"):
        cpu.screen(prepared, combos[:10], Costs(), 2.0, segments=np.array(edges, dtype=np.int64))
