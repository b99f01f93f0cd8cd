"""Events keep their numbers and their lines, whatever the disk does."""

import errno
from pathlib import Path

import orjson
import pytest

from btswarm.state.eventlog import EventLog, EventTooLong
from btswarm.state.logread import LOG_NAME, Found, events_after, parse, part_name, parts
from btswarm.state.models.events import KINDS, MAX_LINE, Draft
from btswarm.state.models.state_files import CONTINUITY_EVENTS
from btswarm.tests.sim.disk import FakeDisk
from btswarm.tests.state.fixtures import ROOT, finished, log_on, queued, stamp, told

PATH = ROOT / LOG_NAME
FIELDS = "v seq ts mono boot run cycle agent kind severity subject cause_seq outcome dur_ms count data"


def opened_log(disk: FakeDisk, at_least: int = 0, **settings: int) -> EventLog:
    log = log_on(disk, **settings)
    for draft in log.open(at_least):
        log.add(draft, stamp())
    return log


def fault_of(log: EventLog) -> tuple[int, float] | None:
    return (log.fault.errno, log.fault.since) if log.fault else None


def numbers(disk: FakeDisk) -> list[int]:
    return [event["seq"] for event in events_after(disk, ROOT, 0)]


def test_a_line_is_a_json_object_with_its_fields_in_order() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(Draft("worker.stopping", "cpu000@1", {"rung": 1, "reason": "drain", "due": 3.0}, cause_seq=None), stamp())
    assert log.flush()
    line = orjson.loads(disk.read(PATH))
    assert " ".join(line) == FIELDS
    assert (line["seq"], line["severity"], line["boot"]) == (1, "info", "b" * 16)


def test_all_that_a_cycle_has_to_say_is_one_write() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    for _ in range(50):
        log.add(told(), stamp())
    log.flush()
    assert disk.operations.count("write") == 1
    assert numbers(disk) == list(range(1, 51))


def test_an_event_is_numbered_when_it_is_pushed_and_its_cause_can_be_named_before_anything_is_written() -> None:
    log = opened_log(FakeDisk())
    first = log.add(told(), stamp())
    second = log.add(Draft("clock.jumped", "host", cause_seq=first.seq), stamp())
    assert (first.seq, second.seq, second.cause_seq) == (1, 2, 1)


def test_preparing_costs_no_number_and_only_the_next_event_may_be_pushed() -> None:
    log = opened_log(FakeDisk())
    early = log.prepare(told(), stamp())
    log.add(told(), stamp())
    with pytest.raises(ValueError, match="not the next one"):
        log.push(early)
    assert log.next_seq == 2


def test_numbers_go_on_after_a_restart() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.flush()
    again = opened_log(disk.killed())
    assert again.next_seq == 2


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_torn_last_line_is_cut_off_and_said_so(cut: int) -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.add(told("torn", "host"), stamp())
    log.flush()
    del disk.files[PATH].data[-cut - 1 :]
    again = log_on(disk)
    (said,) = again.open()
    assert (said.kind, said.outcome, said.data["last"]) == ("log.recovered", "cut", 1)
    again.add(said, stamp())
    again.flush()
    assert numbers(disk) == [1, 2]


def test_a_last_line_that_lacks_only_its_newline_is_finished() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.add(told(), stamp())
    log.flush()
    del disk.files[PATH].data[-1:]
    again = log_on(disk)
    (said,) = again.open()
    assert (said.outcome, again.next_seq) == ("finished", 3)
    assert numbers(disk) == [1, 2]


def test_a_log_that_holds_no_event_at_all_is_set_aside() -> None:
    disk = FakeDisk()
    disk.put(PATH, b"\0" * 3 * MAX_LINE)
    log = log_on(disk)
    (said,) = log.open()
    assert said.outcome == "set aside"
    assert disk.read(ROOT / said.data["kept"]) == b"\0" * 3 * MAX_LINE
    assert log.next_seq == 1


def test_zeros_that_a_power_loss_left_at_the_end_are_cut_off() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.flush()
    disk.files[PATH].data += b"\0" * 5000
    again = log_on(disk)
    (said,) = again.open()
    assert (said.outcome, said.data["bytes"], again.next_seq) == ("cut", 5000, 2)


def test_events_that_a_state_file_names_and_the_log_lost_keep_their_numbers() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.flush()
    again = log_on(disk)
    (said,) = again.open(at_least=7)
    assert said.data["missing"] == [2, 7]
    assert again.next_seq == 8


def test_a_full_log_becomes_a_part_and_its_numbers_go_on() -> None:
    disk = FakeDisk()
    log = opened_log(disk, rotate_bytes=2000, keep=100)
    for at in range(60):
        log.add(told(), stamp(at))
        log.flush()
        for note in log.notes():
            log.add(note, stamp(at))
    log.flush()
    listed = parts(disk, ROOT)
    assert len(listed) > 2
    assert [part.path.name for part in listed[:-1]] == [part_name(part.first) for part in listed[:-1]]
    assert numbers(disk) == list(range(1, log.next_seq))
    assert opened_log(disk.killed()).next_seq == log.next_seq


def test_a_part_ends_where_it_is_synced_but_never_grows_beyond_twice_its_size() -> None:
    disk = FakeDisk()
    log = opened_log(disk, rotate_bytes=2000)
    for at in range(10):
        log.add(told(), stamp(at))
        log.flush()
    assert len(parts(disk, ROOT)) == 1
    log.sync()
    log.add(told(), stamp(10))
    log.flush()
    assert [part.first for part in parts(disk, ROOT)] == [1, 11]
    for at in range(99):
        log.add(told(), stamp(at))
        log.flush()
    assert max(len(disk.read(part.path)) for part in parts(disk, ROOT)) < 5000


def test_only_so_many_old_parts_are_kept() -> None:
    disk = FakeDisk()
    log = opened_log(disk, rotate_bytes=1000, keep=3)
    for at in range(40):
        log.add(told(), stamp(at))
        log.flush()
    assert len(parts(disk, ROOT)) == 4
    assert numbers(disk)[-1] == 40


def test_a_restart_right_after_a_rotation_goes_on_from_the_last_part() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.flush()
    disk.rename(PATH, ROOT / part_name(1))
    assert opened_log(disk.killed()).next_seq == 2


def test_a_log_that_somebody_moved_away_is_begun_anew_and_nothing_is_lost() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.flush()
    disk.rename(PATH, ROOT / "workflow_events.log.1")
    log.add(told(), stamp())
    log.flush()
    (note,) = log.notes()
    assert (note.kind, note.outcome) == ("log.rotated", "external")
    assert numbers(disk) == [1, 2]
    assert opened_log(disk.killed()).next_seq == 3


def test_a_log_that_somebody_deleted_or_emptied_is_noticed() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    for harm in ("unlink", "empty"):
        log.add(told(), stamp())
        log.flush()
        if harm == "unlink":
            disk.unlink(PATH)
        else:
            disk.edit(PATH, b"")
        log.add(told(), stamp())
        assert log.flush()
        assert [note.outcome for note in log.notes()] == ["external"]
    assert numbers(disk) == [4]


def test_a_disk_that_refuses_keeps_the_lines_waiting_in_order() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.flush()
    disk.fail["write"] = errno.EIO
    log.add(told(), stamp())
    assert not log.flush(mono=5.0)
    log.add(told(), stamp())
    assert not log.flush(mono=6.0)
    assert fault_of(log) == (errno.EIO, 5.0)
    assert log.backlog == 2
    disk.fail.clear()
    assert log.flush(mono=7.0)
    assert fault_of(log) is None
    assert log.backlog == 0
    assert numbers(disk) == [1, 2, 3]


def test_a_full_disk_leaves_no_half_line_behind() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.flush()
    whole = disk.used()
    disk.capacity = whole + 30
    log.add(told(), stamp())
    assert not log.flush()
    assert fault_of(log) == (errno.ENOSPC, 0.0)
    assert disk.used() == whole
    disk.capacity = None
    assert log.flush()
    assert numbers(disk) == [1, 2]


def test_a_half_line_that_could_not_be_taken_back_is_taken_back_before_the_next_one() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.flush()
    disk.capacity, disk.fail["truncate"] = disk.used() + 30, errno.EIO
    log.add(told(), stamp())
    assert not log.flush()
    disk.capacity = None
    assert not log.flush()
    disk.fail.clear()
    assert log.flush()
    assert numbers(disk) == [1, 2]


def test_a_repeat_is_counted_and_told_once_a_minute() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    draft = Draft("proposal.refused", "cpu000@1", outcome="not yours", agent="stranger")
    for at in range(0, 130, 5):
        log.tell(draft, stamp(at))
        log.unfold(stamp(at))
    log.flush()
    counts = [event["count"] for event in events_after(disk, ROOT, 0)]
    assert counts == [1, 12, 12]
    assert [event.count for event in log.unfold(stamp(185))] == [1]
    assert not log.unfold(stamp(250))
    assert log.tell(draft, stamp(251)) is not None


def test_different_subjects_and_outcomes_are_no_repeats() -> None:
    log = opened_log(FakeDisk())
    for subject, outcome in (("a", "x"), ("b", "x"), ("a", "y")):
        assert log.tell(Draft("proposal.refused", subject, outcome=outcome), stamp()) is not None


def test_kinds_that_change_records_are_never_folded() -> None:
    assert not [kind for kind, rule in KINDS.items() if rule.folds and rule.data is not None]


def test_long_text_is_clipped_so_that_a_line_stays_within_its_limit() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(Draft("agent.raised", "curator", {"error": "é" * 9000, "failures": 2}), stamp())
    log.add(Draft("cycle.slow", "swarm", {str(number): "x" * 200 for number in range(99)}), stamp())
    log.flush()
    raised, slow = events_after(disk, ROOT, 0)
    assert raised["data"]["failures"] == 2
    assert raised["data"]["error"].endswith("…")
    assert list(slow["data"]) == ["cut"]
    assert all(len(line) < MAX_LINE for line in disk.read(PATH).split(b"\n"))


def test_a_change_that_does_not_fit_a_line_is_refused_rather_than_cut() -> None:
    log = opened_log(FakeDisk())
    with pytest.raises(EventTooLong, match=r"job\.queued"):
        log.add(queued(*(f"r1/S/balanced/optimize.{part}" for part in range(99))), stamp())
    assert log.next_seq == 1


def test_what_an_event_carries_is_what_a_reader_of_its_line_will_find() -> None:
    log = opened_log(FakeDisk())
    event = log.add(finished("r1/S/balanced/report", artifacts=("a", "b")), stamp())
    assert event.data["artifacts"] == ["a", "b"]


def test_an_agent_s_lines_are_copied() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    own = log.add(Draft("clock.jumped", "host", agent="session_state_manager"), stamp())
    log.add(told(), stamp())
    log.flush()
    copied = disk.read(ROOT / CONTINUITY_EVENTS)
    assert orjson.loads(copied)["seq"] == own.seq
    assert copied.count(b"\n") == 1


def test_a_copy_that_lacks_the_last_lines_is_completed_at_the_next_start() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    for _ in range(5):
        log.add(Draft("clock.jumped", "host", agent="session_state_manager"), stamp())
        log.add(told(), stamp())
    log.flush()
    copy = ROOT / CONTINUITY_EVENTS
    whole = disk.read(copy)
    del disk.files[copy].data[len(whole) // 2 :]
    opened_log(disk.killed())
    kept = [json for line in disk.read(copy).splitlines() if (json := parse(line))]
    assert [event["seq"] for event in kept] == [1, 3, 5, 7, 9]
    disk.unlink(copy)
    after = disk.killed()
    opened_log(after)
    assert after.read(copy) == whole


def test_a_copy_that_cannot_be_written_costs_the_log_nothing() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    disk.fail["open"] = errno.EACCES
    log.add(Draft("clock.jumped", "host", agent="session_state_manager"), stamp())
    assert log.flush()


def test_syncing_covers_every_part_that_was_written_since() -> None:
    disk = FakeDisk()
    log = opened_log(disk, rotate_bytes=500)
    for _ in range(9):
        log.add(told(), stamp())
        log.flush()
    assert log.sync() == 9
    assert len(disk.open) == 1
    assert numbers(disk.after_power_loss()) == list(range(1, 10))


def test_nothing_new_means_no_sync() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.flush()
    log.sync()
    before = len(disk.operations)
    log.sync()
    assert len(disk.operations) == before


def test_a_newer_version_ends_the_reading() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    log.add(told(), stamp())
    log.flush()
    disk.files[PATH].data += orjson.dumps({"v": 2, "seq": 2, "kind": "clock.jumped"}) + b"\n"
    found = Found()
    assert [event["seq"] for event in events_after(disk, ROOT, 0, found)] == [1]
    assert found.newer == 2


def test_lines_that_are_no_events_and_numbers_that_are_missing_are_reported() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    for _ in range(5):
        log.add(told(), stamp())
    log.flush()
    lines = disk.read(PATH).split(b"\n")
    disk.edit(PATH, b"\n".join([lines[0], b"scribble", lines[3], lines[4], b""]))
    found = Found()
    assert [event["seq"] for event in events_after(disk, ROOT, 0, found)] == [1, 4, 5]
    assert (found.bad_lines, found.gaps) == (1, [(2, 3)])


def test_reading_from_a_number_finds_it_in_a_long_log_without_reading_it_all() -> None:
    disk = FakeDisk()
    log = opened_log(disk)
    for at in range(9000):
        log.add(told("x" * 100), stamp(at))
    log.flush()
    watching = Watching(disk)
    for after in (0, 1, 4499, 8998, 8999, 9000):
        watching.read_bytes = 0
        found = [event["seq"] for event in events_after(watching, ROOT, after)]
        assert found == list(range(after + 1, 9001))
    assert watching.read_bytes < disk.used() / 4


class Watching:
    """A disk that counts what is read of it."""

    def __init__(self, disk: FakeDisk) -> None:
        self.disk = disk
        self.read_bytes = 0

    def names(self, folder: Path) -> list[str]:
        return self.disk.names(folder)

    def read(self, path: Path, offset: int = 0, size: int = -1) -> bytes:
        data = self.disk.read(path, offset, size)
        self.read_bytes += len(data)
        return data


def test_a_folder_that_cannot_be_used_is_an_error_at_once() -> None:
    disk = FakeDisk()
    disk.fail["open"] = errno.EROFS
    with pytest.raises(OSError, match="Read-only"):
        log_on(disk).open()
