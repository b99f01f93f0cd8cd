"""The commands that look: light, right with and without a daemon, and clear about what cannot be relied on."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from btswarm import cli
from btswarm.state.peek import wrap

LIGHT = ("query", "status", "events", "workers", "agents")
HEAVY = {
    *("pydantic", "pydantic_core", "structlog", "psutil", "numpy", "numba", "polars", "optuna", "scipy", "rich"),
    *("sqlalchemy", "matplotlib", "jinja2", "asyncio"),
}
DOCUMENT: dict[str, Any] = {
    "v": 1, "run_id": "bt-20260102_030405Z", "stage": "prescreen", "round": 2, "health": "degraded", "at": 0.0,
    "health_why": "stuck of cpu000@3", "desired": {"life": "run", "paused": ["cpu001"], "draining": []},
    "next_steps": [{"action": "wait", "subject": "swarm", "why": "so", "blocked_by": ["x"],
                    "expected_outcome": "more"}],
    "incidents": [{"incident": "i5", "class": "stuck", "subject": "cpu000@3", "state": "executed", "age_s": 3.0,
                   "why": "quiet", "needs": ""}],
    "holds": [{"subject": "swarm", "reason": "disk is full", "until": None, "needs": "free some space"}],
    "agents": {"watchdog": {"age_s": 1.0, "fresh": True, "runs": 9, "health": "ok", "crashes": 0, "quarantine": None}},
    "workers": [{"worker": "cpu000@3", "lane": "cpu000", "job": "r2/SOLUSDT/balanced/prescreen", "state": "running",
                 "pid": 77, "age_s": 12.0, "phase": "batch", "step": 5, "steps": 10, "rate": 3.0, "unit": "combos",
                 "quiet_s": 1.0, "stop": None}],
    "lanes": {"cpu000": {"state": "open", "role": "main", "hold": None},
              "cpu001": {"state": "paused", "role": "fill", "hold": None}},
    "utilisation": {"cpu": {"pct": 81.2, "target_pct": 80, "missing": None},
                    "gpu": {"pct": None, "target_pct": 80, "missing": "no gpu"}},
    "queue": {"counts": {"queued": 3, "running": 1}},
    "files": {"workers.json": {"age_s": 40.0, "valid": True, "fault": "", "limit_s": 15.0}},
}  # fmt: skip


class Swarm:
    """A state folder as a daemon leaves it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)

    def write(
        self, name: str = "session_latest.json", payload: Any = DOCUMENT, *, age_s: float = 0.0, v: int = 1
    ) -> Path:
        data = wrap(orjson.dumps(payload), schema="latest", seq=3, log_seq=9, written=time.time() - age_s, mono=1.0,
                    epoch="e", writer="w")  # fmt: skip
        path = self.root / name
        path.write_bytes(data.replace(b'"v":1', f'"v":{v}'.encode(), 1))
        return path


@pytest.fixture
def swarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swarm:
    monkeypatch.setenv("STATE_ROOT", str(tmp_path / "state"))
    return Swarm(tmp_path / "state")


@pytest.fixture
def daemon(swarm: Swarm) -> Iterator[None]:
    """Somebody holds the lock."""
    with (swarm.root / "daemon.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("name", LIGHT)
def test_a_light_command_loads_the_standard_library_and_orjson_alone(swarm: Swarm, name: str) -> None:
    swarm.write()
    (swarm.root / "workflow_events.log").write_text('{"v":1,"seq":1,"ts":0,"kind":"daemon.started","subject":"d"}\n')
    script = f"import sys; from btswarm.cli import main; main([{name!r}]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {module.split(".")[0] for module in done.stderr.split()}
    assert not loaded & HEAVY
    own = {module for module in done.stderr.split() if module.startswith("btswarm.")}
    assert not {module for module in own if module.startswith(("btswarm.state.models", "btswarm.agents"))}
    outside = loaded - set(sys.stdlib_module_names) - {"btswarm", "orjson"}
    assert {module for module in outside if not module.startswith(("_", "btswarm:", "sitecustomize"))} <= words(done)


def words(done: "subprocess.CompletedProcess[str]") -> set[str]:
    """What the command itself said, and what the interpreter's start loads without being asked."""
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    said = {word.split(".")[0] for line in done.stderr.splitlines()[:-1] for word in line.split()}
    return said | {name.split(".")[0] for name in bare.stdout.split()}


def test_query_prints_the_file_s_own_json_and_says_that_nobody_is_there(
    swarm: Swarm, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    swarm.write(age_s=4000)
    assert cli.main(["query", "--json"]) == 3
    out, err = capfdbinary.readouterr()
    assert out == orjson.dumps(DOCUMENT) + b"\n"
    assert b"no daemon runs; this is its last state, 67 min old" in err


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize(("age_s", "code"), [(1.0, 0), (60.0, 4)])
def test_a_living_daemon_s_state_is_fresh_or_stale(
    swarm: Swarm, age_s: float, code: int, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    swarm.write(age_s=age_s)
    assert cli.main(["query", "--json"]) == code
    assert (b"stale" in capfdbinary.readouterr().err) == (code == 4)


@pytest.mark.parametrize(("age_s", "code"), [(1.0, 0), (60.0, 4)])
def test_a_copy_elsewhere_is_judged_by_its_age_alone(swarm: Swarm, tmp_path: Path, age_s: float, code: int) -> None:
    copy = swarm.write(age_s=age_s).rename(tmp_path / "copy.json")
    assert cli.main(["query", "--state-file", str(copy)]) == code
    assert cli.main(["query", "--state-file", str(tmp_path / "nothing")]) == 66


@pytest.mark.usefixtures("daemon")
def test_a_spoilt_file_is_replaced_by_what_the_manager_s_file_carries(
    swarm: Swarm, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    swarm.write().write_bytes(b'{"torn')
    swarm.write("session_state_manager_state.json", {"agent": {"health": "ok"}, "memory": {}, "facts": DOCUMENT})
    assert cli.main(["query", "--json"]) == 0
    out, err = capfdbinary.readouterr()
    assert orjson.loads(out) == DOCUMENT
    assert b"session_state_manager_state.json" in err


def test_an_edited_file_counts_for_nothing_and_its_previous_copy_does(
    swarm: Swarm, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    swarm.write("session_latest.json.prev", {"run_id": "before"})
    path = swarm.write()
    path.write_bytes(path.read_bytes().replace(b'"round":2', b'"round":3'))
    assert cli.main(["query", "--json"]) == 3
    out, err = capfdbinary.readouterr()
    assert orjson.loads(out) == {"run_id": "before"}
    assert b"checksum" in err


@pytest.mark.usefixtures("daemon")
def test_a_newer_state_and_an_unreadable_one_are_refused(swarm: Swarm, capsys: pytest.CaptureFixture[str]) -> None:
    swarm.write(v=2)
    assert cli.main(["query"]) == 74
    swarm.write().write_bytes(b"")
    assert cli.main(["status"]) == 74
    assert capsys.readouterr().err.count("\n") == 2


def test_where_no_swarm_ever_was_each_command_says_so_in_a_line(
    swarm: Swarm, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [cli.main([name]) for name in LIGHT] == [3, 3, 66, 3, 3]
    assert capsys.readouterr().err.count("\n") == len(LIGHT)
    assert not list(swarm.root.iterdir())


@pytest.mark.usefixtures("daemon")
def test_people_are_told_what_is_wrong_what_is_held_and_what_comes_next(
    swarm: Swarm, capsys: pytest.CaptureFixture[str]
) -> None:
    swarm.write()
    cli.main(["query"])
    said = capsys.readouterr().out
    for words_ in ("bt-20260102_030405Z", "degraded (stuck of cpu000@3)", "paused: cpu001", "expected: more",
                   "i5 stuck of cpu000@3", "needs you: free some space", "CPU 81 %, target 80 %",
                   "GPU unknown: no gpu", "workers.json  40 s  15 s   STALE"):  # fmt: skip
        assert words_ in said
    assert cli.main(["status"]) == 0
    assert "r2/SOLUSDT/balanced/prescreen" in capsys.readouterr().out
    cli.main(["workers"])
    assert "cpu001" in capsys.readouterr().out
    cli.main(["agents"])
    assert "watchdog" in capsys.readouterr().out
    assert cli.main(["top", "--once"]) == 0
    assert "bt-20260102_030405Z" in capsys.readouterr().out


@pytest.mark.usefixtures("daemon")
def test_json_of_the_other_commands_is_a_part_of_query_s(
    swarm: Swarm, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    swarm.write(payload={**DOCUMENT, "health": "critical"})
    assert cli.main(["status", "--json"]) == 1
    assert orjson.loads(capfdbinary.readouterr().out)["incidents"] == 1
    assert cli.main(["agents", "--json"]) == 0
    assert orjson.loads(capfdbinary.readouterr().out) == DOCUMENT["agents"]


def event(seq: int, kind: str, subject: str, cause: int | None = None) -> str:
    fields = {"v": 1, "seq": seq, "ts": 0.0, "kind": kind, "subject": subject, "cause_seq": cause, "severity": "info"}
    return json.dumps({**fields, "outcome": "", "count": 1, "data": {"why": "so"}}) + "\n"


@pytest.fixture
def log(swarm: Swarm) -> Path:
    path = swarm.root / "workflow_events.log"
    kinds = [("worker.exited", "cpu000@1", None), ("incident.detected", "cpu000@1", 1), ("job.queued", "cmd", None),
             ("incident.executed", "cpu000@1", 2), ("worker.started", "cpu000@2", 4)]  # fmt: skip
    path.write_text("".join(event(n, *one) for n, one in enumerate(kinds, 1)))
    return path


def seqs(text: str) -> list[int]:
    return [json.loads(line)["seq"] for line in text.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], [1, 2, 3, 4, 5]),
        (["-n", "2"], [4, 5]),
        (["--since-seq", "3"], [4, 5]),
        (["--kind", "incident"], [2, 4]),
        (["--kind", "worker.exited"], [1]),
        (["--subject", "cpu000"], [1, 2, 4, 5]),
        (["--subject", "cpu000", "-n", "1"], [5]),
        (["--why", "4"], [1, 2, 4, 5]),
    ],
)
@pytest.mark.usefixtures("log")
def test_events_are_chosen_by_number_kind_subject_and_cause(
    capfd: pytest.CaptureFixture[str], arguments: list[str], wanted: list[int]
) -> None:
    assert cli.main(["events", "--json", *arguments]) == 0
    assert seqs(capfd.readouterr().out) == wanted


def test_following_goes_on_across_a_rotation(log: Path) -> None:
    command = [sys.executable, "-m", "btswarm", "events", "-f", "--json", "--since-seq", "4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as follower:
        assert follower.stdout
        assert json.loads(follower.stdout.readline())["seq"] == 5
        log.rename(log.with_name("workflow_events.1.log"))
        log.write_text(event(6, "worker.exited", "cpu000@2"))
        assert json.loads(follower.stdout.readline())["seq"] == 6
        follower.kill()


@pytest.mark.usefixtures("log")
def test_events_read_as_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["events", "-n", "1"]) == 0
    assert "5 <- 4    worker.started cpu000@2: why so" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["pause", "resume", "drain"])
def test_a_wish_without_a_daemon_is_told_so(swarm: Swarm, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert swarm.root.exists()
    assert cli.main([name]) == 3
    assert "btswarm start" in capsys.readouterr().err


def test_a_look_at_a_dead_swarm_s_top_has_its_exit_code(swarm: Swarm, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["top", "--once"]) == 3
    swarm.write(age_s=4000)
    assert cli.main(["top", "--once"]) == 3
    assert "bt-20260102_030405Z" in capsys.readouterr().out


AS_NOBODY = """
import importlib, os, sys
from btswarm import cli
for name in sys.argv[2:]:
    importlib.import_module(f"btswarm.daemon.commands.{name}")
import btswarm.daemon.service, btswarm.daemon.telling, btswarm.state.config, btswarm.state.control_client
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(*(cli.main([name]) for name in sys.argv[2:]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_another_user_is_told_so_whatever_they_ask(swarm: Swarm) -> None:
    swarm.write()
    (swarm.root / "daemon.lock").touch()
    swarm.root.chmod(0o700)
    names = ["query", "status", "workers", "agents", "pause", "ensure", "stop"]
    script = [sys.executable, "-P", "-c", AS_NOBODY, "-", *names]
    done = subprocess.run(script, capture_output=True, text=True, env={**os.environ, "HOME": "/"}, cwd="/",
                          check=True)  # fmt: skip
    assert done.stdout.split()[-len(names) :] == ["77"] * len(names)
    assert done.stderr.count("\n") == len(names)
