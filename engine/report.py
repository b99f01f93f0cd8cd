"""The report stage: one self-contained HTML page in each `best_*` folder."""

from pathlib import Path

from ..state.errors import InputGone
from ..state.files import write_atomic
from ..state.models.jobs import Job
from .artifacts import BEST, TEARSHEET
from .bars import Bars
from .progress import Reporter
from .tearsheet.configuration import CONFIG, sheet_of
from .tearsheet.render import page


def run(job: Job, bars: Bars, report: Reporter) -> list[Path]:
    """Write `tearsheet.html` into every best folder of `job.out_dir`; the paths in the order of BEST.

    `bars`: all candles of the market. Each page is computed on a copy of the training bars its configuration names;
    the hold-out is added to that of best_robust alone, and only if `validation.json` has looked at it. Raises InputGone
    when there is no best folder, BadData when one was computed on other candles.
    """
    out = Path(job.out_dir)
    folders = [out / name for name in BEST if (out / name / CONFIG).is_file()]
    if not folders:
        raise InputGone(f"{out} has no best_* folder", fix="run optimize first; without a feasible trial there is none")
    report.phase("write", len(folders), "pages")
    written = []
    for done, folder in enumerate(folders, start=1):
        path = folder / TEARSHEET
        write_atomic(path, page(sheet_of(folder, bars)))
        written.append(path)
        report.step(done)
    return written
