"""When the next cycle is due: at the next tick, or at what comes before it; what is long past calls for none."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from btswarm.daemon.observe import Observer
from btswarm.state.models.facts import WorkerView
from btswarm.state.models.records import Stop

from ..agents.world import MONO, NOW, worker
from .workshop import Bench

TICK = MONO + 5.0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def due(bench: Bench, *workers: WorkerView) -> float:
    nobody: Any = None
    observer = Observer(bench.swarm, nobody, SimpleNamespace(undecided={}), nobody)  # type: ignore[arg-type]
    return observer.due(bench.seen(workers=workers), TICK)


def stopped(state: str, due_s: float) -> WorkerView:
    one = worker("cpu000@1", "cmd/fill.0")
    stop = Stop(3, "stuck", NOW - 30.0, NOW + due_s)
    return replace(one, record=replace(one.record, state=state, stop=stop))  # type: ignore[arg-type]


def test_the_next_rung_of_a_ladder_is_a_deadline(bench: Bench) -> None:
    assert due(bench, stopped("stopping", 2.0)) == MONO + 2.0
    assert due(bench, stopped("stopping", -1.0)) == MONO


@pytest.mark.parametrize("state", ["lost", "exited"])
def test_whom_no_signal_ends_is_looked_at_in_every_tick_and_not_without_end(bench: Bench, state: str) -> None:
    assert due(bench, stopped(state, -20.0)) == TICK
