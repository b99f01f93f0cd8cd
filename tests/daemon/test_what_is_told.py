"""What a living swarm says about itself: heartbeats, rounds, files, plans and configurations, over restarts too."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from btswarm import cli
from btswarm.state.control_client import CHANGE_S, ask
from btswarm.state.disk import RealDisk
from btswarm.state.errors import BtswarmError
from btswarm.state.eventlog import EventLog
from btswarm.state.models.state_files import CONTINUITY_EVENTS
from btswarm.state.replay import SwarmState, fold
from btswarm.state.store import HEARTBEAT_BYTES

from .healing import SLEEPER, Healing
from .waiting import until

Make = Callable[..., Healing]
QUICK_TICKS = "tick_s = 0.2, agent_hard_s = 0.15, save_min_s = 0.1"
TICKS = 8


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Healing] = []

    def _make(acts: dict[str, Any] | None = None, commands: tuple[Any, ...] = (SLEEPER,), **tables: str) -> Healing:
        made.append(Healing(tmp_path, acts, commands, **{"cycle": QUICK_TICKS, **tables}))
        return made[-1]

    yield _make
    for daemon in made:
        daemon.end()


def payload(daemon: Healing, name: str) -> dict[str, Any]:
    path = daemon.state / name
    until(path.exists, what=f"the first save of {name}")
    found: dict[str, Any] = orjson.loads(path.read_bytes())["payload"]
    return found


def some_ticks(daemon: Healing, life: int = 1) -> None:
    """Wait until the files of its n-th life were saved and read back several times."""
    started = until(lambda: daemon.events("daemon.started")[life - 1 :], what="the start")[0]

    def seen() -> bool:
        latest = payload(daemon, "session_latest.json")
        return latest["since"] >= started["ts"] and latest["cycle"] >= TICKS and bool(latest["files"])

    until(seen, limit_s=40, what="some ticks")


def words(daemon: Healing, needle: str) -> list[str]:
    return [line for line in daemon.said.read_text().splitlines() if needle in line]


def test_a_fresh_start_and_every_restart_find_nothing_wrong_with_the_state_files(make: Make) -> None:
    daemon = make().start()
    some_ticks(daemon)
    daemon.kill()
    daemon.start()
    some_ticks(daemon, 2)
    assert daemon.ask(signal.SIGUSR2) == 75
    daemon.start()
    some_ticks(daemon, 3)
    assert daemon.ask(signal.SIGTERM) == 0
    daemon.start()
    some_ticks(daemon, 4)
    kinds = {one["kind"].partition(".")[0] for one in daemon.events()}
    assert not kinds & {"incident", "state", "log", "orphan", "hold"}


def test_a_line_that_a_crash_tore_is_said_at_the_next_start(make: Make) -> None:
    daemon = make().start().up()
    daemon.kill()
    with (daemon.state / "workflow_events.log").open("ab") as log:
        log.write(b'{"v":1,"seq":')
    daemon.start()
    recovered = until(lambda: daemon.events("log.recovered"), what="the line about it")
    assert recovered[0]["subject"] == "workflow_events.log"


def test_the_latest_session_is_what_query_prints_and_what_the_manager_keeps(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    daemon = make().start().up()
    some_ticks(daemon)
    assert daemon.ask(signal.SIGUSR2) == 75
    monkeypatch.setenv("STATE_ROOT", str(daemon.state))
    assert cli.main(["query", "--json"]) == 3
    printed = capsysbinary.readouterr().out
    assert orjson.loads(printed) == payload(daemon, "session_latest.json")
    assert payload(daemon, "session_state_manager_state.json")["facts"] == payload(daemon, "session_latest.json")
    asked_for = "run_id stage round health next_steps incidents agents workers lanes utilisation queue files"
    more = "throughput run_gates artifacts leaderboard searches"
    assert {*asked_for.split(), *more.split()} <= set(orjson.loads(printed))


def test_a_run_has_a_heartbeat_that_is_judged_and_mended_like_any_state_file(make: Make) -> None:
    daemon = make({}).start()
    path = until(lambda: list(daemon.state.glob("session_state_bt-*.jsonl")), what="the first heartbeat")[0]
    line = until(path.read_bytes, what="its line").splitlines()[0]
    assert len(line) < HEARTBEAT_BYTES
    beat = orjson.loads(line)
    assert path.name == f"session_state_{beat['run_id']}.jsonl"
    view = until(lambda: payload(daemon, "session_latest.json")["files"].get(path.name), what="its view")
    assert view["limit_s"] == 150.0
    path.unlink()
    daemon.healed("state_file", path.name)
    assert path.exists()


def test_the_manager_s_own_lines_are_copied(make: Make) -> None:
    daemon = make(disk="floor_mb = 1000000000, ballast_mb = 0").start()
    until(lambda: daemon.events("hold.set"), what="the hold of a full disk")
    own = [one for one in daemon.events() if one["agent"] == "session_state_manager"]
    copied = (daemon.state / CONTINUITY_EVENTS).read_bytes().splitlines()
    assert [orjson.loads(one)["seq"] for one in copied][: len(own)] == [one["seq"] for one in own]


def test_the_end_of_a_round_is_told_once_whatever_happens_to_the_daemon(make: Make) -> None:
    daemon = make({}).start()
    said = daemon.event("round.finished")["data"]
    assert (said["round"], said["counts"], said["outcomes"]) == (1, {"validated": 1}, {"validated": ["SYNTH/balanced"]})
    daemon.kill()
    daemon.start()
    some_ticks(daemon, 2)
    assert len(daemon.events("round.finished")) == 1
    until(lambda: payload(daemon, "work_queue.json")["finished"] == 1, what="the record of it")
    gates = {one["gate"]: one["met"] for one in payload(daemon, "work_queue.json")["run_gates"]}
    assert (gates["phase0_artifacts"], gates["trials"], gates["verdicts"]) == ("met", "met", "met")
    assert payload(daemon, "work_queue.json")["next_steps"][0]["expected_outcome"]


def test_every_round_s_end_is_told_before_the_next_one_begins(make: Make) -> None:
    daemon = make({}, plan='data_path = "synthetic", modes = ["balanced"], rounds = 2').start()
    until(lambda: len(daemon.events("round.finished")) == 2, limit_s=100, what="two rounds")
    told = [f"{one['kind']} {one['subject']}" for one in daemon.events("round.started", "round.finished")]
    assert told == ["round.started r1", "round.finished r1", "round.started r2", "round.finished r2"]


def test_a_round_that_waits_for_a_person_is_over_and_says_for_what(make: Make) -> None:
    bad = {"do": "exit", "code": 65, "class": "bad_data", "message": "no candles in it"}
    daemon = make({"preflight": [bad]}).start()
    said = daemon.event("round.finished")["data"]
    assert said["counts"] == {"held": 1}
    gates = until(lambda: payload(daemon, "work_queue.json")["run_gates"], what="the gates")
    assert {one["met"] for one in gates[:3]} == {"failed"}
    assert "no candles in it" in gates[0]["evidence"]


def big_plan(marker: str) -> dict[str, Any]:
    """A plan of more than 2 KB: commands with long arguments."""
    argv = ["sh", "-c", "exec sleep 600", marker, "x" * 1200]
    return {"command": [{"name": f"long{n}", "argv": argv, "copies": 1} for n in range(3)]}


def test_a_plan_larger_than_a_line_of_the_log_is_launched_and_outlives_the_daemon(make: Make) -> None:
    daemon = make(commands=()).start()
    until(lambda: (daemon.state / "control.sock").exists(), what="the socket")
    ask(daemon.state, "launch", big_plan("first"), wait_s=CHANGE_S)
    until(lambda: len(daemon.running()) == 3, what="its worker")
    accepted = daemon.events("command.accepted")[-1]["data"]["desired"]
    assert (daemon.state / "plans" / f"{accepted['plan_file']}.json").exists()
    assert accepted["plan"] == {}
    before = daemon.pids()
    daemon.kill()
    daemon.start()
    until(lambda: len(daemon.events("worker.adopted")) == 3, what="the adoption")
    some_ticks(daemon, 2)
    assert sorted(daemon.pids()) == sorted(before)
    assert payload(daemon, "swarm_control_state.json")["desired"]["plan_file"] == accepted["plan_file"]


def test_a_launched_plan_that_is_lost_holds_the_swarm_until_another_is_launched(make: Make) -> None:
    daemon = make(commands=()).start()
    until(lambda: (daemon.state / "control.sock").exists(), what="the socket")
    ask(daemon.state, "launch", big_plan("first"), wait_s=CHANGE_S)
    until(lambda: len(daemon.running()) == 3, what="its worker")
    daemon.kill()
    for path in (daemon.state / "plans").iterdir():
        path.unlink()
    daemon.start()
    hold = until(lambda: daemon.events("hold.set"), what="the hold")[0]
    assert (hold["subject"], hold["data"]["hold"]["class"]) == ("swarm", "plan_lost")
    assert hold["data"]["hold"]["needs"] == "launch the plan again"
    until(lambda: daemon.query()["holds"], what="the hold in query")
    ask(daemon.state, "launch", big_plan("second"), wait_s=CHANGE_S)
    until(lambda: daemon.events("hold.released"), what="its release")
    until(lambda: len(daemon.pids()) == 3, what="the worker")


def test_what_an_older_plan_queued_is_not_done_by_the_volumes_of_the_new_one(make: Make) -> None:
    daemon = make({"preflight": [{"do": "work"}]}).start()
    daemon.worker_of("preflight")
    plan = {"plan": {"modes": ["aggressive"]}, "volume": {"combos": 5000}}
    ask(daemon.state, "launch", plan, wait_s=CHANGE_S)
    until(lambda: len(daemon.events("round.started")) == 2, what="the new plan's round")
    dropped = [one for one in daemon.events("job.finished") if one["outcome"] == "another plan was launched"]
    stages = [one["subject"].removeprefix("r1/SYNTH/balanced/") for one in dropped]
    assert stages == ["prescreen", "optimize", "validate", "report"]
    assert [one["data"]["counts"] for one in daemon.events("round.finished")] == [{"dropped": 1}]
    states = until(
        lambda: {job["job"]: job["state"] for job in daemon.query()["queue"]["jobs"] if job["job"].startswith("r")},
        what="the queue",
    )
    assert states["r1/SYNTH/balanced/preflight"] == "running"


def test_the_log_alone_gives_the_same_state_again(make: Make) -> None:
    daemon = make({}).start()
    daemon.event("round.finished")
    assert daemon.ask(signal.SIGTERM) == 0
    log = EventLog(daemon.state, RealDisk())
    state = fold(SwarmState(), log.replay(0))
    queue = payload(daemon, "work_queue.json")
    assert (state.queue.finished, state.queue.round, sorted(state.queue.jobs)) == (1, 1, sorted(queue["jobs"]))
    assert state.control.config == payload(daemon, "swarm_control_state.json")["config"]


def edit(daemon: Healing, old: str, new: str) -> None:
    text = daemon.config.read_text()
    assert old in text
    daemon.config.write_text(text.replace(old, new))


def test_a_reload_takes_over_targets_and_limits(make: Make) -> None:
    daemon = make(targets="cpu_pct = 80").start().up()
    edit(daemon, "cpu_pct = 80", "cpu_pct = 55")
    edit(daemon, "stop_grace_s = 0.5", "stop_grace_s = 0.7")
    assert daemon.process is not None
    os.kill(daemon.process.pid, signal.SIGHUP)
    until(lambda: daemon.query()["utilisation"]["cpu"]["target_pct"] == 55, what="the new target")
    loaded = next(one for one in daemon.events("command.accepted") if one["outcome"] == "loaded")
    assert loaded["data"]["args"]["changed"] == ["targets.cpu_pct", "workers.stop_grace_s"]
    assert words(daemon, "configuration loaded again: targets.cpu_pct, workers.stop_grace_s")
    until(lambda: payload(daemon, "swarm_control_state.json")["config"] == loaded["data"]["config"], what="its digest")


def test_roots_cannot_change_in_a_living_daemon(make: Make, tmp_path: Path) -> None:
    daemon = make().start().up()
    edit(daemon, f'root = "{daemon.root}"', f'root = "{tmp_path / "elsewhere"}"')
    with pytest.raises(BtswarmError, match="roots cannot change in a living daemon"):
        ask(daemon.state, "reload", wait_s=CHANGE_S)
    assert daemon.process is not None
    os.kill(daemon.process.pid, signal.SIGHUP)
    refused = until(lambda: daemon.events("command.refused"), what="the refusal")[0]
    assert "roots cannot change" in refused["data"]["why"]
    assert len(words(daemon, "the configuration is kept as it was")) == 1
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_contradicts_the_launched_plan_is_refused(make: Make) -> None:
    daemon = make(plan='data_path = "synthetic", rounds = 1').start().up()
    edit(daemon, '[[command]]\nname = "fill"', '[[command]]\nname = "fill"\nnonsense = 1')
    with pytest.raises(BtswarmError, match="nonsense"):
        ask(daemon.state, "reload", wait_s=CHANGE_S)
