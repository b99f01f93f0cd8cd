"""What a worker's end is called, and what becomes of its job."""

import signal
from pathlib import Path

import orjson
import pytest

from btswarm.daemon.ends import At, exit_view, judge, reached, read_exit
from btswarm.daemon.files import RealFiles
from btswarm.daemon.ports import Ended, Identity
from btswarm.state.models.config import RestartTable
from btswarm.state.models.facts import ExitView
from btswarm.state.models.records import Hold, JobRecord, JobSpec, Restarts, Stop, WorkerRecord

FILES = RealFiles()
LIMITS = RestartTable()
JOB = JobRecord("r1/SOL/balanced/prescreen", JobSpec(stage="prescreen"), "running", 0.0, worker="cpu000@1")
COMMAND = JobRecord(
    "cmd/fill.0", JobSpec("command", argv=("true",), restart="always"), "running", 0.0, worker="cpu000@1"
)
AT = At(now=1000.0, mono=100.0, life_s=10.0, chance=0.5)


def worker(job: str = JOB.job, stop: str = "") -> WorkerRecord:
    ladder = Stop(1, stop, 0.0, 0.0) if stop else None
    return WorkerRecord("cpu000@1", "t", job, "stopping" if stop else "running", 0.0, "e", pid=7, stop=ladder)


def ended(code: int | None) -> Ended:
    return Ended(Identity("cpu000@1", "t", 7, 0), code)


def class_of(code: int | None, said: dict[str, object] | None = None, *, stop: str = "", starved: bool = False,
             job: str = JOB.job) -> str:  # fmt: skip
    return exit_view(worker(job, stop), ended(code), said, FILES, starved=starved).class_


@pytest.mark.parametrize(
    ("code", "expected"),
    [(1, "crash"), (64, "bad_config"), (66, "input_gone"), (71, "host_oom"), (75, "stopped"),
     (99, "crash"), (-signal.SIGSEGV, "crash"), (None, "crash")],
)  # fmt: skip
def test_the_class_follows_the_exit_status(code: int | None, expected: str) -> None:
    assert class_of(code) == expected


def test_a_kill_while_memory_is_out_is_host_oom_and_a_segfault_is_not() -> None:
    assert class_of(-signal.SIGKILL, starved=True) == "host_oom"
    assert class_of(-signal.SIGSEGV, starved=True) == "crash"
    assert class_of(None, starved=True) == "host_oom"


@pytest.mark.parametrize(("reason", "expected"), [("stuck", "stuck"), ("budget", "over_budget"), ("drain", "stopped")])
def test_what_we_stopped_is_called_by_our_reason(reason: str, expected: str) -> None:
    assert class_of(-signal.SIGKILL, stop=reason) == expected
    assert class_of(75, stop=reason) == expected


def test_an_adopted_worker_is_judged_by_its_last_word(tmp_path: Path) -> None:
    (tmp_path / "exit.json").write_bytes(orjson.dumps({"worker": "cpu000@1", "code": 65, "class": "bad_data"}))
    assert class_of(None, read_exit(FILES, tmp_path, "cpu000@1")) == "bad_data"
    assert read_exit(FILES, tmp_path, "cpu000@2") is None


def test_done_without_a_valid_artifact_is_a_crash(tmp_path: Path) -> None:
    torn = tmp_path / "phase0.json"
    torn.write_bytes(b'{"v": 1')
    assert class_of(0, {"artifacts": [str(torn)]}) == "crash"
    torn.write_bytes(b'{"v": 1}')
    assert class_of(0, {"artifacts": [str(torn)]}) == "done"
    assert class_of(0, {"artifacts": [str(tmp_path / "nowhere.json")]}) == "crash"


def test_an_engine_worker_that_leaves_without_a_last_word_has_done_nothing_whatever_its_status() -> None:
    assert class_of(0) == "crash"
    assert class_of(0, {}) == "done"
    assert class_of(0, job=COMMAND.job) == "done"
    assert class_of(0, stop="drain") == "stopped"


@pytest.mark.parametrize(
    "wrong", [{"artifacts": None}, {"artifacts": 5}, {"artifacts": [1]}, {"artifacts": {}}, {"v": 2}, {"worker": None}]
)
def test_a_last_word_of_the_wrong_form_is_none(tmp_path: Path, wrong: dict[str, object]) -> None:
    said = {"v": 1, "worker": "cpu000@1", "code": 0, "class": "done", "artifacts": [], **wrong}
    (tmp_path / "exit.json").write_bytes(orjson.dumps(said))
    assert read_exit(FILES, tmp_path, "cpu000@1") is None


def test_artifacts_that_are_no_paths_or_too_many_for_a_line_of_the_log_are_a_crash(tmp_path: Path) -> None:
    whole = tmp_path / "sheet.html"
    whole.write_bytes(b"<html>")
    assert class_of(0, {"artifacts": [str(whole)]}) == "done"
    assert class_of(0, {"artifacts": ["a\0b.json"]}) == "crash"
    assert class_of(0, {"artifacts": [str(whole)] * 500}) == "crash"


def test_a_stage_that_did_its_work_and_found_the_way_closed_is_done() -> None:
    assert class_of(1, {"class": "done", "message": "no combo survives"}) == "done"
    assert class_of(1, {"class": "crash"}) == "crash"
    assert class_of(1) == "crash"


def test_a_crash_with_credit_is_queued_at_once_and_without_it_after_jitter() -> None:
    crash = ExitView(1, "crash", steps=5)
    with_credit = judge(JOB, crash, None, LIMITS, "", AT)
    assert with_credit.then == {"state": "queued", "not_before": 0.0}
    assert with_credit.restarts is not None
    assert with_credit.restarts.level == LIMITS.credits - 1
    spent = Restarts(0.0, AT.mono, n=3, best_step=1)
    without = judge(JOB, crash, spent, LIMITS, "", AT)
    assert without.then == {"state": "queued", "not_before": 1000.0 + 0.5 * 8.0}


def test_deaths_without_progress_are_poison_and_kills_from_outside_are_not_as_long_as_it_gets_on() -> None:
    before = Restarts(5.0, AT.mono, deaths=2, best_step=50)
    poisoned = judge(JOB, ExitView(1, "crash", steps=50), before, LIMITS, "", AT)
    assert poisoned.poisoned
    assert isinstance(poisoned.then, dict)
    assert poisoned.then["hold"].until == 1000.0 + LIMITS.poison_hold_s
    killed = judge(JOB, ExitView(-9, "crash", steps=20), before, LIMITS, "", AT)
    assert not killed.poisoned
    assert killed.restarts is not None
    assert killed.restarts.level == 4.0


def test_a_command_job_is_never_poison_and_follows_its_own_policy() -> None:
    before = Restarts(5.0, AT.mono, deaths=9)
    assert not judge(COMMAND, ExitView(1, "crash"), before, LIMITS, "", AT).poisoned
    once = JobRecord(COMMAND.job, JobSpec("command", restart="on-failure"), "running", 0.0)
    assert judge(once, ExitView(0, "done"), None, LIMITS, "", AT).finished == "done"
    never = JobRecord(COMMAND.job, JobSpec("command", restart="never"), "running", 0.0)
    assert judge(never, ExitView(1, "crash"), None, LIMITS, "", AT).finished == "cancelled"


def test_a_bad_setting_is_held_until_a_person_acts_and_a_missing_input_for_a_while() -> None:
    held = judge(JOB, ExitView(64, "bad_config", message="no such mode", fix="correct it"), None, LIMITS, "", AT)
    assert held.then is not None
    assert held.then["hold"].needs == "correct it"
    waits = judge(JOB, ExitView(66, "input_gone"), None, LIMITS, "", AT)
    assert waits.then is not None
    assert waits.then["hold"].until > AT.now


def test_a_stop_on_request_costs_nothing_and_a_cancelled_job_ends() -> None:
    verdict = judge(JOB, ExitView(75, "stopped"), None, LIMITS, "drain", AT)
    assert (verdict.then, verdict.restarts) == ({"state": "queued", "not_before": 0.0}, None)
    assert judge(JOB, ExitView(75, "stopped"), None, LIMITS, "cancel", AT).finished == "cancelled"


def test_a_hold_outlives_the_worker() -> None:
    hold = Hold("budget", "budget", 0.0, needs="money")
    held = JobRecord(JOB.job, JOB.spec, "running", 0.0, hold=hold)
    assert judge(held, ExitView(75, "stopped"), None, LIMITS, "", AT).then == {"state": "held", "hold": hold}


def test_over_budget_leaves_the_job_to_be_replaced() -> None:
    assert judge(JOB, ExitView(75, "over_budget"), None, LIMITS, "budget", AT).then is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"worker": "cpu000@1", "phase": "batch", "step": 40, "checkpoint": 32}, (40, 32)),
        ({"worker": "cpu000@1", "phase": "write", "step": 0}, (1, None)),
        ({"worker": "cpu000@1", "phase": "load", "step": 0}, (0, None)),
        ({"worker": "cpu000@2", "phase": "batch", "step": 40}, (0, None)),
    ],
)
def test_a_worker_without_a_last_word_got_as_far_as_its_progress_says(
    tmp_path: Path, said: dict[str, object], expected: tuple[int, int | None]
) -> None:
    (tmp_path / "progress.json").write_bytes(orjson.dumps(said))
    assert reached(FILES, tmp_path, "cpu000@1") == expected


def test_a_worker_that_left_no_progress_got_nowhere(tmp_path: Path) -> None:
    assert reached(FILES, tmp_path, "cpu000@1") == (0, None)
