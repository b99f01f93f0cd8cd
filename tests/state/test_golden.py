"""What version 1 wrote is read for ever, and version 1 is what this build writes."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from btswarm.state.disk import RealDisk
from btswarm.state.errors import StorageBroken
from btswarm.state.eventlog import EventLog
from btswarm.state.logread import LOG_NAME, events_after
from btswarm.state.migrate import migrate
from btswarm.state.models.events import CHANGES, MAX_LINE
from btswarm.state.models.names import parse_job, parse_lane, parse_token, parse_worker
from btswarm.state.models.state_files import CONTROL, FILES, FLEET, QUEUE, AgentFile, agent_rule
from btswarm.state.peek import VERSION, peek
from btswarm.state.replay import SwarmState, fold
from btswarm.state.store import Store
from btswarm.tests.sim.disk import FakeDisk
from btswarm.tests.state import story
from btswarm.tests.state.fixtures import ROOT, SENTRY

GOLDEN = Path(__file__).with_name("golden")
V1 = GOLDEN / "v1"
NAMES = sorted(path.name for path in V1.iterdir())


def loaded(name: str, folder: Path = V1) -> object:
    rules = {**FILES, SENTRY: agent_rule("worker_sentry")}
    return Store(folder, RealDisk(), rules, uid=0, writer="").load(name).payload


def test_there_is_a_golden_file_of_every_kind() -> None:
    assert sorted([*FILES, SENTRY, LOG_NAME]) == NAMES
    assert {event["kind"] for event in events_after(RealDisk(), V1, 0)} >= CHANGES
    assert [path.name for path in GOLDEN.iterdir()] == [f"v{number}" for number in range(1, VERSION + 1)]


@pytest.mark.parametrize("name", NAMES)
def test_this_build_writes_the_golden_files_to_the_byte(name: str) -> None:
    disk = FakeDisk()
    story.write(ROOT, disk)
    assert disk.read(ROOT / name) == (V1 / name).read_bytes()


def test_the_golden_log_replays_to_the_golden_state_files() -> None:
    log = EventLog(V1, RealDisk())
    state = fold(SwarmState(), log.replay(0))
    queue, control = loaded(QUEUE), loaded(CONTROL)
    assert state.fleet == loaded(FLEET)
    assert state.queue == replace(queue, next_steps=(), run_gates=())  # type: ignore[type-var]
    assert state.control.incidents == control.incidents  # type: ignore[attr-defined]
    assert state.control.buckets == control.buckets  # type: ignore[attr-defined]


def test_a_light_command_reads_the_same_as_the_daemon() -> None:
    for name in (CONTROL, QUEUE, FLEET):
        envelope = peek(V1 / name).envelope
        assert envelope.v == 1
        assert set(envelope.content()) == set(type(loaded(name)).__dataclass_fields__)  # type: ignore[attr-defined]
    memory = loaded(SENTRY)
    assert isinstance(memory, AgentFile)
    assert memory.memory == {"since": {"gpu0@1": 3.5}}


def test_names_in_the_golden_files_are_names() -> None:
    queue, fleet = peek(V1 / QUEUE).envelope.content(), peek(V1 / FLEET).envelope.content()
    for job in queue["jobs"]:
        parse_job(job)
    for lane in fleet["lanes"]:
        parse_lane(lane)
    for name, worker in fleet["workers"].items():
        parse_worker(name)
        parse_token(worker["token"])


def test_every_line_of_the_golden_log_is_short_enough_and_numbered_without_a_gap() -> None:
    lines = (V1 / LOG_NAME).read_bytes().splitlines()
    assert [orjson.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert max(map(len, lines)) < MAX_LINE


def test_an_older_payload_goes_through_every_step_to_today_s_form() -> None:
    steps = {
        ("queue", 1): lambda payload: payload | {"a": 1},
        ("queue", 3): lambda payload: payload | {"b": payload["a"] + 1},
        ("fleet", 2): lambda payload: {},
    }
    assert migrate("queue", 1, {}, steps, to=4) == {"a": 1, "b": 2}
    assert migrate("queue", 4, {"x": 0}, steps, to=4) == {"x": 0}
    with pytest.raises(StorageBroken):
        migrate("queue", 5, {}, steps, to=4)
    with pytest.raises(StorageBroken):
        migrate("queue", 0, {}, steps, to=4)
