"""The study's journal: what a killed or full-disk writer leaves is mended, damage is found before it is used."""

import errno
import os
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.storages.journal import _storage as optuna_journal

from btswarm.engine import journal
from btswarm.engine.journal import FlockJournal, repair, soundness
from btswarm.state.errors import CannotWrite, InputGone, StorageBroken

LOGS = [{"op_code": 0, "worker_id": "w", "study_name": f"study {number}", "directions": [2]} for number in range(3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.journal"


def filled(path: Path) -> FlockJournal:
    found = FlockJournal(path)
    for log in LOGS:
        found.append_logs([log])
    return found


def study_of(path: Path, trials: int) -> optuna.Study:
    study = optuna.create_study(
        storage=JournalStorage(FlockJournal(path)), study_name="s", direction="maximize", load_if_exists=True
    )
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=trials)
    return study


def test_what_one_worker_appends_another_reads_from_any_number_on(path: Path) -> None:
    filled(path)
    reader = FlockJournal(path)
    assert list(reader.read_logs(0)) == LOGS
    assert list(reader.read_logs(3)) == []
    assert list(reader.read_logs(1)) == LOGS[1:]
    FlockJournal(path).append_logs(LOGS[:1])
    assert list(reader.read_logs(3)) == LOGS[:1]


@pytest.mark.parametrize("torn", [b"{", b'{"op_code":4,"wor', b"\0" * 5000, b"x" * 200_000])
def test_a_line_a_killed_writer_left_half_is_not_read_and_is_cut_off_by_the_next_writer(
    path: Path, torn: bytes
) -> None:
    writer = filled(path)
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes() + torn)
    assert list(FlockJournal(path).read_logs(0)) == LOGS
    assert list(writer.read_logs(3)) == []
    writer.append_logs(LOGS[:1])
    assert list(FlockJournal(path).read_logs(0)) == [*LOGS, LOGS[0]]
    assert path.read_bytes()[:whole].count(b"\n") == 3


def test_a_reader_waits_for_the_rest_of_a_line_that_is_being_written(path: Path) -> None:
    writer, reader = filled(path), FlockJournal(path)
    writer.append_logs(LOGS[:1])
    raw = path.read_bytes()
    path.write_bytes(raw[:-10])
    assert list(reader.read_logs(0)) == LOGS
    path.write_bytes(raw)
    assert list(reader.read_logs(3)) == LOGS[:1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw.replace(b"study 1", b"study 7"),
        lambda raw: raw[: raw.index(b"\n") - 5] + raw[raw.index(b"\n") :],
        lambda raw: raw[:90] + b"\0" * 20 + raw[110:],
        lambda raw: b"SQLite format 3\0\n" + raw,
        lambda raw: raw.replace(b'"op_code":0', b'"op_code":99'),
        lambda raw: raw + b"\n",
        lambda raw: raw + b"[]\n",
    ],
)
def test_any_damaged_line_is_found_before_the_study_is_used(path: Path, damage: Any) -> None:
    filled(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StorageBroken, match=r"study\.journal is damaged at line \d") as refused:
        FlockJournal(path)
    assert refused.value.code == 74
    assert "--repair-study" in refused.value.fix


def test_damage_done_while_the_study_is_open_is_found_when_it_is_read(path: Path) -> None:
    reader = filled(path)
    path.write_bytes(path.read_bytes().replace(b"study 1", b"study 7"))
    with pytest.raises(StorageBroken, match="line 2"):
        list(reader.read_logs(0))


def test_repair_keeps_the_sound_beginning_and_sets_the_original_aside(path: Path) -> None:
    told = study_of(path, 12).trials
    raw = path.read_bytes()
    at = raw.index(b"\n", 3 * len(raw) // 4) - 3
    path.write_bytes(raw[:at] + b"?" + raw[at + 1 :])
    with pytest.raises(StorageBroken):
        FlockJournal(path)
    kept, dropped, aside = repair(path)
    assert (kept + dropped, aside.name) == (raw.count(b"\n"), "study.journal.broken1")
    assert aside.stat().st_size == len(raw)
    left = study_of(path, 1).trials
    assert 0 < len(left) < len(told)
    assert [trial.values for trial in left[:8]] == [trial.values for trial in told[:8]]


def test_repairing_a_sound_journal_loses_nothing(path: Path) -> None:
    filled(path)
    raw = path.read_bytes()
    assert repair(path)[:2] == (3, 0)
    assert path.read_bytes() == raw


def test_there_is_nothing_to_repair_without_a_journal(path: Path) -> None:
    with pytest.raises(InputGone, match="there is no study"):
        repair(path)


def test_optunas_own_reader_understands_the_file(path: Path) -> None:
    ours = study_of(path, 5)
    theirs = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    assert [trial.values for trial in theirs.trials] == [trial.values for trial in ours.trials]


def test_the_operations_are_those_of_this_optuna() -> None:
    assert list(journal.OPERATIONS) == [operation.value for operation in optuna_journal.JournalOperation]
    assert optuna_journal.JournalOperation.SET_TRIAL_STATE_VALUES.value == journal.SET_TRIAL_STATE_VALUES


def test_a_study_deleted_while_in_use_is_said_and_not_begun_again_by_half(path: Path) -> None:
    writer = filled(path)
    path.unlink()
    with pytest.raises(StorageBroken, match="deleted or replaced"):
        list(writer.read_logs(0))
    with pytest.raises(StorageBroken, match="deleted or replaced"):
        writer.append_logs(LOGS)
    assert list(filled(path).read_logs(0)) == LOGS


def test_a_full_disk_leaves_the_journal_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = filled(path)
    raw = path.read_bytes()
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        real(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("btswarm.state.files.os.write", full)
        with pytest.raises(CannotWrite, match="no space left"):
            writer.append_logs(LOGS)
    assert path.read_bytes() == raw
    writer.append_logs(LOGS)
    assert soundness(path).records == 6


def test_infinite_numbers_are_refused_rather_than_written_as_no_json(path: Path) -> None:
    writer = filled(path)
    with pytest.raises(ValueError, match="Out of range float"):
        writer.append_logs([{"op_code": 8, "trial_id": 0, "user_attr": {"x": float("inf")}}])
    assert soundness(path).records == 3
