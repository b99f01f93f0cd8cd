"""Where phase-0 artifacts are found, which one counts, and which of its rows become trials."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from btswarm.engine import seeds
from btswarm.engine.artifacts import PHASE0, read_phase0, write_model
from btswarm.engine.bars import Bars
from btswarm.engine.seeds import NO_SEEDS, SHARE, Seeds
from btswarm.engine.strategies import api, mtf_ema
from btswarm.state.errors import InputGone
from btswarm.state.models.artifacts import Phase0
from btswarm.state.models.jobs import Inputs, Job

from .conftest import MODE, job_of

SPACE = mtf_ema.space_for(MODE)


def load(job: Job, bars: Bars) -> Seeds:
    found = seeds.load(job, bars, SPACE)
    assert found is not None
    return found


def put(seed_dir: Path, folder: Path, *, best: float | None = None, age_s: float = 0, **header: object) -> Path:
    """The artifact again in `folder`, changed: its best Sharpe, its header, the age of its file."""
    phase0 = read_phase0(seed_dir / PHASE0)
    rows = [row.model_copy(deep=True) for row in phase0.rows]
    if best is not None:
        rows[0].metrics["sharpe"] = best
    folder.mkdir(parents=True, exist_ok=True)
    changed = Phase0(header=phase0.header.model_copy(update=header), rows=rows)
    path = write_model(folder / PHASE0, changed)
    os.utime(path, (1e9 - age_s, 1e9 - age_s))
    return path


def lane(root: Path, number: int, name: str) -> Path:
    return root / "rounds" / str(number) / name / "SOLUSDT" / MODE


def test_the_log_line_names_number_source_and_hash(bars: Bars, seed_dir: Path, tmp_path: Path) -> None:
    found = load(job_of(tmp_path, inputs=Inputs(data="x", seed_dirs=[str(seed_dir)])), bars)
    path = seed_dir / PHASE0
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    n = len(read_phase0(path).rows)
    assert found.line("SOLUSDT", MODE) == f"Loaded Phase0 seed: SOLUSDT/{MODE} n={n} source={path} sha256={sha}"
    assert (found.fact.n, found.fact.source, found.fact.sha256) == (n, str(path), sha)


@pytest.mark.parametrize(
    "layout",
    ["", f"SOLUSDT/{MODE}", f"gpu0/SOLUSDT/{MODE}", f"rounds/3/gpu0/SOLUSDT/{MODE}", f"optimizations/SOLUSDT/{MODE}"],
)
def test_a_named_folder_is_searched_in_every_layout(bars: Bars, seed_dir: Path, tmp_path: Path, layout: str) -> None:
    put(seed_dir, tmp_path / "named" / layout)
    for named in (tmp_path / "named", tmp_path / "named" / layout / PHASE0):
        found = load(job_of(tmp_path / "out", inputs=Inputs(data="x", seed_dirs=[str(named)])), bars)
        assert found.source == tmp_path / "named" / layout / PHASE0


def test_sibling_lanes_are_searched_when_no_folder_is_named(bars: Bars, seed_dir: Path, tmp_path: Path) -> None:
    put(seed_dir, lane(tmp_path, 1, "gpu0"))
    assert load(job_of(lane(tmp_path, 1, "cpu001")), bars).source == lane(tmp_path, 1, "gpu0") / PHASE0


def test_the_published_view_is_found_through_its_link(bars: Bars, seed_dir: Path, tmp_path: Path) -> None:
    put(seed_dir, tmp_path / "elsewhere")
    (tmp_path / "optimizations" / "SOLUSDT").mkdir(parents=True)
    (tmp_path / "optimizations" / "SOLUSDT" / MODE).symlink_to(tmp_path / "elsewhere")
    assert load(job_of(lane(tmp_path, 1, "cpu001")), bars).source == tmp_path / "elsewhere" / PHASE0


def test_the_newest_round_counts_then_the_best_row_then_the_newest_file(
    bars: Bars, seed_dir: Path, tmp_path: Path
) -> None:
    job = job_of(lane(tmp_path, 10, "cpu001"))
    put(seed_dir, lane(tmp_path, 9, "gpu0"), best=9.0)
    put(seed_dir, lane(tmp_path, 10, "gpu0"), best=2.0)
    assert load(job, bars).source == lane(tmp_path, 10, "gpu0") / PHASE0
    put(seed_dir, lane(tmp_path, 10, "gpu1"), best=3.0, age_s=100)
    assert load(job, bars).source == lane(tmp_path, 10, "gpu1") / PHASE0
    put(seed_dir, lane(tmp_path, 10, "gpu2"), best=3.0, age_s=50)
    assert load(job, bars).source == lane(tmp_path, 10, "gpu2") / PHASE0


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"symbol": "BTCUSDT"}, "another symbol"),
        ({"mode": "balanced"}, "another mode"),
        ({"space_sha256": "0" * 64}, "another parameter space"),
    ],
)
def test_an_artifact_of_something_else_is_refused_and_said(
    bars: Bars, seed_dir: Path, tmp_path: Path, header: dict[str, Any], said: str
) -> None:
    put(seed_dir, lane(tmp_path, 1, "gpu0"), **header)
    with pytest.raises(InputGone, match=said) as refused:
        load(job_of(lane(tmp_path, 1, "cpu001")), bars)
    assert refused.value.code == 66


def test_an_artifact_of_other_candles_is_refused_as_it_may_have_seen_the_holdout(
    bars: Bars, seed_dir: Path, tmp_path: Path
) -> None:
    put(seed_dir, lane(tmp_path, 1, "gpu0"))
    with pytest.raises(InputGone, match="other candles"):
        load(job_of(lane(tmp_path, 1, "cpu001")), bars.slice(0, len(bars) - 1))


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"v": 99}'])
def test_a_damaged_artifact_does_not_hide_a_good_one(
    bars: Bars, seed_dir: Path, tmp_path: Path, content: bytes
) -> None:
    bad = put(seed_dir, lane(tmp_path, 2, "gpu0"))
    bad.write_bytes(content)
    with pytest.raises(InputGone, match="found, but"):
        load(job_of(lane(tmp_path, 1, "cpu001")), bars)
    put(seed_dir, lane(tmp_path, 1, "gpu0"))
    assert load(job_of(lane(tmp_path, 1, "cpu001")), bars).source == lane(tmp_path, 1, "gpu0") / PHASE0


def test_without_any_artifact_the_places_searched_are_named(bars: Bars, tmp_path: Path) -> None:
    with pytest.raises(InputGone, match=str(tmp_path)) as refused:
        load(job_of(tmp_path), bars)
    assert "--no-seeds" in refused.value.fix


def test_a_job_may_want_no_seeds(bars: Bars, tmp_path: Path) -> None:
    assert seeds.load(job_of(tmp_path, inputs=Inputs(data="x", seed_dirs=NO_SEEDS)), bars, SPACE) is None


def seeds_of(rows: list[list[int]]) -> Seeds:
    combos = np.array([[*row, 200, 500, 0, 0] for row in rows], dtype=np.int32)
    return Seeds(Path("x"), "0", combos, list(range(1, len(rows) + 1)))


def test_rows_of_nearly_the_same_pair_of_emas_come_after_the_others() -> None:
    rows = [[15, 20, 60, 100], [15, 21, 60, 105], [15, 22, 60, 92], [15, 30, 60, 100], [30, 20, 60, 100]]
    assert seeds.pick(seeds_of(rows), 4 * SHARE) == [0, 3, 4, 1]
    assert seeds.pick(seeds_of(rows), 100 * SHARE) == [0, 3, 4, 1, 2]


def test_at_most_a_quarter_of_the_trials_and_at_least_one_begins_at_a_seed(
    seed_dir: Path, bars: Bars, tmp_path: Path
) -> None:
    found = load(job_of(tmp_path, inputs=Inputs(data="x", seed_dirs=[str(seed_dir)])), bars)
    assert [len(seeds.pick(found, trials)) for trials in (1, 4, 40, 10**6)] == [1, 1, 10, len(found.combos)]
    assert seeds.pick(found, 40)[0] == 0


def test_rows_outside_the_space_are_left_out(seed_dir: Path, bars: Bars, tmp_path: Path) -> None:
    path = put(seed_dir, tmp_path / "named")
    phase0 = read_phase0(path)
    phase0.rows[0].params["stop_loss"] = 0.2
    write_model(path, phase0)
    found = load(job_of(tmp_path / "out", inputs=Inputs(data="x", seed_dirs=[str(tmp_path / "named")])), bars)
    assert found.ranks[0] == 2
    assert len(found.combos) == len(phase0.rows) - 1
    assert found.combos[:, api.DIRECTION].tolist() == [0] * len(found.combos)
    shutil.rmtree(tmp_path / "named")
