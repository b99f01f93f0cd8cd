"""Workers of one stage: those that die are replaced so often, and none outlives the stage."""

import os
import stat
import sys
from pathlib import Path

import psutil
import pytest

from btswarm.engine import fleet
from btswarm.engine.fleet import FOLDER, Fleet, WorkersDied, environment
from btswarm.engine.reporters import Relay
from btswarm.engine.stopping import Stop
from btswarm.state.errors import CannotWrite, InputGone, Stopped
from btswarm.state.models.jobs import Inputs, Job, Limits, Volume

from .runs import Watching, candles


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return candles(tmp_path_factory.mktemp("candles"))


def optimize(home: Path, data: Path | str = "synthetic", trials: int = 4) -> Job:
    return Job(
        job="r1/SOLUSDT/balanced/optimize",
        stage="optimize",
        symbol="SOLUSDT",
        mode="balanced",
        inputs=Inputs(data=str(data), seed_dirs=[str(home / "out")]),
        volume=Volume(trials=trials),
        ledger=str(home / "ledger.jsonl"),
        out_dir=str(home / "out"),
        limits=Limits(stop_grace_s=0.2),
    )


def instead(monkeypatch: pytest.MonkeyPatch, home: Path, text: str) -> None:
    """Let every worker be this shell script; its job file is the last argument."""
    script = home / "worker.sh"
    script.write_text(f'#!/bin/sh\nfolder=$(dirname "$4")\n{text}\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(script))


def living() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]


def run(job: Job, parts: int = 2, stop: Stop | None = None) -> tuple[list[Path], list[str]]:
    watching, logged = Watching(), Watching()
    others = living()  # what earlier tests of this process keep, such as multiprocessing's resource tracker
    try:
        return Fleet(job, parts, Relay(Stop() if stop is None else stop, watching), logged).run(), watching.said
    finally:
        assert set(living()) <= set(others)


def test_workers_that_die_at_once_are_given_up_after_three_deaths_without_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(monkeypatch, tmp_path, f"echo x >> {tmp_path}/starts; kill -9 $$")
    with pytest.raises(WorkersDied, match="signal SIGKILL"):
        run(optimize(tmp_path), parts=1)
    assert (tmp_path / "starts").read_text().count("x") == 3


def test_workers_that_get_on_between_their_deaths_spend_a_bounded_number_of_credits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = '{"v":1,"worker":"w","phase":"trial","step":%s,"steps":99,"mono":0}'
    starts = tmp_path / "starts"
    text = f"echo x >> {starts}\nprintf '{progress}' $(wc -l < {starts}) > \"$folder/progress.json\"\nexit 70"
    instead(monkeypatch, tmp_path, text)
    with pytest.raises(WorkersDied, match="code 70"):
        run(optimize(tmp_path), parts=1)
    assert (tmp_path / "starts").read_text().count("x") == 1 + fleet.CREDITS


@pytest.mark.parametrize(("code", "kind", "error"), [(66, "input_gone", InputGone), (73, "cannot_write", CannotWrite)])
def test_an_end_that_a_second_try_cannot_change_ends_the_stage_as_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: str, error: type[Exception]
) -> None:
    last = f'{{"v":1,"worker":"fg000@1","code":{code},"class":"{kind}","message":"no luck","fix":"none"}}'
    instead(monkeypatch, tmp_path, f"echo '{last}' > \"$folder/exit.json\"; exit {code}")
    with pytest.raises(error, match="no luck"):
        run(optimize(tmp_path), parts=1)


def test_a_stop_ends_workers_even_if_they_do_not_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "INT_GRACE_S", 0.2)
    instead(monkeypatch, tmp_path, "trap '' TERM INT\nwhile :; do :; done")
    stop = Stop()
    stop.raise_flag("the test")
    with pytest.raises(Stopped):
        run(optimize(tmp_path), stop=stop)


def test_the_same_line_of_two_workers_is_shown_once_and_their_complaints_only_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(monkeypatch, tmp_path, "echo Loaded Phase0 seed: x; echo a warning >&2; exit 0")
    _, said = run(optimize(tmp_path))
    assert said == ["Loaded Phase0 seed: x"]


def test_the_reason_of_a_real_workers_refusal_reaches_the_caller(tmp_path: Path, data: Path) -> None:
    with pytest.raises(InputGone, match=r"phase0_top500\.json"):
        run(optimize(tmp_path, data), parts=1)
    assert (tmp_path / "out" / FOLDER / "optimize.0" / "exit.json").is_file()


def test_a_worker_sees_an_allow_list_and_whose_child_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERY_SECRET", "x")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    seen = environment(tmp_path, optimize(tmp_path))
    assert not {"VERY_SECRET", "NOTIFY_SOCKET"} & seen.keys()
    assert seen["BTSWARM_PARENT_PID"] == str(os.getpid())
    assert seen["NUMBA_CACHE_DIR"] == str(tmp_path)
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["OMP_NUM_THREADS"]) == ("", "1")
    assert sys.executable
