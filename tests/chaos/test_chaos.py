"""The soak's own eyes and hands: what it counts is there, and whom it shoots at is of the swarm it was given."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from . import crowd, soak, tally
from .fire import Fault, Gun, daemon_pid

OWN, OTHER = "a" * 32, "b" * 32
Worker = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """Starts a sleeper that bears a token, as the worker `name` with a job."""
    started: list[subprocess.Popen[bytes]] = []

    def _start(name: str, job: str, token: str = "", swarm: str = OWN) -> "subprocess.Popen[bytes]":
        folder = tmp_path / "workers" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "job.json").write_bytes(orjson.dumps({"job": job}))
        environ = {"BTSWARM_TOKEN": f"{swarm}.{token or name}", "BTSWARM_WORKER_DIR": str(folder)}
        code = "print(flush=True); import time; time.sleep(100)"
        process = subprocess.Popen([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        started.append(process)
        return process

    yield _start
    for one in started:
        one.kill()
        one.wait()
        assert one.stdout
        one.stdout.close()


def test_processes_of_other_swarms_are_not_seen(worker: Worker) -> None:
    mine = worker("cpu000@1", "r1/A/balanced/prescreen")
    worker("cpu000@1", "r1/A/balanced/prescreen", swarm=OTHER)
    seen = crowd.look(OWN)
    assert [(one.pid, one.worker, one.job) for one in seen.bodies] == [
        (mine.pid, "cpu000@1", "r1/A/balanced/prescreen")
    ]
    assert seen.twins() == []


def test_two_that_do_one_job_or_bear_one_token_are_twins(worker: Worker) -> None:
    worker("cpu000@1", "r1/A/balanced/prescreen")
    worker("cpu001@1", "r1/A/balanced/optimize")
    assert crowd.look(OWN).twins() == []
    again = worker("cpu000@2", "r1/A/balanced/prescreen")
    assert [other.pid for _, other in crowd.look(OWN).twins()] == [again.pid]
    again.kill()
    again.wait()
    assert crowd.look(OWN).twins() == []
    worker("cpu001@1", "", token="cpu000@1")
    assert len(crowd.look(OWN).twins()) == 1


def test_only_the_swarm_s_own_workers_are_hit_and_the_draw_is_the_seed_s(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "swarm_id").write_text(f"{OWN}\n")
    mine, theirs = worker("cpu000@1", "j"), worker("cpu000@7", "j", swarm=OTHER)
    gun = Gun(tmp_path, 1)
    shot = [fault for _ in range(30) for fault in gun.shoot()]
    assert {fault.pid for fault in shot} == {mine.pid}
    assert shot[0].lost_s is not None
    mine.send_signal(signal.SIGCONT)
    assert theirs.poll() is None
    kinds = [fault.kind for fault in shot]
    assert kinds == [f.kind for f in shot if f.worker]  # no daemon runs here


def test_a_lock_that_names_a_pid_of_somebody_else_s_is_no_daemon(tmp_path: Path) -> None:
    (tmp_path / "daemon.lock").write_text(f"{os.getpid()} 12345 0.1 0\n")
    assert daemon_pid(tmp_path) is None
    (tmp_path / "daemon.lock").write_text("nonsense\n")
    assert daemon_pid(tmp_path) is None


def event(seq: int, kind: str, subject: str, ts: float = 0.0, **data: Any) -> dict[str, Any]:
    return {"seq": seq, "kind": kind, "subject": subject, "ts": ts, "outcome": "", "data": data}


def test_a_repair_lasts_until_the_same_job_runs_again() -> None:
    story = [
        event(1, "worker.spawning", "cpu000@1", job="j"),
        event(2, "worker.started", "cpu000@1", start_ticks=100 * tally.HZ),
        event(3, "worker.exited", "cpu000@1", 0.0, **{"class": "crash"}),
        event(4, "worker.spawning", "cpu000@2", job="other"),
        event(5, "worker.started", "cpu000@2", start_ticks=151 * tally.HZ),
        event(6, "worker.spawning", "cpu001@4", job="j"),
        event(7, "worker.started", "cpu001@4", start_ticks=152 * tally.HZ),
    ]
    fault = Fault("worker killed", at=0.0, boot_s=150.0, worker="cpu000@1", job="j")
    assert tally.repairs(story, [fault])[0]["back_s"] == 2.0
    assert tally.repairs(story[:5], [fault])[0] | {"lost_s": 0} == {
        "kind": "worker killed", "worker": "cpu000@1", "job": "j", "phase": "", "lost_s": 0, "back_s": None,
        "became": "crash",
    }  # fmt: skip


def test_incidents_are_counted_by_how_far_they_came_and_gaps_in_the_log_are_found() -> None:
    story = [
        event(1, "incident.detected", "j", 10.0, **{"class": "crash"}),
        event(2, "incident.classified", "j", 10.0, incident="i1"),
        event(4, "incident.verified", "j", 12.5, incident="i1"),
        event(5, "incident.detected", "k", 13.0, **{"class": "stuck"}),
        event(6, "incident.closed", "j", 13.0, incident="i1"),
    ]
    found = tally.incidents(story)
    assert found["counts"] | {"executed": 0} == {
        "detected": 2, "classified": 1, "executed": 0, "verified": 1, "escalated": 0, "closed": 1,
    }  # fmt: skip
    assert (found["open"], found["verified_s"]["worst"]) == ({"i5": "stuck, detected"}, 2.5)
    assert tally.gaps(story) == [3]


def test_a_torn_artifact_and_a_missing_one_are_told_and_rounds_that_were_cleared_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "rounds" / "2" / "main" / "A" / "balanced"
    folder.mkdir(parents=True)
    (folder / "preflight.json").write_text("{}")
    (folder / "validation.json").write_text('{"verd')
    gone, old = str(folder / "all_trials.json"), str(tmp_path / "rounds" / "1" / "main" / "A" / "all_trials.json")
    found = tally.artifacts(tmp_path, [event(1, "job.finished", "j", artifacts=[gone, old])])
    assert found["counts"] == {"preflight.json": 1, "validation.json": 1}
    assert (found["torn"], found["gone"]) == ([str(folder / "validation.json")], [gone])


@pytest.mark.parametrize("argv", [["--minutes", "0"], ["--every", "-1"], ["--root", "{used}"]])
def test_a_soak_that_could_not_be_one_is_refused_before_anything_starts(argv: list[str], tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(SystemExit) as refused:
        soak.main([word.format(used=tmp_path) for word in argv])
    assert refused.value.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_the_table_tells_what_was_wrong() -> None:
    span = tally.spread([1.0, 3.0, 2.0])
    report: dict[str, Any] = {
        "faults": [{"kind": "worker killed"}, {"kind": "worker killed"}, {"kind": "daemon killed"}],
        "incidents": {"counts": {"detected": 2, "verified": 2}, "classes": {"crash": 2}, "verified_s": span},
        "watched": {"twins": ["a and b"], "orphans": [], "looks": 9, "workers": 4, "cpu_windows_pct": [81.2],
                    "cpu_told_pct": [80.0, 90.0]},
        "back_s": {"worker killed": span, "daemon killed": tally.spread([])},
        "lost_s": {**span, "all": 6.0}, "left": [], "jobs": {"done": 3}, "exits": {}, "events": {},
        "artifacts": {"counts": {}, "published": ["optimizations/A/balanced"]},
        "before": {"code": 0, "stage": "idle", "round": 0, "health": "ok", "workers": 0, "incidents": 0},
        "wrong": {"duplicates": ["a and b"]},
    }  # fmt: skip
    told = soak.table(report)
    for words in ("3: 2 worker killed, 1 daemon killed", "2 detected, 2 verified", "median 2.0 s, worst 3.0 s, of 3",
                  "1 / 0 / 0", "optimizations/A/balanced", "mean 85 %", "exit 0, idle", "WRONG"):  # fmt: skip
        assert words in told
