"""A restart arrives where the daemon was."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from btswarm.state.eventlog import event_of
from btswarm.state.models.events import CHANGES, KINDS, Draft, Event
from btswarm.state.models.records import AgentRecord, Bucket, NextStep, RunGate
from btswarm.state.models.state_files import Control, Fleet, Queue
from btswarm.state.models.transitions import EventRefused, IllegalTransition, UnknownSubject
from btswarm.state.reducers.control import CONTROL
from btswarm.state.reducers.fleet import FLEET
from btswarm.state.reducers.queue import QUEUE
from btswarm.state.replay import Live, Recorder, SwarmState, apply, fold, replay, settled
from btswarm.state.wire import Encoder, encode
from btswarm.tests.sim.disk import FakeDisk
from btswarm.tests.state.fixtures import (
    BOOT,
    RUN,
    SWARM,
    UTC,
    exited,
    finished,
    hold,
    opened,
    queued,
    recorder_on,
    spawning,
    stamp,
    started,
    told,
)
from btswarm.tests.state.histories import live_through

JOB = "r1/S/balanced/prescreen"
NEXT = "r1/S/balanced/optimize"
OTHER = "cmd/fill.0"
HISTORY = st.lists(st.tuples(st.integers(0, 999), st.tuples(*[st.integers(0, 99)] * 3)), max_size=60)


def through_json(kind: type[Any], value: Any) -> Any:
    """What comes back of a slice that was written to its file."""
    return TypeAdapter(kind).validate_python(orjson.loads(encode(value)))


def written(recorder: Recorder) -> list[Event]:
    assert recorder.log.flush()
    return list(recorder.log.replay(0))


@settings(max_examples=150, deadline=None)
@given(HISTORY, st.data())
def test_replaying_the_log_from_any_snapshots_gives_the_living_state(history: Any, data: st.DataObject) -> None:
    recorder = recorder_on(FakeDisk())
    states = live_through(recorder, history)
    events = written(recorder)
    assert fold(SwarmState(), events) == states[-1]
    control, queue, fleet = (states[data.draw(st.integers(0, len(states) - 1))] for _ in range(3))
    slices = SwarmState(
        through_json(Control, control.control), through_json(Queue, queue.queue), through_json(Fleet, fleet.fleet)
    )
    seqs: Any = {"control": control.seq, "queue": queue.seq, "fleet": fleet.seq}
    done = replay(slices, seqs, [event for event in events if event.seq > min(seqs.values())])
    assert not done.refused
    assert settled(done.state) == settled(states[-1])


@settings(max_examples=50, deadline=None)
@given(HISTORY)
def test_a_snapshot_never_changes_and_a_refused_event_changes_nothing(history: Any) -> None:
    states = live_through(recorder_on(FakeDisk()), history)
    copies = [encode((one.control, one.queue, one.fleet)) for one in states]
    assert [encode((one.control, one.queue, one.fleet)) for one in states] == copies
    assert [one.seq for one in states] == list(range(len(states)))


def running() -> Recorder:
    """A worker on one lane with one job, one that waits for it, and another one."""
    recorder = recorder_on(FakeDisk())
    jobs = (queued(JOB, OTHER), queued(NEXT, after=[JOB]))
    for draft in (opened("cpu000"), *jobs, spawning("cpu000@1", JOB), started("cpu000@1")):
        recorder.record(draft, stamp())
    return recorder


def test_a_job_that_goes_well_leaves_four_lines_and_lets_the_next_one_go() -> None:
    recorder = running()
    recorder.record(exited("cpu000@1", JOB, "done", steps=7), stamp(9))
    recorder.record(finished(JOB, artifacts=["phase0_top500.json"], queued=[NEXT]), stamp(9))
    kinds = [event.kind for event in written(recorder) if event.kind.startswith(("worker.", "job.f"))]
    assert kinds == ["worker.spawning", "worker.started", "worker.exited", "job.finished"]
    state = recorder.state
    assert (state.queue.jobs[JOB].state, state.queue.jobs[JOB].artifacts) == ("done", ("phase0_top500.json",))
    assert state.queue.jobs[NEXT].state == "queued"
    assert not state.fleet.workers
    assert state.fleet.lanes["cpu000"].gen == 1
    assert [(one.worker, one.steps) for one in state.queue.jobs[JOB].attempts] == [("cpu000@1", 7)]


def test_a_crash_is_one_line_that_queues_the_job_again_with_its_budget() -> None:
    recorder = running()
    budget = {"level": 4.0, "mono": 100.0, "n": 1, "deaths": 1, "best_step": 0}
    recorder.record(exited("cpu000@1", JOB, then={"state": "queued", "not_before": UTC + 3}, restarts=budget), stamp(2))
    job = recorder.state.queue.jobs[JOB]
    assert (job.state, job.not_before, job.worker, job.tries) == ("queued", UTC + 3, "", 1)
    assert recorder.state.control.buckets.restarts[JOB].credits(130.0, 5, 60) == 4.5
    assert not job.startable(UTC)
    assert job.startable(UTC + 3)


def test_an_intent_takes_the_lane_the_job_and_a_token_of_the_bucket_at_once() -> None:
    state = running().state
    assert state.queue.jobs[JOB].worker == "cpu000@1"
    assert state.fleet.workers["cpu000@1"].living
    assert state.control.buckets.spawn == Bucket(99.0, 100.0)


@pytest.mark.parametrize(
    ("draft", "why"),
    [
        (spawning("cpu000@2", OTHER), "taken by cpu000@1"),
        (spawning("cpu000@1", OTHER), "not newer"),
        (spawning("cpu000@2", NEXT), "from waiting to running"),
        (spawning("cpu001@1", OTHER), "no lane cpu001"),
        (spawning("cpu000@2", JOB), "running"),
        (started("cpu000@1"), "from starting to starting"),
        (started("cpu000@7"), "no worker cpu000@7"),
        (finished(NEXT), "from waiting to done"),
        (exited("cpu000@1", JOB, state="failed"), "from starting to failed"),
        (queued(JOB), "from running to a new one"),
        (queued("elsewhere"), "no job"),
        (Draft("job.held", NEXT, {"hold": hold()}), "from waiting to held"),
        (Draft("job.held", JOB, {"hold": hold(until=None)}), "exactly one of until and needs"),
        (Draft("job.held", JOB, {}), "data are wrong"),
        (Draft("hold.released", "swarm", {"class": "crash"}), "no hold swarm#crash"),
        (Draft("incident.closed", "x", {"incident": "i9"}), "no open incident i9"),
        (Draft("worker.unkillable", "cpu000@1", {"pids": []}), "from starting to lost"),
    ],
)
def test_what_cannot_be_is_refused_live_and_on_replay_and_changes_nothing(draft: Draft, why: str) -> None:
    recorder = running()
    before, number = recorder.state, recorder.log.next_seq
    with pytest.raises(EventRefused, match=why):
        recorder.record(draft, stamp())
    assert recorder.state == before
    assert recorder.log.next_seq == number
    forged = recorder.log.prepare(draft, stamp()).event
    with pytest.raises(EventRefused, match=why):
        apply(before, forged)
    seqs: Any = {"control": before.seq, "queue": before.seq, "fleet": before.seq}
    done = replay(before, seqs, [forged])
    assert [seq for seq, _ in done.refused] == [forged.seq]
    assert replace(done.state, seq=before.seq) == before


def test_a_kind_nobody_knows_is_refused() -> None:
    recorder = running()
    event = recorder.log.prepare(told(), stamp()).event
    with pytest.raises(EventRefused, match="unknown kind"):
        apply(recorder.state, replace(event, kind="worker.danced"))  # type: ignore[arg-type]


def test_a_refusal_halfway_through_an_event_takes_all_of_it_back() -> None:
    recorder = running()
    with pytest.raises(EventRefused, match="no job r9"):
        recorder.record(finished(JOB, queued=[NEXT, "r9/S/balanced/report"]), stamp())
    assert recorder.state.queue.jobs[JOB].state == "running"
    assert recorder.state.queue.jobs[NEXT].state == "waiting"


def test_the_stop_ladder_only_climbs_and_its_beginning_is_kept() -> None:
    recorder = running()
    for rung, at in ((1, 1), (1, 2), (2, 21)):
        data = {"rung": rung, "reason": "drain", "due": UTC + at + 20}
        recorder.record(Draft("worker.stopping", "cpu000@1", data), stamp(at))
    stop = recorder.state.fleet.workers["cpu000@1"].stop
    assert stop is not None
    assert (stop.rung, stop.since, stop.due) == (2, UTC + 1, UTC + 41)
    with pytest.raises(EventRefused, match="does not go back"):
        recorder.record(Draft("worker.stopping", "cpu000@1", {"rung": 1, "reason": "drain", "due": 0.0}), stamp())
    recorder.record(Draft("worker.unkillable", "cpu000@1", {"pids": [3]}), stamp(90))
    lost = recorder.state.fleet.workers["cpu000@1"]
    assert (lost.state, lost.stop.rung if lost.stop else 0) == ("lost", 4)


def test_what_is_left_of_a_worker_keeps_its_record_until_it_is_reaped() -> None:
    recorder = running()
    recorder.record(exited("cpu000@1", JOB, state="exited", then={"state": "queued"}), stamp())
    worker = recorder.state.fleet.workers["cpu000@1"]
    assert (worker.state, worker.living) == ("exited", False)
    recorder.record(exited("cpu000@1", JOB, state="reaped"), stamp())
    assert not recorder.state.fleet.workers
    assert len(recorder.state.queue.jobs[JOB].attempts) == 1


def test_after_the_clock_was_set_whatever_was_a_while_ago_still_is() -> None:
    recorder = running()
    recorder.record(exited("cpu000@1", JOB, then={"state": "queued"}), stamp())
    job, lane = recorder.state.queue.jobs[JOB], recorder.state.fleet.lanes["cpu000"]
    recorder.record(Draft("clock.jumped", "clock", {"by_s": -3600.0}), stamp())
    later, there = recorder.state.queue.jobs[JOB], recorder.state.fleet.lanes["cpu000"]
    assert (later.since, later.attempts[-1].at, there.since) == (
        job.since - 3600.0,
        job.attempts[-1].at - 3600.0,
        lane.since - 3600.0,
    )


def test_a_person_who_releases_a_subject_releases_all_of_its_holds() -> None:
    recorder = recorder_on(FakeDisk())
    for class_ in ("budget", "plan_lost"):
        hold = {"reason": "for a test", "class": class_, "since": 1.0, "needs": "a person"}
        recorder.record(Draft("hold.set", "swarm", {"hold": hold}), stamp())
    asked = {"id": "a", "cmd": "release", "args": {"subject": "swarm"}, "desired": {"release": ["swarm"]}}
    recorder.record(Draft("command.accepted", "swarm", asked), stamp())
    recorder.record(Draft("hold.released", "swarm", {"class": "budget"}), stamp())
    assert recorder.state.control.desired.release == ("swarm",)
    recorder.record(Draft("hold.released", "swarm", {"class": "plan_lost"}), stamp())
    assert not recorder.state.control.desired.release


def test_a_name_that_comes_again_after_the_fleet_was_lost_still_ends_its_job() -> None:
    recorder = running()
    recorder.record(exited("cpu000@1", JOB, then={"state": "queued"}), stamp())
    lost = Live(recorder.state)
    for draft in (spawning("cpu000@1", JOB), exited("cpu000@1", JOB, then={"state": "queued"})):
        lost.apply(recorder.log.prepare(draft, stamp()).event, ("queue",))
    assert lost.jobs[JOB].state == "queued"


def test_a_spawn_that_failed_leaves_no_worker_and_its_generation_is_spent() -> None:
    recorder = recorder_on(FakeDisk())
    for draft in (opened("cpu000"), queued(JOB), spawning("cpu000@1", JOB)):
        recorder.record(draft, stamp())
    recorder.record(exited("cpu000@1", JOB, state="failed", then={"state": "queued"}), stamp())
    assert not recorder.state.fleet.workers
    assert recorder.state.fleet.lanes["cpu000"].next_worker() == "cpu000@2"


def test_generations_survive_the_closing_of_their_lane() -> None:
    recorder = running()
    recorder.record(exited("cpu000@1", JOB, then={"state": "queued"}), stamp())
    recorder.record(Draft("lane.closed", "cpu000"), stamp())
    recorder.record(opened("cpu000"), stamp())
    assert recorder.state.fleet.lanes["cpu000"].gen == 1


def test_a_smaller_job_takes_the_place_of_the_old_one_for_those_who_wait() -> None:
    recorder = running()
    recorder.record(exited("cpu000@1", JOB, "over_budget"), stamp())
    smaller = {"job": f"{JOB}.2", "spec": {"stage": "prescreen", "volume": {"combos": 10}}}
    recorder.record(Draft("job.replaced", JOB, {"by": smaller}), stamp())
    jobs = recorder.state.queue.jobs
    assert (jobs[JOB].state, jobs[JOB].replaced_by, jobs[f"{JOB}.2"].state) == ("replaced", f"{JOB}.2", "queued")
    assert jobs[NEXT].after == (f"{JOB}.2",)


def test_a_held_job_is_queued_again_by_its_release_and_by_that_of_its_class_only() -> None:
    recorder = running()
    recorder.record(exited("cpu000@1", JOB, then={"state": "held", "hold": hold("poison")}), stamp())
    with pytest.raises(EventRefused, match="no hold"):
        recorder.record(Draft("hold.released", JOB, {"class": "bad_data"}), stamp())
    recorder.record(Draft("hold.released", JOB, {"class": "poison"}), stamp())
    job = recorder.state.queue.jobs[JOB]
    assert (job.state, job.hold) == ("queued", None)


def test_a_hold_on_a_queued_job_keeps_it_from_being_started() -> None:
    recorder = recorder_on(FakeDisk())
    for draft in (opened("cpu000"), queued(JOB), Draft("hold.set", JOB, {"hold": hold("storage")})):
        recorder.record(draft, stamp())
    with pytest.raises(EventRefused, match="is held"):
        recorder.record(spawning("cpu000@1", JOB), stamp())
    recorder.record(Draft("hold.released", JOB, {"class": "storage"}), stamp())
    recorder.record(spawning("cpu000@1", JOB), stamp())


def test_a_hold_on_a_lane_keeps_workers_off_it_until_its_time_is_over() -> None:
    recorder = recorder_on(FakeDisk())
    for draft in (opened("cpu000"), queued(JOB), Draft("hold.set", "cpu000", {"hold": hold(until=UTC + 60)})):
        recorder.record(draft, stamp())
    with pytest.raises(EventRefused, match="lane cpu000 is held"):
        recorder.record(spawning("cpu000@1", JOB), stamp(59))
    recorder.record(spawning("cpu000@1", JOB), stamp(60))


def test_a_hold_set_on_a_job_while_it_ran_outlives_its_worker() -> None:
    recorder = running()
    recorder.record(Draft("hold.set", JOB, {"hold": hold("storage", None, "repair the study")}), stamp())
    recorder.record(exited("cpu000@1", JOB, then={"state": "queued"}), stamp())
    job = recorder.state.queue.jobs[JOB]
    assert (job.state, job.hold.class_ if job.hold else "") == ("queued", "storage")
    recorder.record(Draft("hold.released", JOB, {"class": "storage"}), stamp())
    assert recorder.state.queue.jobs[JOB].startable(UTC)


def test_holds_of_the_swarm_for_different_reasons_stand_side_by_side() -> None:
    recorder = recorder_on(FakeDisk())
    for class_ in ("cannot_write", "budget"):
        recorder.record(Draft("hold.set", "swarm", {"hold": hold(class_)}), stamp())
    recorder.record(Draft("hold.released", "swarm", {"class": "budget"}), stamp())
    assert list(recorder.state.control.holds) == ["swarm#cannot_write"]


def test_an_incident_lives_through_its_chain_and_leaves_the_state_when_it_is_closed() -> None:
    recorder = recorder_on(FakeDisk())
    detected = recorder.record(Draft("incident.detected", "cpu000@1", {"class": "crash", "why": "exit 1"}), stamp())
    name = f"i{detected.seq}"
    cause = detected.seq
    for kind in ("classified", "executed", "escalated", "executed", "verified", "closed"):
        data = {"incident": name, "action": "SpawnWorker"}
        step: Any = f"incident.{kind}"
        astray: Any = "incident.verified" if kind == "classified" else "incident.classified"
        with pytest.raises(EventRefused):
            recorder.record(Draft(astray, "cpu000@1", data), stamp())
        cause = recorder.record(Draft(step, "cpu000@1", data, cause_seq=cause), stamp()).seq
        if kind == "verified":
            known = recorder.state.control.incidents[name]
            assert (known.actions, known.escalations, known.seq) == (("SpawnWorker",) * 2, 1, cause)
    assert not recorder.state.control.incidents


def test_another_boot_keeps_the_levels_of_the_buckets_and_begins_their_time_anew() -> None:
    recorder = running()
    data = {"swarm_id": SWARM, "epoch": "c" * 16, "build": "2", "config": "d", "pid": 1, "start": "reboot"}
    recorder.record(Draft("daemon.started", "swarm", data), stamp(-95, boot="c" * 16))
    assert recorder.state.control.buckets.spawn == Bucket(99.0, 5.0)


def test_a_daemon_that_starts_again_after_a_drain_goes_on_with_its_plan() -> None:
    recorder = recorder_on(FakeDisk())
    for number, desired in enumerate(({"life": "run", "plan": {"symbols": ["S"]}}, {"life": "drain"})):
        data = {"id": str(number), "cmd": "launch", "args": {}, "desired": desired}
        recorder.record(Draft("command.accepted", "swarm", data), stamp())
    data = {"swarm_id": SWARM, "epoch": BOOT, "build": "2", "config": "d", "pid": 1, "start": "restart"}
    recorder.record(Draft("daemon.started", "swarm", data), stamp())
    assert recorder.state.control.desired.life == "run"


def test_wishes_are_forgotten_once_they_are_carried_out() -> None:
    recorder = running()
    desired = {"cancel": [NEXT], "release": [JOB], "paused": ["swarm"]}
    recorder.record(
        Draft("command.accepted", "x", {"id": "1", "cmd": "stop_job", "args": {}, "desired": desired}), stamp()
    )
    recorder.record(Draft("job.finished", NEXT, {"state": "cancelled"}), stamp())
    recorder.record(Draft("hold.set", JOB, {"hold": hold()}), stamp())
    recorder.record(Draft("hold.released", JOB, {"class": "crash"}), stamp())
    wanted = recorder.state.control.desired
    assert (wanted.cancel, wanted.release, wanted.paused) == ((), (), ("swarm",))


def test_the_ids_of_commands_are_kept_so_that_the_same_one_twice_is_one() -> None:
    recorder = recorder_on(FakeDisk())
    for number in range(300):
        recorder.record(Draft("command.accepted", "x", {"id": str(number), "cmd": "reload", "args": {}}), stamp())
    commands = recorder.state.control.desired.commands
    assert (len(commands), commands["299"]) == (256, 300)


def test_ended_jobs_leave_with_their_round_and_held_ones_stay() -> None:
    recorder = recorder_on(FakeDisk())
    for draft in (queued(JOB, NEXT), Draft("job.finished", JOB, {"state": "cancelled"})):
        recorder.record(draft, stamp())
    recorder.record(Draft("round.started", "r2", {"run": RUN, "round": 2, "plan_sha256": "p"}), stamp())
    assert list(recorder.state.queue.jobs) == [NEXT]
    assert recorder.state.queue.round == 2


def test_an_open_item_is_named_after_its_event_and_closed_by_name() -> None:
    recorder = recorder_on(FakeDisk())
    opens = {"action": "WriteNotes", "subject": "f.md", "done_when": "notes_written", "due": UTC + 5}
    event = recorder.record(Draft("state.restored", "f.md", {"opens": opens}), stamp())
    assert [item.id for item in recorder.state.fleet.verify] == [f"v{event.seq}"]
    recorder.record(Draft("state.restored", "f.md", {"closes": [f"v{event.seq}"]}), stamp())
    assert not recorder.state.fleet.verify


def test_notes_are_kept_in_files_but_owe_the_log_nothing() -> None:
    recorder = running()
    before = recorder.state
    recorder.live.note_first_step("cpu000@1")
    recorder.live.note_agents([AgentRecord("curator", runs=3, cycle=9, at=UTC, health="ok")])
    recorder.live.note_plan((NextStep("n1", "maintain", "swarm", "all is well", True),), (RunGate("data", "met"),))
    after = recorder.state
    assert after.fleet.workers["cpu000@1"].state == "running"
    assert (after.queue.next_steps[0].id, after.control.agents["curator"].runs) == ("n1", 3)
    assert settled(after) == settled(before)
    with pytest.raises(IllegalTransition):
        recorder.live.note_first_step("cpu000@1")
    with pytest.raises(UnknownSubject):
        recorder.live.note_first_step("cpu000@9")


def test_a_first_step_that_was_noted_does_not_disturb_the_replay_of_an_exit() -> None:
    recorder = running()
    snapshot = recorder.state
    recorder.live.note_first_step("cpu000@1")
    recorder.record(exited("cpu000@1", JOB, then={"state": "queued"}), stamp())
    assert fold(snapshot, written(recorder)[snapshot.seq :]) == recorder.state


def test_a_slice_that_did_not_change_is_the_same_object() -> None:
    recorder = running()
    before = recorder.state
    recorder.record(Draft("incident.detected", "x", {"class": "crash", "why": "y"}), stamp())
    after = recorder.state
    assert after.queue is before.queue
    assert after.fleet is before.fleet
    assert after.control is not before.control


def test_every_kind_that_says_it_changes_records_has_a_reducer_and_no_other_has() -> None:
    assert {*CONTROL, *QUEUE, *FLEET} == CHANGES
    assert set(KINDS) >= CHANGES


def test_rows_that_are_kept_encoded_give_the_same_bytes() -> None:
    recorder = running()
    encoder = Encoder()
    for start in range(0, 90, 10):
        recorder.record(opened(*(f"cpu{n:03d}" for n in range(100 + start, 110 + start))), stamp(start))
        fleet = recorder.state.fleet
        assert encoder.encode(fleet) == encode(fleet)
    assert encoder.encode({"a": 1}) == b'{"a":1}'


def test_an_event_read_from_its_line_is_the_event_that_was_applied() -> None:
    recorder = running()
    draft = exited("cpu000@1", JOB, then={"state": "held", "hold": hold("poison")})
    event = recorder.record(draft, stamp())
    recorder.log.flush()
    *_, last = recorder.log.replay(0)
    assert last == event
    assert event_of(orjson.loads(encode(event))) == event
