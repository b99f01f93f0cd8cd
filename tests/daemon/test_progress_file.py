"""What a worker says of itself is read as far as it has the form of what workers say, and never more."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from btswarm.daemon.watching import Watching
from btswarm.state.models.facts import WorkerView
from btswarm.state.models.readings import Known, Missing

from ..agents.world import worker
from .workshop import Bench, moment

NAME = "cpu000@1"
SAID: dict[str, Any] = {
    "v": 1, "worker": NAME, "phase": "batch", "step": 3, "steps": 9, "rate": 2.5, "unit": "combos", "next_s": 1,
    "checkpoint": 2, "backend": "cpu", "device": "cpu", "seeds": {"n": 4, "source": "s", "sha256": ""}, "mono": 1.0,
    "gpu_mem_mb": 0,
}  # fmt: skip


class Looks:
    """One worker, looked at again and again."""

    def __init__(self, folder: Path) -> None:
        processes = SimpleNamespace(sample=lambda _: Missing("nobody", 0.0))
        bench = Bench(folder).with_ports(processes=processes)
        self.watching = Watching(bench.swarm)
        self.record = worker(NAME, "r1/SYNTH/balanced/prescreen", record={"state": "starting"}).record
        self.file = bench.swarm.folder(NAME) / "progress.json"
        self.file.parent.mkdir(parents=True)
        bench.heard.journal.live.note_first_step = lambda _: None  # type: ignore[method-assign, assignment]

    def after(self, **changes: Any) -> WorkerView:
        aside = self.file.with_name("aside")
        aside.write_bytes(orjson.dumps({name: one for name, one in {**SAID, **changes}.items() if one != "left out"}))
        aside.rename(self.file)
        return self.watching.view(self.record, moment(tick=False))


@pytest.fixture
def looks(tmp_path: Path) -> Looks:
    return Looks(tmp_path)


def test_a_progress_file_of_the_right_form_is_taken_whole(looks: Looks) -> None:
    progress = looks.after().progress
    assert isinstance(progress, Known)
    said = progress.known
    assert (said.phase, said.step, said.steps, said.rate, said.seeds) == ("batch", 3, 9, 2.5, 4)
    assert isinstance(looks.after(seeds=None, rate=None, next_s=None, unit=None, backend=None).progress, Known)


@pytest.mark.parametrize(
    "wrong",
    [{"next_s": "soon"}, {"next_s": [1]}, {"rate": "fast"}, {"unit": [1]}, {"step": "3"}, {"step": None}, {"step": 1.5},
     {"phase": None}, {"phase": "left out"}, {"mono": "left out"}, {"seeds": 4}, {"device": 0}, {"v": 2}, {"v": "1"}],
    ids=str,
)  # fmt: skip
def test_one_of_a_wrong_form_says_nothing_and_takes_nothing_back(looks: Looks, wrong: dict[str, Any]) -> None:
    assert isinstance(looks.after(**wrong).progress, Missing)
    good = looks.after(step=7).progress
    assert isinstance(good, Known)
    assert looks.after(**wrong).progress == good
