"""What is said at a tick: the minute, the heartbeat, the end of a round and its gates."""

from dataclasses import replace
from typing import Any, cast

import orjson
import pytest

from btswarm.daemon.background import Errand, NoCaretaker
from btswarm.daemon.chronicle import PATIENCE_S, SWEEP_S, Chronicle, heartbeat
from btswarm.daemon.council import Council
from btswarm.daemon.housekeeping import Swept
from btswarm.daemon.journal import Journal
from btswarm.daemon.moment import Moment
from btswarm.daemon.ports import World
from btswarm.daemon.probes.artifacts import Findings
from btswarm.daemon.run_gates import finished, outcome_of, run_gates
from btswarm.daemon.swarm import Swarm
from btswarm.state.models.events import Draft
from btswarm.state.models.facts import JobView, LeaderView, Observation
from btswarm.state.models.names import STAGES, engine_job
from btswarm.state.models.records import Hold
from btswarm.state.models.state_files import heartbeat_file
from btswarm.state.paths import Roots
from btswarm.state.replay import SwarmState
from btswarm.state.scribe import Scribe
from btswarm.state.store import HEARTBEAT_BYTES
from btswarm.state.wire import encode
from btswarm.tests.agents.world import MONO, NOW, PLAN, config, fleet, incident, job, observation, progress, worker
from btswarm.tests.sim.disk import FakeDisk
from btswarm.tests.state.fixtures import ROOT, log_on, store_on

RUN = "bt-20270115_080000Z"


class Caretaker(NoCaretaker):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Errand] = []
        self.did = Swept()

    def ask(self, errand: Errand) -> None:
        self.asked.append(errand)

    def swept(self) -> Swept:
        return self.did


class Told:
    """A chronicle over a disk that is not real. `say(at)`: the tick so many seconds later."""

    def __init__(self) -> None:
        self.disk = FakeDisk()
        log = log_on(self.disk)
        log.open()
        journal = Journal(log, SwarmState())
        roots = Roots(ROOT, ROOT / "results", ROOT, ROOT / "logs", ROOT / "docs", None)
        self.caretaker = Caretaker()
        self.swarm = Swarm(
            world=cast(World, None), journal=journal, scribe=Scribe(log, store_on(self.disk), lambda: 0.0), roots=roots,
            file_config=config(), swarm_id="a" * 32, epoch="e" * 16, build="1", caretaker=self.caretaker,
        )  # fmt: skip
        self.council = Council(journal, cast(Any, None), ())
        self.chronicle = Chronicle(self.swarm, self.council)
        self._moment(0.0)
        data = {"run": RUN, "round": 1, "plan_sha256": "f" * 64}
        journal.record(Draft("round.started", "r1", data))

    def say(self, at: float, seen: Observation | None = None) -> None:
        seen = replace(seen or observation(), now=NOW + at, mono=MONO + at)
        self.chronicle.tick(seen, self._moment(at))

    def events(self, kind: str) -> list[dict[str, Any]]:
        self.swarm.scribe.flush()
        lines = self.disk.read(ROOT / "workflow_events.log").splitlines()
        return [one for one in map(orjson.loads, lines) if one["kind"] == kind]

    def beats(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.disk.read(ROOT / heartbeat_file(RUN)).splitlines()]

    def _moment(self, at: float) -> Moment:
        moment = Moment(int(at), NOW + at, MONO + at, 5.0, 0, ("timer",), True, "e" * 16)
        self.swarm.journal.turn(moment)
        return moment


@pytest.fixture
def told() -> Told:
    return Told()


def screening(rate: float) -> Observation:
    name = engine_job(1, "SOLUSDT", "balanced", "prescreen")
    return observation(jobs=[job(name)], workers=[worker("cpu000@1", name, progress=progress(rate=rate))])


def test_once_a_minute_it_says_how_it_was_in_means_of_that_minute(told: Told) -> None:
    for at in range(0, 125, 5):
        told.say(at, screening(1000.0 if at < 30 else 3000.0))
    first, second = told.events("cycle.summary")
    assert first["severity"] == "debug"
    assert first["data"]["cpu_target_pct"] == 80
    assert 1000.0 < first["data"]["combos_per_s"] < 3000.0
    assert second["data"]["combos_per_s"] == 3000.0
    assert (second["data"]["jobs"], second["data"]["workers"], second["data"]["cycles"]) == ({"running": 1}, 1, 60)
    assert second["outcome"] == "CPU 87 of 80 %, 1 workers"


def test_a_use_that_nobody_could_read_is_null_and_no_zero(told: Told) -> None:
    for at in range(0, 65, 5):
        told.say(at)
    assert told.events("cycle.summary")[0]["data"]["gpu_pct"] is None


def test_what_was_thrown_away_stands_in_the_minute_s_summary(told: Told) -> None:
    told.caretaker.did = Swept(workers=3, logs=2, rounds=[1])
    for at in range(0, 65, 5):
        told.say(at)
    thrown = told.events("cycle.summary")[0]["data"]["thrown_away"]
    assert (thrown["workers"], thrown["logs"], thrown["rounds"]) == (3, 2, [1])


def test_there_is_a_heartbeat_a_minute_from_the_first_tick_of_a_run_on(told: Told) -> None:
    for at in range(0, 125, 5):
        told.say(at)
    beats = told.beats()
    assert [round(one["at"] - NOW) for one in beats] == [0, 60, 120]
    assert {one["run_id"] for one in beats} == {RUN}


def test_without_a_run_there_is_no_heartbeat(told: Told) -> None:
    told.say(0.0, observation(swarm={"run": "", "round": 0}))
    assert not [path for path in told.disk.files if path.suffix == ".jsonl" and "bt-" in path.name]


def test_however_bad_things_are_a_heartbeat_fits_its_line() -> None:
    bad: dict[str, Any] = {}
    for n in range(200):
        bad |= incident("x" * 300, f"r1/{'S' * 300}{n}/balanced/optimize", seq=n + 1)
    seen = replace(fleet(100), incidents=bad)
    assert len(encode(heartbeat(seen, None, 10**9))) < HEARTBEAT_BYTES


def test_results_are_looked_at_when_a_job_ended_and_everything_is_swept_once_a_minute(told: Told) -> None:
    one, two = (engine_job(1, "SOLUSDT", "balanced", stage) for stage in ("preflight", "prescreen"))
    busy = observation(jobs=[job(one), job(two)])
    more = observation(jobs=[job(one, "done"), job(two)])
    told.say(0.0, busy)
    told.say(5.0, busy)
    told.say(15.0, more)
    told.say(20.0, more)
    told.say(SWEEP_S, more)
    assert [(one.mono - MONO, one.sweep) for one in told.caretaker.asked] == [(0.0, True), (15.0, False), (60.0, True)]
    assert told.caretaker.asked[0].keep.busy == {1}


def round_of(state: str = "done", **states: str) -> list[JobView]:
    """Both markets of the plan; `states`: of SOL's stages where they are others."""
    return [
        job(engine_job(1, symbol, "balanced", stage), states.get(stage, state) if symbol == "SOLUSDT" else state)
        for symbol in PLAN["plan"]["symbols"]
        for stage in STAGES
    ]


def test_the_end_of_a_round_waits_for_its_verdicts_and_is_told_once(told: Told) -> None:
    over = observation(jobs=round_of())
    told.say(0.0, over)
    assert told.events("round.finished") == []
    assert told.caretaker.asked[-1].mono == MONO
    row = LeaderView("SOLUSDT", "balanced", 1, "best_robust", {}, "UNCERTIFIED")
    told.swarm.findings = Findings(leaderboard=(row,), mono=MONO)
    told.say(5.0, over)
    told.say(10.0, over)
    (said,) = told.events("round.finished")
    assert said["data"]["counts"] == {"validated": 2}
    assert said["data"]["verdicts"] == {"UNCERTIFIED": 1}
    assert said["outcome"] == "2 validated; verdicts: 1 UNCERTIFIED"
    assert told.swarm.journal.state.queue.finished == 1


def test_a_disk_that_does_not_answer_does_not_keep_the_end_of_a_round_back_for_ever(told: Told) -> None:
    over = observation(jobs=round_of())
    told.say(0.0, over)
    told.say(PATIENCE_S - 1, over)
    assert told.events("round.finished") == []
    told.say(PATIENCE_S, over)
    assert len(told.events("round.finished")) == 1


def test_a_round_with_something_open_is_not_over() -> None:
    assert finished(observation(jobs=round_of(report="running")), ()) is None
    assert finished(observation(jobs=round_of(optimize="held", validate="waiting", report="waiting")), ()) is None
    assert finished(observation(), ()) is None


def test_what_came_of_each_symbol_and_mode_is_named() -> None:
    closed = finished(observation(jobs=round_of(optimize="cancelled", validate="cancelled", report="cancelled")), ())
    assert closed is not None
    assert closed["outcomes"] == {"closed": ["SOLUSDT/balanced"], "validated": ["BTCUSDT/balanced"]}
    assert closed["jobs"] == {"done": 7, "cancelled": 3}


def test_what_was_replaced_counts_by_what_replaced_it() -> None:
    jobs = [*round_of(optimize="replaced"), job("r1/SOLUSDT/balanced/optimize.h1", "done")]
    said = finished(observation(jobs=jobs), ())
    assert said is not None
    assert said["counts"] == {"validated": 2}
    assert outcome_of([job("r1/SOLUSDT/balanced/optimize.h1", "queued")]) == "open"


def gates(jobs: list[JobView]) -> dict[str, tuple[str, str]]:
    return {one.gate: (one.met, one.evidence) for one in run_gates(observation(jobs=jobs))}


def test_gates_are_open_met_or_failed_with_evidence() -> None:
    jobs = round_of(optimize="running", validate="waiting", report="waiting")
    found = gates(jobs)
    assert found["phase0_artifacts"][0] == "met"
    assert found["trials"] == ("open", "1 of 2; open: SOLUSDT/balanced")
    held = Hold("no candles in it", "bad_data", NOW, needs="mend them")
    jobs = [replace(one, state="held", hold=held) if one.job.endswith("SOLUSDT/balanced/optimize") else one
            for one in round_of(optimize="queued", validate="waiting", report="waiting")]  # fmt: skip
    assert gates(jobs)["trials"] == ("failed", "1 of 2; failed: SOLUSDT/balanced (optimize held: no candles in it)")


def test_a_gate_that_one_market_meets_names_its_artifact() -> None:
    plan = config(plan={"symbols": ["SOLUSDT"], "modes": ["balanced"], "data_path": "/c"})
    jobs = [replace(one, artifacts=("/r/rounds/1/main/validation.json",)) if "validate" in one.job else one
            for one in round_of() if "SOL" in one.job]  # fmt: skip
    found = {one.gate: one.evidence for one in run_gates(observation(jobs=jobs, config=plan))}
    assert found["verdicts"] == "/r/rounds/1/main/validation.json"


def test_what_this_build_does_not_have_is_waived_and_without_a_run_there_is_no_gate() -> None:
    assert gates(round_of())["latest_handoff_recent"][0] == "waived"
    assert gates(round_of())["knowledge_plane_ready"][0] == "waived"
    assert run_gates(observation(swarm={"run": ""})) == ()


def test_the_plan_and_the_gates_are_noted_for_the_queue_s_file(told: Told) -> None:
    told.say(0.0, observation(jobs=round_of()))
    assert [one.gate for one in told.swarm.journal.state.queue.run_gates][:3] == [
        "phase0_artifacts", "trials", "verdicts",
    ]  # fmt: skip
