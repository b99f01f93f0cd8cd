"""Names, readings, lives and actions are what the tables say."""

import re
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btswarm.state.config import parse as parse_config
from btswarm.state.errors import BadConfig, BadData, FailureClass
from btswarm.state.models import actions, facts, names, records, transitions
from btswarm.state.models.actions import KINDS, RULES, may_propose, parse_action, subject_of
from btswarm.state.models.events import KINDS as EVENT_KINDS
from btswarm.state.models.events import Kind
from btswarm.state.models.failures import EXIT_CLASSES, POLICIES, IncidentClass, class_of_exit
from btswarm.state.models.readings import HOST_LIMIT_S, Known, Missing, fresh, known
from btswarm.state.models.state_files import agent_file, heartbeat_file
from btswarm.state.wire import encode
from btswarm.tests.checkout import CHECKOUT
from btswarm.tests.state.fixtures import SWARM, UTC


@pytest.mark.parametrize("text", ["gpu0", "gpu12", "gpu0.1", "cpu000", "cpu999", "cpu1000"])
def test_a_lane_is_taken_apart_and_put_together_again(text: str) -> None:
    lane = names.parse_lane(text)
    again = names.cpu_lane(lane.index) if lane.kind == "cpu" else names.gpu_lane(lane.index, lane.slot)
    assert (again, lane.kind) == (text, names.lane_kind(text))


@pytest.mark.parametrize(
    "text", ["", "gpu", "gpu01", "gpu0.", "cpu0", "cpu00a", "tpu0", "cpu000 ", "cpu000\n", "cpu-01"]
)
def test_what_is_no_lane_is_refused(text: str) -> None:
    with pytest.raises(BadData, match="is no lane"):
        names.parse_lane(text)


@given(st.integers(0, 4000), st.integers(1, 10**9))
def test_a_worker_is_its_lane_and_its_generation(index: int, gen: int) -> None:
    worker = names.worker_name(names.cpu_lane(index), gen)
    assert names.parse_worker(worker) == (names.cpu_lane(index), gen)
    assert names.lane_of(worker) == names.cpu_lane(index)


@pytest.mark.parametrize("text", ["cpu000", "cpu000@0", "cpu000@01", "cpu0@1", "@1", "cpu000@1@2"])
def test_what_is_no_worker_is_refused(text: str) -> None:
    with pytest.raises(BadData):
        names.parse_worker(text)


def test_jobs_are_taken_apart() -> None:
    job = names.engine_job(3, "SOLUSDT-PERP", "balanced", "optimize", "2")
    assert job == "r3/SOLUSDT-PERP/balanced/optimize.2"
    assert names.parse_job(job) == names.JobName(3, "SOLUSDT-PERP", "balanced", "optimize", "2")
    assert names.parse_job("cmd/a/b.c.7") == names.JobName(command="a/b.c", copy=7)
    assert names.is_command(names.command_job("fill", 0))


@pytest.mark.parametrize(
    "text", ["", "r1/S/balanced/dream", "S/balanced/report", "cmd/fill", "r1/S/x/y/report", "r1/S T/b/report"]
)
def test_what_is_no_job_is_refused(text: str) -> None:
    with pytest.raises(BadData, match="is no job"):
        names.parse_job(text)


def test_tokens_incidents_holds_runs_and_epochs_have_their_forms() -> None:
    own = "a" * 32
    assert names.parse_token(names.token(SWARM, own)) == (SWARM, own)
    assert names.parse_incident(names.incident_name(12)) == 12
    assert names.parse_hold(names.hold_name("r1/S/balanced/report", "crash")) == ("r1/S/balanced/report", "crash")
    assert names.is_run("bt-20260101_000000Z")
    assert names.is_swarm_id(SWARM)
    assert not names.is_swarm_id(SWARM + "\n")
    assert len(names.epoch("boot", 1, "")) == 16
    assert names.epoch("boot", 1, "") != names.epoch("boot", 2, "")
    for parse, text in ((names.parse_token, "x"), (names.parse_incident, "12"), (names.parse_hold, "crash")):
        with pytest.raises(BadData):
            parse(text)


def test_the_kind_of_a_subject_is_told_by_its_form() -> None:
    subjects = (
        "swarm",
        "GPU-8f",
        "MIG-1",
        "cpu000",
        "gpu0.1",
        "cpu000@3",
        "r1/S/balanced/report",
        "cmd/a.0",
        "curator",
    )
    kinds = ("swarm", "gpu", "gpu", "lane", "lane", "worker", "job", "job", "other")
    assert tuple(map(names.subject_kind, subjects)) == kinds


def test_a_reading_older_than_its_limit_is_missing_since_it_passed_it() -> None:
    reading = Known(3.0, 100.0)
    assert fresh(reading, 115.0, HOST_LIMIT_S) is reading
    assert fresh(reading, 115.1, HOST_LIMIT_S) == Missing("older than 15 s", 115.0)
    missing = Missing("no driver", 1.0)
    assert fresh(missing, 999.0, 1.0) is missing
    assert (known(reading), known(missing)) == (3.0, None)
    assert orjson.loads(encode([reading, missing])) == [
        {"known": 3.0, "at": 100.0},
        {"missing": "no driver", "since": 1.0},
    ]


@pytest.mark.parametrize(("until", "needs"), [(None, None), (1.0, "x"), (None, "")])
def test_a_hold_has_an_end_or_something_for_a_person_to_do_and_never_both(
    until: float | None, needs: str | None
) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        records.Hold("r", "crash", 0.0, until, needs)


def test_a_hold_for_a_time_is_over_and_one_for_a_person_never_is_by_itself() -> None:
    assert records.Hold("r", "crash", 0.0, until=5.0).over(5.0)
    assert not records.Hold("r", "crash", 0.0, needs="mend it").over(1e12)


def test_a_bucket_fills_to_its_size_and_never_backwards() -> None:
    bucket = records.Bucket(1.0, 100.0)
    assert bucket.at(101.0, 100, 20) == 21.0
    assert bucket.at(200.0, 100, 20) == 100.0
    assert bucket.at(50.0, 100, 20) == 1.0


LIVES: list[tuple[Any, Any, str]] = [
    (transitions.JOB, transitions.JobState, "waiting"),
    (transitions.WORKER, transitions.WorkerState, "intended"),
    (transitions.INCIDENT, transitions.IncidentState, "detected"),
    (transitions.LANE, transitions.LaneState, "closed"),
]


@pytest.mark.parametrize(("table", "states", "first"), LIVES)
def test_every_state_of_a_life_is_in_its_table_and_can_be_reached(table: Any, states: Any, first: str) -> None:
    assert set(table) == set(get_args(states))
    reached = {first}
    while new := {to for state in reached for to in table[state]} - reached:
        reached |= new
    assert reached == set(table)


def test_lives_go_as_the_contract_says_and_no_other_way() -> None:
    job = {(old, new) for old, news in transitions.JOB.items() for new in news if new != "cancelled"}
    assert job == {
        ("waiting", "queued"), ("queued", "running"), ("running", "done"), ("running", "queued"), ("running", "held"),
        ("running", "replaced"), ("held", "queued"),
    }  # fmt: skip
    assert {old for old, news in transitions.JOB.items() if "cancelled" in news} == set(transitions.JOB) - {
        "done",
        "cancelled",
    }
    worker = {(old, new) for old, news in transitions.WORKER.items() for new in news}
    assert worker == {
        ("intended", "starting"), ("starting", "running"), ("running", "stopping"), ("stopping", "exited"),
        ("exited", "reaped"), ("intended", "failed"), ("starting", "stopping"), ("starting", "exited"),
        ("running", "exited"), ("stopping", "lost"), ("lost", "exited"),
    }  # fmt: skip
    incident = {(old, new) for old, news in transitions.INCIDENT.items() for new in news}
    assert incident == {
        ("detected", "classified"), ("classified", "executed"), ("executed", "verified"), ("verified", "closed"),
        ("classified", "escalated"), ("executed", "escalated"), ("escalated", "executed"), ("escalated", "closed"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "check", [transitions.job_to, transitions.worker_to, transitions.incident_to, transitions.lane_to]
)
def test_each_life_refuses_a_step_that_is_not_listed(check: Any) -> None:
    state = {"job_to": "done", "worker_to": "reaped", "incident_to": "closed", "lane_to": "closed"}[check.__name__]
    with pytest.raises(transitions.IllegalTransition, match="x cannot go from"):
        check("x", state, state)


def test_every_failure_class_has_a_policy_and_every_hold_an_end_or_a_task() -> None:
    assert set(POLICIES) == set(FailureClass)
    for class_, policy in POLICIES.items():
        if policy.then == "hold":
            assert (policy.hold_s is None) == bool(policy.needs), class_
    blamed = {class_ for class_, policy in POLICIES.items() if policy.blame}
    assert blamed == {FailureClass.CRASH, FailureClass.STUCK}
    classes = {str(one) for one in FailureClass} - {"done", "stopped"}
    assert classes <= set(get_args(IncidentClass))


def test_exit_codes_are_filed_by_the_table_and_anything_else_is_a_crash() -> None:
    assert class_of_exit(72) == FailureClass.CUDA_OOM
    assert class_of_exit(3) == class_of_exit(199) == FailureClass.CRASH
    assert set(EXIT_CLASSES) == {0, 1, 2, 64, 65, 66, 69, 70, 71, 72, 73, 74, 75, 76, 77}


SAMPLES: dict[str, dict[str, Any]] = {
    "SpawnWorker": {"lane": "cpu000", "job": "cmd/a.0"},
    "StopWorker": {"worker": "cpu000@1", "rung": 1, "reason": "drain"},
    "ReplaceJob": {"job": "cmd/a.0", "volume": {"combos": 5}},
    "EnqueueJobs": {"jobs": [{"job": "cmd/a.0", "spec": {"kind": "command", "argv": ["a"]}}]},
    "StartRound": {"round": 1},
    "SetLanes": {"kind": "cpu", "n": 2},
    "Hold": {"subject": "swarm", "class": "budget", "reason": "spent", "needs": "raise it"},
    "Release": {"subject": "swarm", "class": "budget"},
    "OpenIncident": {"class": "stuck", "subject": "cpu000@1", "evidence": [1, "a"]},
    "RecordHypothesis": {"entry": {"a": 1}},
    "RestartProbe": {"name": "gpu"},
    "RepairStorage": {"path": "/x"},
    "RewriteState": {"file": "f"},
    "RestoreState": {"file": "f"},
    "ReleaseBallast": {},
    "RebuildBallast": {},
    "WriteNotes": {"file": "f", "block": "b"},
    "StopInstance": {},
}


@pytest.mark.parametrize("kind", RULES)
def test_every_action_survives_json_and_has_one_rule(kind: str) -> None:
    action = parse_action(kind, SAMPLES[kind])
    assert KINDS[type(action)] == kind == actions.kind_of(action)
    assert parse_action(kind, orjson.loads(encode(action))) == action
    assert RULES[kind].done_when in get_args(actions.DoneWhen)
    assert isinstance(subject_of(action), str)


def test_an_action_nobody_knows_or_with_an_argument_too_many_is_refused() -> None:
    with pytest.raises(BadConfig, match="is no action"):
        parse_action("FormatDisk", {})
    with pytest.raises(BadConfig, match="StartRound: now"):
        parse_action("StartRound", {"round": 1, "now": True})


def test_only_the_agents_of_the_table_may_propose_an_action() -> None:
    stop = parse_action("StopWorker", SAMPLES["StopWorker"])
    assert {name for name in ("worker_sentry", "hang_guard", "auto_scheduler") if may_propose(name, stop)} == {
        "worker_sentry",
        "hang_guard",
    }
    assert may_propose("anybody", parse_action("OpenIncident", SAMPLES["OpenIncident"]))


def test_the_ladder_begins_where_its_reason_says() -> None:
    assert set(actions.FIRST_RUNG) == set(get_args(actions.StopReason))
    assert actions.FIRST_RUNG["drain"] == 1
    assert actions.FIRST_RUNG["stuck"] == 2
    assert actions.FIRST_RUNG["orphan"] == 3


def test_every_event_kind_has_its_rule() -> None:
    assert set(EVENT_KINDS) == set(get_args(Kind))


def test_state_files_are_named_after_their_agents_but_for_two() -> None:
    assert agent_file("watchdog") == "watchdog_state.json"
    assert agent_file("hang_guard") == "operation_hang_guard_state.json"
    assert agent_file("consensus") == "orchestration_consensus_state.json"
    assert heartbeat_file("bt-1") == "session_state_bt-1.jsonl"


def test_everything_an_agent_sees_is_frozen_and_cheap() -> None:
    named = [one for module in (facts, records, actions) for one in vars(module).values()]
    seen = {one for one in named if isinstance(one, type) and is_dataclass(one)}
    assert len(seen) > 50
    for one in seen:
        assert one.__dataclass_params__.frozen, one  # type: ignore[attr-defined]
        assert "__slots__" in vars(one), one


def test_an_observation_knows_what_is_paused_and_held() -> None:
    swarm = facts.SwarmView(SWARM, "e", parse_config(""), records.Desired(paused=("cpu000",)))
    hold = records.Hold("full", "cannot_write", UTC, needs="space")
    seen = facts.Observation(1, UTC, 0.0, swarm, facts.HostView(2.0), holds={"swarm#cannot_write": hold})
    assert seen.paused("cpu000", "cmd/a.0")
    assert not seen.paused("cpu001")
    assert replace(seen, swarm=replace(swarm, desired=records.Desired(paused=("swarm",)))).paused()
    assert seen.held("swarm", "cannot_write") is hold
    assert seen.held("swarm", "budget") is None
    assert "config" in {field.name for field in fields(swarm)}


def test_the_page_about_events_knows_every_kind_and_every_key_of_its_data() -> None:
    page = (CHECKOUT / "docs" / "EVENTS.md").read_text(encoding="utf-8")
    changing, only_told = page.split("### Told only")
    for kind, rule in EVENT_KINDS.items():
        assert f"`{kind}`" in (only_told if rule.data is None else changing), kind
        for data in getattr(rule.data, "__args__", (rule.data,)):
            for key in getattr(data, "__annotations__", ()):
                assert re.search(rf"\b{key}\b", changing), (kind, key)
