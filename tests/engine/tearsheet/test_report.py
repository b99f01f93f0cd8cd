"""The report stage: a page in each best folder, whole or not there."""

from pathlib import Path

import pytest

from btswarm.engine import report
from btswarm.engine.progress import Silent
from btswarm.state.errors import InputGone
from btswarm.state.models.jobs import Job

from ..market import walk
from .helpers import best_folder


def job(out: Path) -> Job:
    return Job(job="r1/SOLUSDT/balanced/report", stage="report", symbol="SOLUSDT", mode="balanced", out_dir=str(out))


def test_every_best_folder_gets_its_page(tmp_path: Path) -> None:
    bars = walk(days=330, minutes=15)
    for name in ("best_robust", "lowest_drawdown"):
        best_folder(tmp_path, name, bars)
    written = report.run(job(tmp_path), bars, Silent())
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "lowest_drawdown/tearsheet.html",
        "best_robust/tearsheet.html",
    ]
    first = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in report.run(job(tmp_path), bars, Silent())] == first
    assert not list(tmp_path.rglob(".tmp-*"))


def test_without_a_best_folder_there_is_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(InputGone, match="no best_"):
        report.run(job(tmp_path), walk(days=10), Silent())
