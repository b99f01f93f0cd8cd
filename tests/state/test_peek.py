"""A light command sees what a dead daemon left, or why it cannot."""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from btswarm.state.errors import InputGone, StorageBroken
from btswarm.state.peek import LOCK_NAME, PREVIOUS, Unusable, daemon_alive, peek, unwrap, wrap

STDLIB_AND = {"orjson", "btswarm"}


def data(payload: bytes = b'{"a":1}', **header: object) -> bytes:
    known: dict[str, object] = {
        "schema": "queue", "seq": 1, "log_seq": 2, "written": 1000.0, "mono": 10.0, "epoch": "e", "writer": "w",
    }  # fmt: skip
    return wrap(payload, **(known | header))  # type: ignore[arg-type]


def test_what_was_wrapped_is_unwrapped() -> None:
    envelope = unwrap(data())
    assert (envelope.content(), envelope.log_seq, envelope.writer) == ({"a": 1}, 2, "w")


@pytest.mark.parametrize(
    ("harmed", "fault"),
    [
        (b"", "torn"),
        (data()[:-2], "torn"),
        (data()[:40], "torn"),
        (data() + b"x", "torn"),
        (b'{"payload":{}}', "torn"),
        (data().replace(b'{"a":1}', b'{"a":2}'), "edited"),
        (data().replace(b'"writer":"w",', b""), "edited"),
        (data().replace(b'"writer"', b'"rider"'), "edited"),
        (data().replace(b'"v":1', b'"v":2'), "newer"),
    ],
)
def test_each_kind_of_harm_has_its_name(harmed: bytes, fault: str) -> None:
    with pytest.raises(Unusable) as refused:
        unwrap(harmed)
    assert refused.value.fault == fault


def test_any_language_can_check_a_file_with_the_bytes_between_payload_and_the_last_brace() -> None:
    text = data(b'{"deep":{"payload":"}"}}').decode()
    inner = text[text.index('"payload":') + len('"payload":') : text.rindex("}")]
    assert hashlib.sha256(inner.encode()).hexdigest() == orjson.loads(text)["sha256"]


def test_age_is_told_by_the_monotonic_clock_within_the_epoch_and_by_utc_outside() -> None:
    envelope = unwrap(data())
    assert envelope.age_s(1500.0, 13.0, "e") == 3.0
    assert envelope.age_s(1500.0, 13.0, "other") == 500.0
    assert envelope.age_s(1500.0) == 500.0


def test_the_previous_copy_stands_in_and_it_is_said_why(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(data()[:-9])
    (tmp_path / f"f.json{PREVIOUS}").write_bytes(data(seq=1))
    seen = peek(path)
    assert (seen.source.name, seen.why) == ("f.json.prev", "its end is missing")
    path.unlink()
    assert peek(path).source.name == "f.json.prev"


def test_nothing_at_all_is_input_gone_and_two_bad_copies_are_broken_storage(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    with pytest.raises(InputGone) as gone:
        peek(path)
    assert "is this the state folder" in gone.value.fix
    path.write_bytes(b"x")
    with pytest.raises(StorageBroken, match="no previous copy"):
        peek(path)
    (tmp_path / f"f.json{PREVIOUS}").write_bytes(b"y")
    with pytest.raises(StorageBroken, match=r"f\.json\.prev"):
        peek(path)


def test_a_newer_file_is_refused_even_where_an_older_copy_lies(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(data().replace(b'"v":1', b'"v":2'))
    (tmp_path / f"f.json{PREVIOUS}").write_bytes(data())
    with pytest.raises(StorageBroken, match="version 2"):
        peek(path)


def test_a_daemon_lives_as_long_as_somebody_holds_its_lock(tmp_path: Path) -> None:
    assert not daemon_alive(tmp_path)
    lock = tmp_path / LOCK_NAME
    lock.touch()
    assert not daemon_alive(tmp_path)
    with lock.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert daemon_alive(tmp_path)
    assert not daemon_alive(tmp_path)


def test_peeking_and_reading_events_load_the_standard_library_and_orjson_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import btswarm.state.peek, btswarm.state.logread;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= STDLIB_AND
