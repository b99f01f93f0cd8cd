"""Hands beyond workers and records: probes, notes, hypotheses, rented instances; each looked at again."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from btswarm.daemon import incidents
from btswarm.daemon.clock import SystemClock
from btswarm.daemon.deeds import Answers
from btswarm.daemon.endings import Endings
from btswarm.daemon.executor import Executor
from btswarm.daemon.notebook import LEDGER, Notebook
from btswarm.daemon.ports import ToolEnd
from btswarm.daemon.probes.host import HostProbe
from btswarm.daemon.probes.provider import NoProvider, VastProvider, provider_of
from btswarm.daemon.probing import Probing
from btswarm.daemon.renting import Renting
from btswarm.daemon.verify import Verifier
from btswarm.state.models.actions import Action, RecordHypothesis, RestartProbe, StopInstance, WriteNotes
from btswarm.state.models.config import Budget
from btswarm.state.models.facts import DiskView
from btswarm.state.models.readings import Known, Missing

from .waiting import until
from .workshop import Bench, order


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class NoEndings(Endings):
    def __init__(self) -> None: ...


def carry_out(bench: Bench, hand: Answers, action: Action, agent: str) -> str:
    """One cycle's worth of it: what became of the order."""
    executor = Executor(bench.swarm, NoEndings(), [hand])
    now = bench.later(0.0)
    plan = executor.intend(bench.seen(), [order(action, agent, bench.hands.at)], now)
    executor.act(plan, may_spawn=True)
    return plan.done[1]


def look_again(bench: Bench, hand: Answers, after_s: float = 1.0) -> None:
    now = bench.later(after_s)
    Verifier(bench.swarm, [hand]).verify(now, bench.seen())


class FakeProbe:
    """Asked at the beginning of time; answers when the test says."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.asked, self.answered = bench, bench.hands.at, bench.hands.at - 1.0
        self.left: list[bool] = [True, False]

    def asked_at(self) -> float | None:
        return self.asked if self.answered < self.asked else None

    def answered_at(self) -> float:
        return self.answered

    def restart(self) -> bool:
        self.asked = self.bench.hands.at
        return self.left.pop(0)


def silent(bench: Bench) -> tuple[FakeProbe, Probing]:
    probe = FakeProbe(bench)
    probing = Probing(bench.swarm, {"host": probe})
    probing.notice(bench.later(9.0))
    assert bench.heard.kinds("probe") == []
    probing.notice(bench.later(1.0))
    probing.notice(bench.later(1.0))
    assert bench.heard.kinds("probe") == ["probe.silent"]
    incidents.detect(bench.heard.journal, "probe", "host", "it does not answer")
    return probe, probing


def test_a_silent_probe_is_started_again_and_its_incident_ends_when_it_answers(bench: Bench) -> None:
    bench.with_ports(provider=NoProvider(Budget(), bench.hands))
    probe, probing = silent(bench)
    assert carry_out(bench, probing, RestartProbe("host"), "hang_guard") == "ok"
    assert carry_out(bench, probing, RestartProbe("host"), "hang_guard") == "it is being started again"
    look_again(bench, probing)
    assert bench.heard.kinds("incident.closed") == []
    probe.answered = bench.hands.at
    look_again(bench, probing)
    assert bench.heard.kinds("incident", "probe") == [
        "probe.silent", "incident.detected", "incident.classified", "probe.silent", "incident.executed",
        "probe.restored", "incident.verified", "incident.closed",
    ]  # fmt: skip
    assert not bench.heard.journal.state.fleet.verify


def test_a_probe_that_answers_by_itself_is_told_and_ends_its_incident(bench: Bench) -> None:
    bench.with_ports(provider=NoProvider(Budget(), bench.hands))
    probe, probing = silent(bench)
    probe.answered = bench.hands.at + 1.0
    probing.notice(bench.later(2.0))
    look_again(bench, probing)
    assert bench.heard.kinds("probe")[-1] == "probe.restored"
    assert bench.heard.kinds("incident")[-1] == "incident.closed"


def test_a_probe_whose_helpers_pile_up_is_given_up_for_a_person(bench: Bench) -> None:
    bench.with_ports(provider=NoProvider(Budget(), bench.hands))
    probe, probing = silent(bench)
    probe.left = [False]
    carry_out(bench, probing, RestartProbe("host"), "hang_guard")
    state = bench.heard.journal.state
    assert state.control.probes["host"].state == "given_up"
    assert bench.heard.last("incident.escalated").data["needs"]
    assert not state.fleet.verify


class Hanging(HostProbe):
    """Its disks answer only when the gate is open."""

    gate = threading.Event()
    hanging = 0

    def _disk(self, root: Path) -> DiskView:
        self.hanging += 1
        self.gate.wait(60)
        return super()._disk(root)


def test_the_host_probe_leaves_a_thread_that_hangs_and_takes_no_third_one(tmp_path: Path) -> None:
    probe = Hanging(SystemClock(), {"state": tmp_path})
    probe.gate.clear()
    before = probe.answered_at()
    probe.start()
    try:
        probe.refresh()
        assert probe.asked_at() is not None
        until(lambda: probe.hanging == 1, what="the first one hanging")
        assert probe.restart()
        until(lambda: probe.hanging == 2, what="the second one hanging")
        assert not probe.restart()
        probe.gate.set()
        until(lambda: probe.asked_at() is None and probe.answered_at() > before, what="the answer of the second")
        assert isinstance(probe.readings().disk["state"].free_mb, Known)
        assert probe.restart()
    finally:
        probe.gate.set()
        probe.stop()


def test_a_hypothesis_is_a_line_that_reads_back_even_after_a_torn_one(bench: Bench) -> None:
    ledger = bench.swarm.roots.state / LEDGER
    ledger.write_bytes(b'{"v":1,"entry"')
    assert carry_out(bench, Notebook(bench.swarm), RecordHypothesis({"idea": "trend"}), "hypothesis_runner") == "ok"
    torn, line = ledger.read_bytes().splitlines()
    assert torn == b'{"v":1,"entry"'
    assert orjson.loads(line)["entry"] == {"idea": "trend"}
    assert not bench.heard.kinds("incident")


def test_a_note_is_put_between_the_agents_marks_and_nothing_else_is_touched(bench: Bench) -> None:
    file = bench.swarm.roots.knowledge / "notes.md"
    file.write_text("# mine\n\nwords\n")
    for text in ("first", "second"):
        carry_out(bench, Notebook(bench.swarm), WriteNotes("notes.md", text), "curator")
    carry_out(bench, Notebook(bench.swarm), WriteNotes("notes.md", "other"), "session_log")
    assert file.read_text() == (
        "# mine\n\nwords\n\n<!-- btswarm curator begins -->\nsecond\n<!-- btswarm curator ends -->\n"
        "\n<!-- btswarm session_log begins -->\nother\n<!-- btswarm session_log ends -->\n"
    )
    assert not bench.heard.kinds("incident")


@pytest.mark.parametrize("name", ["../state/work_queue.json", "/etc/passwd", "../../x.md", "run.py", "link.md"])
def test_no_note_is_written_outside_of_the_roots_or_over_state(bench: Bench, name: str) -> None:
    (bench.swarm.roots.knowledge / "link.md").symlink_to("/tmp/elsewhere.md")
    before = sorted(bench.folder.rglob("*"))
    carry_out(bench, Notebook(bench.swarm), WriteNotes(name, "text"), "curator")
    assert sorted(bench.folder.rglob("*")) == before
    assert bench.heard.last("incident.detected").data["class"] == "cannot_write"
    assert bench.heard.last("state.refused").subject == name


def test_a_note_that_cannot_be_written_is_an_incident_that_ends_with_the_next_one_that_can(bench: Bench) -> None:
    folder = bench.swarm.roots.knowledge / "notes.md"
    folder.mkdir()
    carry_out(bench, Notebook(bench.swarm), WriteNotes("notes.md", "text"), "curator")
    assert bench.heard.kinds("incident")[-1] == "incident.classified"
    folder.rmdir()
    carry_out(bench, Notebook(bench.swarm), WriteNotes("notes.md", "text"), "curator")
    assert bench.heard.kinds("incident")[-1] == "incident.closed"


def shown(**changes: Any) -> ToolEnd:
    said = {"id": 7, "actual_status": "running", "dph_total": 1.25, "is_bid": True, "min_bid": 0.9, "end_date": None}
    return ToolEnd(0, orjson.dumps({**said, **changes}))


def test_a_rented_instance_is_asked_for_at_most_once_a_minute(bench: Bench) -> None:
    provider = VastProvider(bench.hands, bench.hands, "7", "secret")
    for _ in range(3):
        provider.ask()
        bench.later(10.0)
    assert bench.hands.started == [("vastai", "show", "instance", "7", "--api-key", "secret", "--raw")]
    bench.hands.ends = [shown()]
    provider.ask()
    reading = provider.reading()
    assert isinstance(reading, Known)
    assert (reading.known.price_per_hour, reading.known.is_bid, reading.known.status) == (1.25, True, "running")
    bench.later(31.0)
    provider.ask()
    assert len(bench.hands.started) == 2
    bench.hands.ends = [ToolEnd(1, b"no network")]
    provider.ask()
    assert provider.reading() == reading
    bench.later(1900.0)
    assert isinstance(provider.reading(), Missing)


def test_an_instance_is_stopped_by_its_provider_and_asked_until_it_says_so(bench: Bench) -> None:
    provider = VastProvider(bench.hands, bench.hands, "7", "secret")
    bench.with_ports(provider=provider)
    hand = Renting(bench.swarm)
    assert carry_out(bench, hand, StopInstance(), "budget_guard") == "ok"
    assert bench.hands.started[0][:4] == ("vastai", "stop", "instance", "7")
    assert carry_out(bench, hand, StopInstance(), "budget_guard") == "its provider was told already"
    provider.ask()
    bench.hands.ends = [shown()]
    provider.ask()
    look_again(bench, hand)
    assert bench.heard.journal.state.fleet.verify
    bench.later(60.0)
    provider.ask()
    bench.hands.ends = [shown(actual_status="exited"), ToolEnd(0, b"")]
    provider.ask()
    look_again(bench, hand)
    assert not bench.heard.journal.state.fleet.verify
    assert bench.heard.last("budget.stopped").data["status"] == "exited"


def test_where_there_is_no_provider_a_stop_is_refused_with_what_is_missing(bench: Bench) -> None:
    bench.with_ports(provider=NoProvider(Budget(price_per_hour=0.5), bench.hands))
    assert "CONTAINER_API_KEY" in carry_out(bench, Renting(bench.swarm), StopInstance(), "budget_guard")
    reading = bench.swarm.world.provider.reading()
    assert isinstance(reading, Known)
    assert reading.known.price_per_hour == 0.5
    assert isinstance(NoProvider(Budget(), bench.hands).reading(), Missing)


def test_vast_is_the_provider_where_its_variables_and_its_program_are(bench: Bench, tmp_path: Path) -> None:
    def found(**environment: str) -> str:
        return type(provider_of(environment, bench.hands, bench.hands, Budget())).__name__

    program = tmp_path / "vastai"
    program.write_text("#!/bin/sh\n")
    there: Mapping[str, str] = {"PATH": str(tmp_path), "CONTAINER_ID": "7", "CONTAINER_API_KEY": "k"}
    assert found(**there) == "NoProvider"
    program.chmod(0o755)
    assert found(**there) == "VastProvider"
    assert found(**{**there, "CONTAINER_API_KEY": ""}) == "NoProvider"
