"""The stage on a small market: its artifact against every combo simulated exactly, and that no interruption shows."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from btswarm.engine import prescreen
from btswarm.engine.artifacts import read_phase0
from btswarm.engine.costs import Costs
from btswarm.engine.kernels.exact import simulate
from btswarm.engine.metrics import jsonable, metrics
from btswarm.engine.progress import Silent
from btswarm.engine.strategies.api import Params
from btswarm.engine.strategies.mtf_ema import draw, space_for
from btswarm.state.errors import BadConfig, GpuUnavailable, Stopped
from btswarm.state.models.artifacts import Phase0
from btswarm.state.models.jobs import Claims, Inputs, Job, Volume

from .market import walk

MODE = "aggressive"
OVERRIDE = {"fast_period": [5, 20], "slow_period": [20, 60], "max_drawdown": 0.45}
SPACE = space_for(MODE, OVERRIDE)
BARS = walk(days=120, seed=5)
COMBOS, BATCH, TOP = 700, 100, 40
LEAST = 40  # trades


def job_for(folder: Path, *, combos: int = COMBOS, batch: int = BATCH, top_k: int = TOP, **changed: Any) -> Job:
    given = {
        "job": f"r1/SOLUSDT/{MODE}/prescreen",
        "stage": "prescreen",
        "symbol": "SOLUSDT",
        "mode": MODE,
        "out_dir": str(folder),
        "inputs": Inputs(data="unused"),
        "volume": Volume(combos=combos, batch=batch, top_k=top_k),
        "space": dict(OVERRIDE),
        "seed": 7,
        "min_trades": LEAST,
    }
    return Job.model_validate(given | changed)


@dataclass
class Heard(Silent):
    """What the stage said; asks it to stop once so many combos are done."""

    stop_at: int | None = None
    lines: list[str] = field(default_factory=list)
    started: list[int] = field(default_factory=list)

    def line(self, text: str) -> None:
        self.lines.append(text)

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        if checkpoint is not None:
            self.started.append(checkpoint)
        if self.stop_at is not None and done >= self.stop_at:
            raise Stopped("stopped")


def screened(folder: Path, heard: Heard | None = None, **options: Any) -> Phase0:
    (path,) = prescreen.run(job_for(folder, **options), BARS, heard or Heard())
    return read_phase0(path)


def stopped(folder: Path, at: int, **options: Any) -> None:
    with pytest.raises(Stopped):
        screened(folder, Heard(stop_at=at), **options)
    assert not (folder / "phase0_top500.json").exists()


def facts(found: Phase0) -> dict[str, Any]:
    return found.model_dump(exclude={"header": {"timings"}})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Phase0:
    return screened(tmp_path_factory.mktemp("whole"))


Ranked = list[tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def exactly() -> Ranked:
    """Every combo simulated exactly: number and metrics, by number."""
    rows = draw(SPACE, 7, 0, COMBOS)
    return [(n, metrics(simulate(BARS, Params.from_row(row), Costs(), SPACE.leverage))) for n, row in enumerate(rows)]


def is_feasible(found: dict[str, Any]) -> bool:
    return bool(found["total_trades"] >= LEAST and found["max_drawdown_daily"] <= 0.45)


# what it leaves


def test_its_rows_are_the_best_feasible_combos_of_all_simulated_exactly(whole: Phase0, exactly: Ranked) -> None:
    ranked = sorted((one for one in exactly if is_feasible(one[1])), key=lambda one: (-one[1]["sharpe"], one[0]))
    assert [row.combo for row in whole.rows] == [number for number, _ in ranked[:TOP]]
    assert [row.rank for row in whole.rows] == list(range(1, TOP + 1))
    rows = draw(SPACE, 7, 0, COMBOS)
    for row, (number, found) in zip(whole.rows, ranked, strict=False):
        assert row.metrics == jsonable(found)
        assert row.params == Params.from_row(rows[number]).as_dict()
        assert row.screened_sharpe == pytest.approx(found["sharpe"], abs=1e-9)
    assert whole.header.feasible == len(ranked)
    assert (whole.header.volume, whole.header.top_k) == (COMBOS, TOP)


def test_the_market_has_combos_that_only_their_drawdown_or_their_few_trades_exclude(exactly: Ranked) -> None:
    sharpes = sorted((found["sharpe"] for _, found in exactly if is_feasible(found)), reverse=True)
    good = [found for _, found in exactly if found["sharpe"] > sharpes[TOP]]
    assert any(found["total_trades"] < LEAST for found in good)
    assert any(found["total_trades"] >= LEAST and not is_feasible(found) for found in good)


def test_it_ranks_by_what_is_exact_and_drops_what_only_the_screen_took_for_feasible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Phase0
) -> None:
    def swapped(*arguments: Any) -> dict[str, float]:
        """The exact simulator finds the best of the screen worse, and the second one infeasible."""
        found = metrics(*arguments)
        if found["sharpe"] == whole.rows[0].metrics["sharpe"]:
            return found | {"sharpe": -1.0}
        return found | {"total_trades": LEAST - 1} if found["sharpe"] == whole.rows[1].metrics["sharpe"] else found

    monkeypatch.setattr(prescreen, "metrics", swapped)
    found = screened(tmp_path)
    kept = [row.combo for row in found.rows]
    assert kept[: TOP - 2] == [row.combo for row in whole.rows[2:]]
    assert len(kept) == TOP, "the margin fills the places"
    assert whole.rows[0].combo not in kept


def test_fewer_combos_than_the_top_leave_all_that_are_feasible(tmp_path: Path, exactly: Ranked) -> None:
    found = screened(tmp_path, combos=60, top_k=500)
    assert {row.combo for row in found.rows} == {n for n, one in exactly[:60] if is_feasible(one)}
    assert found.header.feasible == len(found.rows)


def test_nothing_feasible_leaves_an_artifact_without_rows(tmp_path: Path) -> None:
    found = screened(tmp_path, combos=50, min_trades=100_000)
    assert (found.rows, found.header.feasible) == ([], 0)


def test_it_says_which_batch_of_how_many_is_done(tmp_path: Path) -> None:
    heard = Heard()
    screened(tmp_path, heard, combos=250)
    assert [line.split()[1] for line in heard.lines if line.startswith("Batch ")] == ["1/3", "2/3", "3/3"]


def test_a_gpu_or_an_impossible_stop_is_refused_with_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(GpuUnavailable):
        screened(tmp_path / "gpu", gpu=0)
    with pytest.raises(BadConfig, match="twice the slippage"):
        screened(tmp_path, costs={"fee": 0.0, "slippage": 0.05, "funding": 0.0})
    assert list(tmp_path.rglob("*.json")) == []


# what does not show


TINY = {
    "fast_tf": [15], "fast_period": [5, 6], "slow_tf": [60], "slow_period": [20, 22], "stop_loss": [300, 301],
    "take_profit": [900, 900], "trailing_stop": [400, 400], "max_drawdown": 1.0,
}  # fmt: skip
"""A space of 24 points, of which any stream draws each many times."""


@pytest.mark.parametrize("batch", [50, 600])
def test_a_point_that_was_drawn_often_is_kept_once_under_its_first_number(tmp_path: Path, batch: int) -> None:
    space = space_for(MODE, TINY)
    found = screened(tmp_path, space=TINY, combos=600, batch=batch, top_k=30, min_trades=30)
    drawn = [tuple(row) for row in draw(space, 7, 0, 600).tolist()]
    assert len(set(drawn)) == 24
    assert len(found.rows) >= 6
    for row in found.rows:
        assert row.combo == drawn.index(tuple(Params(**row.params).to_row().tolist()))


@pytest.mark.parametrize("batch", [1, 64, 333, 0])
def test_the_size_of_the_batches_does_not_show(tmp_path: Path, whole: Phase0, batch: int) -> None:
    combos = COMBOS if batch != 1 else 130
    expected = whole if batch != 1 else screened(tmp_path / "whole", combos=combos)
    assert facts(screened(tmp_path, batch=batch, combos=combos)) == facts(expected)


def test_the_number_of_threads_does_not_show(tmp_path: Path, whole: Phase0) -> None:
    assert facts(screened(tmp_path, claims=Claims(cpus=3))) == facts(whole)


@pytest.mark.parametrize("at", [1, 100, 250, 700])
def test_stopped_anywhere_it_goes_on_from_its_last_batch_and_leaves_the_same(
    tmp_path: Path, whole: Phase0, at: int
) -> None:
    stopped(tmp_path, at)
    heard = Heard()
    assert facts(screened(tmp_path, heard)) == facts(whole)
    assert heard.started[0] == (at - 1) // BATCH * BATCH
    assert [path.name for path in tmp_path.iterdir()] == ["phase0_top500.json"]


@pytest.mark.parametrize(("combos", "batch"), [(700, 30), (400, 100), (300, 0)])
def test_a_smaller_volume_or_other_batches_go_on_too(tmp_path: Path, combos: int, batch: int) -> None:
    """A worker that ran over its budget is replaced by one with less to do: what is done is not done again."""
    stopped(tmp_path, 350)
    heard = Heard()
    found = screened(tmp_path, heard, combos=combos, batch=batch)
    assert heard.started[0] == 300
    assert facts(found) == facts(screened(tmp_path / "whole", combos=combos, batch=batch))


def test_a_volume_below_what_is_done_begins_anew(tmp_path: Path) -> None:
    stopped(tmp_path, 350)
    heard = Heard()
    found = screened(tmp_path, heard, combos=200)
    assert heard.started[0] == 0
    assert facts(found) == facts(screened(tmp_path / "whole", combos=200))


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 8},
        {"space": {**OVERRIDE, "max_drawdown": 0.35}},
        {"costs": {"fee": 0.001, "slippage": 0.0002, "funding": 0.0}},
        {"min_trades": 50},
        {"top_k": 20},
    ],
)
def test_half_a_screen_of_another_kind_is_not_gone_on_with(tmp_path: Path, changed: dict[str, Any]) -> None:
    stopped(tmp_path, 350)
    heard = Heard()
    found = screened(tmp_path, heard, **changed)
    assert heard.started[0] == 0
    assert facts(found) == facts(screened(tmp_path / "whole", **changed))


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"key":1}', b"\xff\x00"])
def test_a_damaged_checkpoint_begins_anew(tmp_path: Path, whole: Phase0, damage: bytes) -> None:
    stopped(tmp_path, 350)
    (tmp_path / prescreen.CHECKPOINT).write_bytes(damage)
    assert facts(screened(tmp_path)) == facts(whole)
