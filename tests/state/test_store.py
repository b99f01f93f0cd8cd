"""State files are whole, are ours, are fresh, or it is noticed and mended."""

import errno
import stat as modes
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from btswarm.state.bad_copies import BAD_KEPT
from btswarm.state.disk import RealDisk
from btswarm.state.errors import StorageBroken
from btswarm.state.models.records import AgentRecord, NextStep
from btswarm.state.models.state_files import (
    CONTROL,
    FILES,
    FLEET,
    LATEST,
    QUEUE,
    AgentFile,
    AgentHeader,
    Control,
    Fleet,
    Payload,
    Queue,
    heartbeat_file,
)
from btswarm.state.peek import unwrap, wrap
from btswarm.state.store import Store
from btswarm.tests.sim.disk import Crash, FakeDisk
from btswarm.tests.state.fixtures import BOOT, ROOT, RUN, SENTRY, UTC, stamp, store_on

MEMORY = AgentFile(AgentHeader(UTC, 1), {"n": 1})
EVERY: dict[str, Payload] = {
    CONTROL: Control(config="a"),
    QUEUE: Queue(run="r"),
    FLEET: Fleet(),
    LATEST: {"health": "ok"},
    SENTRY: MEMORY,
}
Harm = Callable[[FakeDisk, Path], None]


def saved(disk: FakeDisk, at: float = 0.0) -> Store:
    store = store_on(disk)
    outcome = store.save(EVERY, stamp(at), log_seq=3)
    assert not outcome.failed
    return store


def bad_copies(disk: FakeDisk, name: str) -> list[str]:
    return sorted(one for one in disk.names(ROOT) if one.startswith(f"{name}.bad-"))


def test_an_envelope_has_its_keys_in_order_on_one_line_and_checks_itself() -> None:
    disk = FakeDisk()
    saved(disk)
    data = disk.read(ROOT / QUEUE)
    assert data.count(b"\n") == 1
    keys = "schema v seq log_seq written mono epoch writer sha256 payload"
    assert " ".join(orjson.loads(data)) == keys
    envelope = unwrap(data)
    assert (envelope.schema, envelope.v, envelope.log_seq, envelope.epoch) == ("queue", 1, 3, BOOT)
    assert envelope.content()["run"] == "r"


def test_files_are_for_their_owner_alone_and_no_temporary_one_is_left(tmp_path: Path) -> None:
    store = Store(tmp_path, RealDisk(), FILES, uid=tmp_path.stat().st_uid, writer="1 2 x")
    assert not store.save({CONTROL: Control(), QUEUE: Queue()}, stamp(), 0).failed
    assert sorted(one.name for one in tmp_path.iterdir()) == [CONTROL, QUEUE]
    assert {modes.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
    assert store.judge(CONTROL, UTC, 100.0).valid
    assert store.load(QUEUE).payload == Queue()


def test_what_was_saved_is_loaded_again() -> None:
    disk = FakeDisk()
    saved(disk)
    for name, payload in EVERY.items():
        loaded = store_on(disk.killed()).load(name)
        assert (loaded.payload, loaded.log_seq, loaded.source, loaded.bad) == (payload, 3, name, ())


def test_a_file_that_never_was_is_no_fault() -> None:
    loaded = store_on(FakeDisk()).load(QUEUE)
    assert (loaded.payload, loaded.log_seq, loaded.bad) == (None, 0, ())


def test_the_previous_synced_form_stays_beside_a_file() -> None:
    disk = FakeDisk()
    store = saved(disk)
    store.save({QUEUE: Queue(run="s")}, stamp(5), 4)
    assert unwrap(disk.read(ROOT / f"{QUEUE}.prev")).content()["run"] == "r"
    assert unwrap(disk.read(ROOT / QUEUE)).content()["run"] == "s"


def test_a_form_that_was_not_synced_never_becomes_the_previous_one() -> None:
    disk = FakeDisk()
    store = saved(disk)
    step = NextStep("n", "a", "s", "w", True)
    for at in (5, 10, 15):
        outcome = store.save({QUEUE: Queue(run="r", next_steps=(replace(step, id=str(at)),))}, stamp(at), 3)
        assert outcome.synced == 0
    assert unwrap(disk.read(ROOT / f"{QUEUE}.prev")).content()["next_steps"] == []
    after = store_on(disk.after_power_loss(names=99))
    loaded = after.load(QUEUE)
    assert (loaded.payload, loaded.source) == (Queue(run="r"), f"{QUEUE}.prev")


def test_only_what_lasts_is_worth_a_sync() -> None:
    disk = FakeDisk()
    store = saved(disk)
    noted: dict[str, Payload] = {
        CONTROL: Control(config="a", agents={"curator": AgentRecord("curator")}),
        SENTRY: AgentFile(AgentHeader(UTC + 5, 2), {"n": 1}),
        LATEST: {"health": "bad"},
    }
    assert store.save(noted, stamp(5), 3).synced == 1  # an agent is new
    noted[CONTROL] = Control(config="a", agents={"curator": AgentRecord("curator", runs=9, at=UTC)})
    assert store.save(noted, stamp(6), 3).synced == 0
    assert store.save({SENTRY: AgentFile(AgentHeader(UTC + 5, 2), {"n": 2})}, stamp(7), 3).synced == 1


def test_the_folder_is_synced_once_for_all_files() -> None:
    disk = FakeDisk()
    saved(disk)
    assert disk.operations.count("sync_folder") == 1
    assert disk.operations.count("sync") == 4


def delete(disk: FakeDisk, path: Path) -> None:
    disk.unlink(path)


def edit(disk: FakeDisk, path: Path) -> None:
    disk.edit(path, disk.read(path).replace(b'"payload":{', b'"payload":{ ', 1))


def forge(disk: FakeDisk, path: Path) -> None:
    """Edited with care: the checksum is right."""
    old = unwrap(disk.read(path))
    data = wrap(old.payload + b" ", schema=old.schema, seq=9, log_seq=9, written=UTC, mono=1.0, epoch=BOOT, writer="me")
    disk.put(path, data)


def tear(disk: FakeDisk, path: Path) -> None:
    disk.edit(path, disk.read(path)[:-9])


def empty(disk: FakeDisk, path: Path) -> None:
    disk.edit(path, b"")


def scribble(disk: FakeDisk, path: Path) -> None:
    disk.edit(path, b"hello }")


def newer(disk: FakeDisk, path: Path) -> None:
    disk.edit(path, disk.read(path).replace(b'"v":1', b'"v":2', 1))


def give_away(disk: FakeDisk, path: Path) -> None:
    disk.files[path].uid = 1234


def open_up(disk: FakeDisk, path: Path) -> None:
    disk.files[path].mode |= 0o044


HARMS: dict[str, tuple[Harm, str]] = {
    "deleted": (delete, "deleted"),
    "edited": (edit, "edited"),
    "edited with a right checksum": (forge, "edited"),
    "torn": (tear, "torn"),
    "emptied": (empty, "torn"),
    "scribbled over": (scribble, "torn"),
    "replaced by a newer version": (newer, "newer"),
    "given away": (give_away, "wrong_owner"),
    "opened to others": (open_up, "wrong_mode"),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("harm", HARMS)
def test_each_harm_to_each_file_is_noticed_repaired_and_verified_and_its_evidence_kept(name: str, harm: str) -> None:
    disk = FakeDisk()
    store = saved(disk)
    do, fault = HARMS[harm]
    do(disk, ROOT / name)
    views = store.audit(UTC + 1, 101.0)
    assert {one.name: one.fault for one in views.values() if not one.valid} == {name: fault}
    outcome = store.rewrite(name, stamp(1), 3)
    assert not outcome.failed
    assert [bad.fault for bad in outcome.bad] == ([] if fault == "deleted" else [fault])
    assert len(bad_copies(disk, name)) == (fault != "deleted")
    assert all(one.valid for one in store.audit(UTC + 1, 101.0).values())
    assert store_on(disk.killed()).load(name).payload == EVERY[name]


@pytest.mark.parametrize("name", EVERY)
def test_a_file_that_aged_is_noticed_and_written_again(name: str) -> None:
    disk = FakeDisk()
    store = saved(disk)
    assert store.judge(name, UTC + 15, 115.0).valid
    view = store.judge(name, UTC + 16, 116.0)
    assert (view.fault, view.age_s, view.limit_s) == ("aged", 16.0, 15.0)
    store.rewrite(name, stamp(16), 3)
    assert store.judge(name, UTC + 16, 116.0).age_s == 0.0
    assert not bad_copies(disk, name)


def test_a_file_that_was_touched_back_in_time_has_aged() -> None:
    disk = FakeDisk()
    store = saved(disk)
    disk.files[ROOT / QUEUE].mtime = int((UTC - 3600) * 1e9)
    view = store.judge(QUEUE, UTC, 100.0)
    assert (view.fault, view.age_s) == ("aged", 3600.0)


def test_a_clock_that_jumps_makes_no_file_old() -> None:
    disk = FakeDisk()
    store = saved(disk)
    assert all(one.valid for one in store.audit(UTC + 1e6, 101.0).values())


def test_an_unreadable_file_is_a_fault_with_its_reason() -> None:
    disk = FakeDisk()
    store = saved(disk)
    disk.fail["read"] = errno.EIO
    assert store.judge(QUEUE, UTC, 100.0).why == "Input/output error"
    assert store.judge(QUEUE, UTC, 100.0).fault == "unreadable"


def test_a_folder_or_a_link_under_a_file_s_name_is_moved_aside(tmp_path: Path) -> None:
    store = Store(tmp_path, RealDisk(), FILES, uid=tmp_path.stat().st_uid, writer="1 2 x")
    for thing in ("folder", "link"):
        store.save({QUEUE: Queue()}, stamp(), 0)
        (tmp_path / QUEUE).unlink()
        if thing == "folder":
            (tmp_path / QUEUE).mkdir()
        else:
            (tmp_path / QUEUE).symlink_to("/etc/hostname")
        assert store.judge(QUEUE, UTC, 100.0).why == "it is no file"
        assert not store.rewrite(QUEUE, stamp(), 0).failed
        assert store.judge(QUEUE, UTC, 100.0).valid
    assert (tmp_path / f"{QUEUE}.bad-1").is_dir()
    assert (tmp_path / f"{QUEUE}.bad-2").is_symlink()


def test_a_file_too_long_to_be_one_is_not_even_read() -> None:
    disk = FakeDisk()
    store = saved(disk)
    disk.files[ROOT / QUEUE].data = Endless()
    disk.fail["read"] = errno.EIO
    assert store.judge(QUEUE, UTC, 100.0).why == "it is 1024 MB long"
    assert "1024 MB" in store_on(disk).load(QUEUE).bad[0].why


class Endless(bytearray):
    def __len__(self) -> int:
        return 1 << 30


def test_a_heartbeat_is_a_line_and_a_torn_one_is_closed_first() -> None:
    disk = FakeDisk()
    store = store_on(disk)
    path = ROOT / "session_state_x.jsonl"
    store.append(path.name, {"n": 1})
    disk.files[path].data += b'{"n":'
    store.append(path.name, {"n": 2})
    assert disk.read(path) == b'{"n":1}\n{"n":\n{"n":2}\n'
    with pytest.raises(ValueError, match="2048"):
        store.append(path.name, {"n": "x" * 3000})


def test_a_save_does_not_overwrite_what_somebody_else_put_there() -> None:
    disk = FakeDisk()
    store = saved(disk)
    disk.put(ROOT / QUEUE, b"precious")
    outcome = store.save({QUEUE: Queue(run="s")}, stamp(5), 4)
    (bad,) = outcome.bad
    assert disk.read(ROOT / bad.moved) == b"precious"
    assert store.judge(QUEUE, UTC + 5, 105.0).valid


def test_only_the_newest_few_bad_copies_are_kept() -> None:
    disk = FakeDisk()
    store = saved(disk)
    for at in range(9):
        disk.put(ROOT / QUEUE, b"%d" % at)
        store.rewrite(QUEUE, stamp(at), 3)
    kept = bad_copies(disk, QUEUE)
    assert kept == [f"{QUEUE}.bad-{n}" for n in range(10 - BAD_KEPT, 10)]
    assert disk.read(ROOT / kept[-1]) == b"8"


@pytest.mark.parametrize("harm", ["torn", "edited", "emptied", "scribbled over"])
def test_a_start_takes_the_previous_copy_of_a_file_that_is_not_usable_and_keeps_the_evidence(harm: str) -> None:
    disk = FakeDisk()
    store = saved(disk)
    store.save({QUEUE: Queue(run="s")}, stamp(5), 4)
    HARMS[harm][0](disk, ROOT / QUEUE)
    loaded = store_on(disk.killed()).load(QUEUE)
    assert (loaded.payload, loaded.log_seq, loaded.source) == (Queue(run="r"), 3, f"{QUEUE}.prev")
    assert [bad.moved for bad in loaded.bad] == [f"{QUEUE}.bad-1"]


def test_a_start_without_any_usable_copy_says_so_and_begins_empty() -> None:
    disk = FakeDisk()
    store = saved(disk)
    store.save({QUEUE: Queue(run="s")}, stamp(5), 4)
    tear(disk, ROOT / QUEUE)
    tear(disk, ROOT / f"{QUEUE}.prev")
    loaded = store_on(disk.killed()).load(QUEUE)
    assert loaded.payload is None
    assert [bad.name for bad in loaded.bad] == [QUEUE, f"{QUEUE}.prev"]


def test_a_start_refuses_a_newer_version_and_leaves_it_untouched() -> None:
    disk = FakeDisk()
    saved(disk)
    newer(disk, ROOT / QUEUE)
    before = disk.read(ROOT / QUEUE)
    with pytest.raises(StorageBroken, match="version 2") as refused:
        store_on(disk.killed()).load(QUEUE)
    assert refused.value.code == 74
    assert disk.read(ROOT / QUEUE) == before
    assert not bad_copies(disk, QUEUE)


def test_a_payload_that_is_not_what_its_kind_demands_is_not_believed() -> None:
    disk = FakeDisk()
    saved(disk)
    data = wrap(b'{"jobs":{"x":{}}}', schema="queue", seq=2, log_seq=4, written=0, mono=0, epoch="", writer="")
    disk.put(ROOT / QUEUE, data)
    loaded = store_on(disk.killed()).load(QUEUE)
    assert loaded.payload is None
    assert "jobs.x" in loaded.bad[0].why


def test_a_file_of_another_kind_under_the_name_is_not_believed() -> None:
    disk = FakeDisk()
    saved(disk)
    disk.put(ROOT / QUEUE, disk.read(ROOT / FLEET))
    assert "kind fleet" in store_on(disk.killed()).load(QUEUE).bad[0].why


def test_an_agent_s_memory_is_restored_from_its_previous_copy() -> None:
    disk = FakeDisk()
    store = saved(disk)
    store.save({SENTRY: AgentFile(AgentHeader(UTC, 2), {"n": 2})}, stamp(5), 4)
    tear(disk, ROOT / SENTRY)
    loaded = store.restore(SENTRY, stamp(6))
    assert loaded.payload == MEMORY
    assert store.judge(SENTRY, UTC + 6, 106.0).valid
    assert len(loaded.bad) == 1


def test_what_has_no_usable_previous_copy_cannot_be_restored() -> None:
    disk = FakeDisk()
    store = saved(disk)
    with pytest.raises(StorageBroken, match="not usable"):
        store.restore(SENTRY, stamp())


def test_what_was_never_written_cannot_be_rewritten() -> None:
    with pytest.raises(StorageBroken, match="not written yet"):
        store_on(FakeDisk()).rewrite(QUEUE, stamp(), 0)


def test_a_full_disk_leaves_the_old_files_and_says_which_failed() -> None:
    disk = FakeDisk()
    store = saved(disk)
    disk.capacity = disk.used() + 100
    outcome = store.save({QUEUE: Queue(run="s"), FLEET: Fleet()}, stamp(5), 4)
    assert {name: error.errno for name, error in outcome.failed.items()} == {
        QUEUE: errno.ENOSPC,
        FLEET: errno.ENOSPC,
    }
    assert unwrap(disk.read(ROOT / QUEUE)).content()["run"] == "r"
    assert not [name for name in disk.names(ROOT) if name.startswith(".tmp-")]
    disk.capacity = None
    assert not store.save({QUEUE: Queue(run="s")}, stamp(6), 4).failed


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename"])
def test_a_disk_that_refuses_one_step_keeps_the_old_file(operation: str) -> None:
    disk = FakeDisk()
    store = saved(disk)
    disk.fail[operation] = errno.EIO
    assert list(store.save({QUEUE: Queue(run="s")}, stamp(5), 4).failed) == [QUEUE]
    disk.fail.clear()
    assert store_on(disk.killed()).load(QUEUE).payload == Queue(run="r")


def test_a_file_system_without_links_still_keeps_a_previous_copy() -> None:
    disk = FakeDisk()
    store = saved(disk)
    disk.fail["link"] = errno.EPERM
    store.save({QUEUE: Queue(run="s")}, stamp(5), 4)
    assert unwrap(disk.read(ROOT / f"{QUEUE}.prev")).content()["run"] == "r"


def test_a_watched_file_is_judged_from_outside() -> None:
    disk = FakeDisk()
    store = store_on(disk)
    store.watch("session_state_x.jsonl", 150.0)
    disk.put(ROOT / "session_state_x.jsonl", b"{}", mtime=int(UTC * 1e9))
    assert store.judge("session_state_x.jsonl", UTC + 100, 0.0).valid
    assert store.judge("session_state_x.jsonl", UTC + 200, 0.0).fault == "aged"


def test_a_kill_or_a_power_loss_at_any_operation_leaves_a_form_that_was_saved() -> None:
    at = 0
    while True:
        disk = FakeDisk()
        disk.crash_at, disk.torn = at, 0.5
        try:
            _save_some(disk)
        except Crash as crash:
            acknowledged, synced = crash.args
        else:
            break
        killed = _runs(disk.killed())
        assert killed >= acknowledged, at
        for names in range(len(disk.pending) + 1):
            for kept in (0.0, 0.5, 1.0):
                assert _runs(disk.after_power_loss(names, kept)) >= synced, (at, names, kept)
        at += 1
    assert at > 60


def _save_some(disk: FakeDisk) -> None:
    """Ten saves, every third of which changes what lasts; a Crash carries the newest saved and the newest synced."""
    acknowledged = synced = 0
    try:
        store = store_on(disk)
        for number in range(1, 11):
            steps = (NextStep(str(number), "a", "s", "w", True),)
            queue = Queue(run="r", round=number // 3, plan_sha256="p", next_steps=steps)
            outcome = store.save({QUEUE: queue, FLEET: Fleet()}, stamp(number), number)
            assert not outcome.failed
            acknowledged = number
            synced = number if outcome.synced else synced
    except Crash:
        raise Crash(acknowledged, synced) from None


def _runs(disk: FakeDisk) -> int:
    """Which save the queue file came from; 0 for none."""
    loaded = store_on(disk).load(QUEUE)
    if loaded.payload is None:
        return 0
    assert loaded.log_seq == int(loaded.payload.next_steps[0].id)
    return loaded.log_seq


def test_a_heartbeat_is_judged_from_its_first_line_on_and_begins_again_when_it_is_lost() -> None:
    disk = FakeDisk()
    store = store_on(disk)
    name = heartbeat_file(RUN)
    store.beat(name, {"v": 1, "n": 1}, 150.0)
    at = stamp()
    assert store.judge(name, at.ts, at.mono).limit_s == 150.0
    disk.unlink(ROOT / name)
    assert store.judge(name, at.ts, at.mono).fault == "deleted"
    assert not store.rewrite(name, at, 0).failed
    assert disk.read(ROOT / name) == b'{"v":1,"n":1}\n'


def test_the_heartbeat_of_an_earlier_run_is_judged_no_more() -> None:
    store = store_on(FakeDisk())
    for run in ("bt-20260101_000000Z", "bt-20260102_000000Z"):
        store.beat(heartbeat_file(run), {"v": 1}, 150.0)
    beats = [name for name in store.audit(UTC, 0.0) if name.endswith(".jsonl")]
    assert beats == [heartbeat_file("bt-20260102_000000Z")]
