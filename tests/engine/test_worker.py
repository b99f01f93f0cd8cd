"""The worker's protocol, spoken to a real process: job.json in, progress.json and exit.json out, signals obeyed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from btswarm.engine import worker
from btswarm.engine.artifacts import PHASE0
from btswarm.engine.bars import Bars
from btswarm.engine.strategies.mtf_ema import space_for
from btswarm.state.errors import GateFailed, NoPermission, StorageBroken
from btswarm.state.models.jobs import Claims, Exit, Inputs, Job, Progress, Volume

from .runs import candles, until

WORKER = [sys.executable, "-P", "-m", "btswarm.engine.worker"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return candles(tmp_path_factory.mktemp("candles"))


def prescreen(home: Path, data: Path | str, **changes: Any) -> Job:
    usual: dict[str, Any] = {
        "job": "r1/SOLUSDT/balanced/prescreen",
        "worker": "cpu000@7",
        "stage": "prescreen",
        "symbol": "SOLUSDT",
        "mode": "balanced",
        "inputs": Inputs(data=str(data)),
        "volume": Volume(combos=200, top_k=10),
        "out_dir": str(home / "out"),
    }
    return Job(**(usual | changes))


def job_file(home: Path, job: Job | dict[str, Any]) -> Path:
    folder = home / "worker"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.json"
    path.write_text(json.dumps(job.model_dump() if isinstance(job, Job) else job))
    return path


def started(path: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*WORKER, str(path)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def working(path: Path, true: Any, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A worker in which `true` has come to hold; it is gone when the block is left."""
    process = started(path, **environment)
    try:
        until(true, process)
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(path: Path) -> tuple[Exit, str, str]:
    process = started(path)
    out, err = process.communicate(timeout=120)
    last = last_word(path)
    assert last.code == process.returncode
    return last, out, err


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that runs in this process must leave its signals alone."""
    monkeypatch.setattr(worker, "listen", lambda _: None)


def ended_here(path: Path) -> Exit:
    code = worker.main([str(path)])
    last = last_word(path)
    assert last.code == code
    return last


def last_word(path: Path) -> Exit:
    return Exit.model_validate_json((path.parent / "exit.json").read_bytes())


def without_timings(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    found["header"].pop("timings")
    return found


def test_a_job_that_ends_well_leaves_its_artifact_its_progress_and_its_last_word(tmp_path: Path, data: Path) -> None:
    path = job_file(tmp_path, prescreen(tmp_path, data))
    last, out, _ = ended(path)
    artifact = tmp_path / "out" / PHASE0
    assert (last.code, last.class_, last.worker) == (0, "done", "cpu000@7")
    assert last.artifacts == [str(artifact)]
    assert artifact.is_file()
    assert last.peak_mem_mb > 0
    assert last.steps >= 200
    assert "Batch 1/1 200 combos" in out
    progress = Progress.model_validate_json((path.parent / "progress.json").read_bytes())
    assert (progress.phase, progress.worker, progress.backend) == ("write", "cpu000@7", "cpu")
    assert (tmp_path / "out" / "search_ledger.jsonl").is_file()


@pytest.mark.parametrize(
    ("change", "code", "kind", "said"),
    [
        ({"colour": "red"}, 64, "bad_config", "colour"),
        ({"volume": {"combos": 5, "speed": 1}}, 64, "bad_config", "volume.speed"),
        ({"v": 2}, 64, "bad_config", "version 2"),
        ({"stage": None}, 64, "bad_config", "names no stage"),
        ({"kind": "command", "argv": ["true"]}, 64, "bad_config", "names no stage"),
        ({"mode": "reckless"}, 64, "bad_config", "reckless"),
        ({"inputs": {"data": "/nowhere/SOLUSDT-5m.csv"}}, 66, "input_gone", "/nowhere"),
        ({"space": {"fast_tf": [7, 15]}}, 64, "bad_config", "7 of balanced is no multiple"),
        ({"gpu": 0}, 69, "gpu_lost", "GPU"),
        ({"out_dir": "/proc/no/such"}, 73, "cannot_write", "/proc/no"),
    ],
)
def test_each_refusal_has_its_code_and_class(
    tmp_path: Path,
    data: Path,
    change: dict[str, Any],
    code: int,
    kind: str,
    said: str,
    here: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = prescreen(tmp_path, data).model_dump() | {"ledger": str(tmp_path / "ledger.jsonl")} | change
    last = ended_here(job_file(tmp_path, job))
    assert (last.code, last.class_) == (code, kind)
    assert said in last.message
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "out" / PHASE0).exists()


def test_a_space_that_does_not_fit_the_candles_was_not_searched(tmp_path: Path, data: Path, here: None) -> None:
    job = prescreen(tmp_path, data).model_dump() | {"space": {"slow_tf": [61]}, "ledger": str(tmp_path / "book.jsonl")}
    assert ended_here(job_file(tmp_path, job)).code == 64
    assert not (tmp_path / "book.jsonl").exists()


def test_a_job_file_that_is_missing_or_no_job_is_refused(tmp_path: Path, here: None) -> None:
    folder = tmp_path / "worker"
    folder.mkdir()
    last = ended_here(folder / "job.json")
    assert (last.code, last.class_) == (66, "input_gone")
    for text in ("not json", "[]", '{"job": "x"}'):
        (folder / "job.json").write_text(text)
        last = ended_here(folder / "job.json")
        assert (last.code, last.class_) == (64, "bad_config"), text


def test_candles_that_changed_since_the_job_was_made_are_refused(tmp_path: Path, data: Path, here: None) -> None:
    last = ended_here(
        job_file(tmp_path, prescreen(tmp_path, data, inputs=Inputs(data=str(data), data_sha256="0" * 64)))
    )
    assert (last.code, last.class_) == (65, "bad_data")


@pytest.mark.parametrize(
    ("raised", "code", "kind"),
    [
        (MemoryError(), 71, "host_oom"),
        (OSError(28, "No space left on device", "/disk"), 73, "cannot_write"),
        (ZeroDivisionError("oops"), 70, "crash"),
        (StorageBroken("torn"), 74, "storage"),
        (NoPermission("not yours"), 77, "permission"),
    ],
)
def test_whatever_a_stage_raises_is_told(
    tmp_path: Path,
    data: Path,
    raised: Exception,
    code: int,
    kind: str,
    here: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run_stage(*_: object) -> list[Path]:
        raise raised

    monkeypatch.setattr(worker, "run_stage", run_stage)
    last = ended_here(job_file(tmp_path, prescreen(tmp_path, data)))
    assert (last.code, last.class_) == (code, kind)
    assert last.message
    assert ("Traceback" in capsys.readouterr().err) == (kind in ("crash", "cannot_write"))


def test_term_leaves_a_checkpoint_and_the_same_job_ends_with_the_artifact_of_one_that_was_never_stopped(
    tmp_path: Path, data: Path
) -> None:
    volume = Volume(combos=6000, top_k=20, batch=500)
    path = job_file(tmp_path, prescreen(tmp_path, data, volume=volume))
    checkpoint = tmp_path / "out" / ".phase0_checkpoint.json"
    with working(path, checkpoint.exists) as process:
        process.terminate()
        process.communicate(timeout=60)
        assert process.returncode == 75
    last = last_word(path)
    assert (last.code, last.class_) == (75, "stopped")
    assert last.checkpoint is not None
    assert 0 < last.checkpoint < 6000
    assert not (tmp_path / "out" / PHASE0).exists()
    last, out, _ = ended(path)
    assert last.class_ == "done"
    assert "Batch 1/12" not in out
    whole = job_file(tmp_path / "other", prescreen(tmp_path / "other", data, volume=volume))
    ended(whole)
    assert without_timings(tmp_path / "out" / PHASE0) == without_timings(tmp_path / "other" / "out" / PHASE0)


def endless(home: Path, data: Path) -> Path:
    """A worker that would be busy for minutes."""
    return job_file(home, prescreen(home, data, volume=Volume(combos=5_000_000, top_k=5)))


def screening(path: Path) -> Any:
    def true() -> bool:
        try:
            return Progress.model_validate_json((path.parent / "progress.json").read_bytes()).phase == "batch"
        except (OSError, ValueError):
            return False

    return true


def test_int_shows_the_stacks_of_all_threads_and_ends_it_at_once(tmp_path: Path, data: Path) -> None:
    path = endless(tmp_path, data)
    with working(path, screening(path)) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "most recent call first" in err
    assert "prescreen.py" in err
    assert last_word(path).class_ == "stopped"


def test_a_second_term_does_not_wait_for_a_step_that_never_comes(tmp_path: Path, data: Path) -> None:
    path = job_file(tmp_path, prescreen(tmp_path, data))
    text = """
import signal, sys, threading
import btswarm.engine.worker as worker
def run_stage(job, bars, report):
    report.phase("exact")
    while True:
        threading.Event().wait(0.05)
worker.run_stage = run_stage
sys.exit(worker.main(sys.argv[1:]))
"""
    process = subprocess.Popen([sys.executable, "-P", "-c", text, str(path)], stderr=subprocess.PIPE, text=True)
    progress = path.parent / "progress.json"
    until(lambda: progress.exists() and b"exact" in progress.read_bytes(), process)
    for _ in range(1000):
        if process.poll() is not None:
            break
        process.terminate()
        with_patience(process)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "most recent call first" in err
    assert last_word(path).class_ == "stopped"


def with_patience(process: subprocess.Popen[str]) -> None:
    """Two signals that arrive together are one: give the first a moment to be handled."""
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return


def test_a_worker_of_the_foreground_does_not_outlive_its_parent(tmp_path: Path, data: Path) -> None:
    path = endless(tmp_path, data)
    text = """
import os, subprocess, sys
environment = {**os.environ, "BTSWARM_PARENT_PID": str(os.getpid())}
process = subprocess.Popen(sys.argv[1:], env=environment)
print(process.pid, flush=True)
process.wait()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", text, *WORKER, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    until(screening(path), parent)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs([child], timeout=30)
    orphans = [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
    for orphan in orphans:
        orphan.kill()
    assert not orphans


def test_progress_that_cannot_be_written_fails_nobody(tmp_path: Path, data: Path) -> None:
    path = job_file(tmp_path, prescreen(tmp_path, data))
    process = started(path, BTSWARM_WORKER_DIR="/proc/no/such/folder")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "out" / PHASE0).is_file()


def test_a_stage_that_finds_nothing_feasible_did_its_work(tmp_path: Path, data: Path) -> None:
    """The artifact is there; whether the gate is open is for whoever reads it."""
    space = {"max_drawdown": 0.0001}
    ended(job_file(tmp_path, prescreen(tmp_path, data, volume=Volume(combos=50, top_k=5))))
    job = prescreen(
        tmp_path, data, job="r1/SOLUSDT/balanced/optimize.0", stage="optimize", volume=Volume(trials=2), claims=Claims()
    )
    found = json.loads((tmp_path / "out" / PHASE0).read_bytes())
    narrow = space_for("balanced", space)
    found["header"] |= {"space": narrow.model_dump(mode="json"), "space_sha256": narrow.sha256}
    (tmp_path / "out" / PHASE0).write_text(json.dumps(found))
    last, out, _ = ended(job_file(tmp_path, job.model_copy(update={"space": space})))
    assert (last.code, last.class_) == (0, "done")
    assert "none of 2 trials" in last.message
    assert "Loaded Phase0 seed: SOLUSDT/balanced" in out
    assert (tmp_path / "out" / "all_trials.json").is_file()


@pytest.mark.parametrize(
    ("stage", "gate", "shown"),
    [("report", False, True), ("validate", True, True), ("validate", False, False), ("prescreen", False, False)],
)
@pytest.mark.usefixtures("here")
def test_a_round_s_folder_is_published_after_its_last_stage(
    tmp_path: Path, data: Path, stage: str, gate: bool, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_stage(*_: Any) -> list[Path]:
        if gate:
            raise GateFailed("not good enough")
        return []

    called: list[tuple[Any, ...]] = []
    monkeypatch.setattr(worker, "run_stage", run_stage)
    monkeypatch.setattr("btswarm.engine.publish.publish", lambda *told: called.append(told))
    out = tmp_path / "rounds" / "3" / "main" / "SOLUSDT" / "balanced"
    job = prescreen(tmp_path, data, stage=stage, out_dir=str(out))
    assert ended_here(job_file(tmp_path, job)).code == 0
    assert called == ([(tmp_path, out, "SOLUSDT", "balanced")] if shown else [])
    elsewhere = prescreen(tmp_path, data, stage=stage)
    assert ended_here(job_file(tmp_path, elsewhere)).code == 0
    assert len(called) == shown


@pytest.mark.usefixtures("here")
def test_a_job_s_own_days_and_what_it_accepts_reach_its_stage(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: dict[str, Any] = {}

    def run(job: Job, bars: Bars, report: Any, *, allow: tuple[str, ...] = ()) -> list[Path]:
        heard[str(job.stage)] = (len(bars.close), allow)
        return []

    monkeypatch.setattr("btswarm.engine.stages.StageSpec.load", lambda _: run)
    assert ended_here(job_file(tmp_path, prescreen(tmp_path, data, stage="preflight", allow=["gaps"]))).code == 0
    assert heard["preflight"][1] == ("gaps",)
    assert ended_here(job_file(tmp_path, prescreen(tmp_path, data))).code == 0
    usual = heard["prescreen"][0]
    assert ended_here(job_file(tmp_path, prescreen(tmp_path, data, holdout_days=5, train_days=20))).code == 0
    assert 0 < heard["prescreen"][0] < usual
