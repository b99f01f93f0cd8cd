"""What people read: the same facts as `query --json`, in words."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from btswarm.daemon.account import account, throughput
from btswarm.daemon.telling import agents, continuity, event_line, status, workers
from btswarm.state.models.facts import ArtifactsView, FileView, LeaderView, Observation, SearchView
from btswarm.state.models.records import Desired, IncidentRecord, RunGate
from btswarm.state.wire import encode
from btswarm.tests.agents.world import NOW, fleet, hold, job, known, missing, observation, progress, propose, worker

EMPTY: dict[str, Any] = {}


def document(seen: Observation) -> dict[str, Any]:
    """What query --json prints of it."""
    _, memory = propose("session_state_manager", seen)
    found: dict[str, Any] = orjson.loads(encode(account(seen, memory)))
    return found


def open_incident(**changes: Any) -> dict[str, IncidentRecord]:
    made = IncidentRecord("i9", "crash", "r1/SOLUSDT/balanced/prescreen", "executed", "error", NOW - 5, 9, why="exit 1")
    return {"i9": replace(made, **changes)}


def said(seen: Observation) -> str:
    return continuity(document(seen))


@pytest.mark.parametrize("tell", [continuity, status, workers, agents])
def test_a_document_of_which_nothing_is_left_is_told_all_the_same(tell: Any) -> None:
    assert isinstance(tell(EMPTY), str)


def test_an_incident_tells_what_is_being_done_and_when_it_escalates() -> None:
    text = said(observation(incidents=open_incident(actions=("SpawnWorker",), due=NOW + 40)))
    assert "crash of r1/SOLUSDT/balanced/prescreen, for 5 s: exit 1" in text
    assert "executed: SpawnWorker; waiting to see that it worked, escalates 08:00:40Z (in 40 s)" in text
    assert "expected: another worker runs the job" in text


def test_an_incident_that_nothing_helped_says_what_was_tried_and_what_a_person_must_do() -> None:
    escalated = open_incident(state="escalated", actions=("SpawnWorker", "SpawnWorker"))
    assert "escalated: SpawnWorker did not help" in said(observation(incidents=escalated))
    needs = open_incident(state="escalated", actions=("ReleaseBallast",), needs="free some space")
    assert "needs you: free some space (tried: ReleaseBallast)" in said(observation(incidents=needs))
    assert "being decided" in said(observation(incidents=open_incident(state="classified")))


def test_a_hold_says_until_when_or_what_it_needs() -> None:
    assert "swarm: for a test; until 08:01:40Z (in 100 s)" in said(
        observation(holds=hold("swarm", "x", until=NOW + 100))
    )
    assert "swarm: for a test; needs you: mend it" in said(observation(holds=hold("swarm", "x", needs="mend it")))


def test_use_under_its_target_is_marked_only_while_something_is_queued() -> None:
    idle = observation(host=replace(observation().host, cpu_ours=known(10.0), cpu_others=known(0.0)))
    assert "CPU 10 %, target 80 %;" in said(idle)
    queued = replace(idle, jobs={"r1/S/balanced/prescreen": job("r1/S/balanced/prescreen", "queued")})
    assert "CPU 10 %, target 80 % (LOW)" in said(queued)


def test_what_could_not_be_read_says_why_instead_of_a_number() -> None:
    text = said(observation(host=replace(observation().host, cpu_ours=missing("no window yet"))))
    assert "CPU unknown: no window yet; GPU none detected" in text


def test_gates_results_and_spent_hold_outs_are_told() -> None:
    metrics = {"training_sharpe": 1.5, "walk_forward_sharpe": None, "deflated_sharpe": 0.4}
    rows = tuple(LeaderView(f"S{n}USDT", "balanced", n, "best_robust", metrics, "UNCERTIFIED") for n in range(5))
    spent = {"SOLUSDT/balanced/mtf_ema:aa/2024-01-01": SearchView(3, 3, "2027-02-01")}
    seen = observation(
        run_gates=(RunGate("trials", "open", "1 of 2"), RunGate("knowledge_plane_ready", "waived", "none")),
        leaderboard=rows, searches=spent, artifacts=ArtifactsView({"phase0": 2}, ("/a",)),
    )  # fmt: skip
    text = said(seen)
    assert "trials: open, 1 of 2" in text
    assert "knowledge" not in text
    assert "S0USDT balanced UNCERTIFIED: Sharpe in training 1.50, deflated probability 0.40 (round 0)" in text
    assert "and 2 more" in text
    assert "SOLUSDT/balanced: no look at its hold-out until that begins on 2027-02-01" in text
    assert document(seen)["artifacts"] == {"counts": {"phase0": 2}, "changed": ["/a"], "newest": 0}


def test_the_age_of_every_file_is_told_and_what_is_wrong_with_it() -> None:
    files = [FileView("workers.json", 2.0, True, limit_s=15.0), FileView("gone.json", None, False, "deleted", 15.0),
             FileView("old.json", 40.0, True, limit_s=15.0)]  # fmt: skip
    rows = [" ".join(line.split()) for line in said(observation(files=files)).splitlines()]
    assert {"workers.json 2 s 15 s", "gone.json - 15 s DELETED", "old.json 40 s 15 s STALE"} <= set(rows)
    assert "state files not well: gone.json (deleted), old.json (stale)" in status(document(observation(files=files)))


def test_throughput_is_the_search_s_own_and_not_that_of_other_phases() -> None:
    seen = observation(workers=[
        worker("cpu000@1", "r1/S/balanced/prescreen", progress=progress(rate=1000.0)),
        worker("cpu001@1", "r1/T/balanced/prescreen", progress=progress(rate=500.0)),
        worker("cpu002@1", "r1/U/balanced/prescreen", progress=progress(phase="exact", rate=70.0)),
        worker("cpu003@1", "r1/V/balanced/optimize", progress=progress(phase="trial", unit="trials", rate=2.5)),
        worker("cpu004@1", "r1/W/balanced/optimize", progress=missing()),
    ])  # fmt: skip
    assert throughput(seen) == {"combos_per_s": 1500.0, "trials_per_s": 2.5}
    assert "workers      5, 1,500 combos/s, 2.5 trials/s" in status(document(seen))


def test_a_synthetic_market_is_called_one_and_people_see_what_is_paused() -> None:
    seen = observation(swarm={"desired": Desired(life="run", paused=("cpu001",))})
    plan = {"plan": {"data_path": "synthetic", "symbols": ["SOL"]}, "desired": document(seen)["desired"]}
    text = continuity(plan)
    assert "SYNTHETIC" in text
    assert "paused: cpu001" in text


def test_many_workers_fit_one_screen() -> None:
    lines = status(document(fleet(40))).splitlines()
    assert any("and 51 more" in line for line in lines)


def test_free_lanes_are_listed_and_closed_ones_are_not() -> None:
    one = fleet(1)
    lanes = {**one.lanes, "cpu009": replace(one.lanes["cpu000"], lane="cpu009"),
             "cpu010": replace(one.lanes["cpu000"], lane="cpu010", state="closed")}  # fmt: skip
    text = workers(document(replace(one, lanes=lanes)))
    assert "cpu009" in text
    assert "cpu010" not in text


def test_the_end_of_a_round_reads_well_in_the_events() -> None:
    event = {"seq": 36, "ts": NOW, "kind": "round.finished", "subject": "r1", "severity": "info",
             "outcome": "1 validated; verdicts: 1 REJECTED", "data": {"round": 1}}  # fmt: skip
    assert event_line(event, NOW).endswith("round.finished r1: 1 validated; verdicts: 1 REJECTED")
