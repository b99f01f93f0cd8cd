"""The probe of the GPUs, through the genuine pynvml, against a library that does what a script says."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from btswarm.daemon.clock import SystemClock
from btswarm.daemon.probes import gpu
from btswarm.daemon.probes.gpu import GpuProbe
from btswarm.state.files import write_atomic
from btswarm.state.models.config import Gpu
from btswarm.state.models.facts import GpuView
from btswarm.state.models.readings import Known, Missing

from .waiting import until

SOURCE = Path(__file__).with_name("fake_nvml.c")
OK = "total 80000 used 1000 util 40 temp 50 power 200000"


@dataclass
class Nursery:
    """Which helpers there are, as the reaper knows it."""

    pids: set[int] = field(default_factory=set)
    all: list[int] = field(default_factory=list)

    def helper(self, pid: int) -> None:
        self.pids.add(pid)
        self.all.append(pid)

    def helper_gone(self, pid: int) -> None:
        self.pids.remove(pid)


@dataclass
class Card:
    """The machine of the script, and a probe that watches it."""

    folder: Path
    nursery: Nursery = field(default_factory=Nursery)
    environment: dict[str, str] = field(default_factory=dict)
    settings: Gpu = field(default_factory=lambda: Gpu(probe_s=0.02, probe_deadline_s=0.5, retry_s=1.0))
    probes: list[GpuProbe] = field(default_factory=list)

    def script(self, *lines: str) -> None:
        write_atomic(self.folder / "script", "".join(f"{line}\n" for line in lines).encode(), sync=False)

    def watch(self) -> GpuProbe:
        inherited = {**os.environ, "LD_LIBRARY_PATH": str(self.folder), **self.environment}
        probe = GpuProbe(self.nursery, SystemClock(), self.settings, inherited)
        self.probes.append(probe)
        probe.start()
        until(lambda: all(post.helper is None or post.helper.newest > 0 for post in probe._posts) or probe.readings())
        return probe


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc")
    if found is None:
        pytest.skip("there is no C compiler to make a library that does what a script says")
    return found


@pytest.fixture
def card(tmp_path: Path, compiler: str) -> Iterator[Card]:
    library = tmp_path / "libnvidia-ml.so.1"
    script = f'-DSCRIPT="{tmp_path}/script"'
    subprocess.run([compiler, "-shared", "-fPIC", script, "-o", str(library), str(SOURCE)], check=True)
    found = Card(tmp_path)
    yield found
    for probe in found.probes:
        probe.close()
    assert not found.nursery.pids


def value(reading: Any) -> Any:
    return reading.known if isinstance(reading, Known) else None


def seen(probe: GpuProbe, uuid: str, true: Callable[[GpuView], object]) -> GpuView:
    """The first view of the device of which this holds."""
    return until(lambda: (view := probe.readings().get(uuid)) and true(view) and view)  # type: ignore[return-value]


def test_every_figure_is_read_and_the_first_reading_is_there_at_the_start(card: Card) -> None:
    card.script(f"gpu 0 {OK} throttle 72", f"gpu 1 {OK} util 7")
    views = card.watch().readings()
    assert set(views) == {"GPU-0", "GPU-1"}
    one = views["GPU-0"]
    assert (one.index, value(one.state)) == (0, "ok")
    assert [value(getattr(one, name)) for name in gpu.FIGURES] == [
        40.0, 1000.0, 80000.0, 50.0, 200.0, ("hw_slowdown", "hw_thermal_slowdown"), 0,
    ]  # fmt: skip
    assert value(views["GPU-1"].util_pct) == 7.0


def test_what_changes_is_seen_and_readings_carry_the_time_they_were_made(card: Card) -> None:
    card.script(f"gpu 0 {OK}")
    probe = card.watch()
    before = probe.readings()["GPU-0"].util_pct
    card.script(f"gpu 0 {OK} util 93 xid 31 events 2")
    after = seen(probe, "GPU-0", lambda view: value(view.util_pct) == 93.0)
    assert isinstance(before, Known)
    assert isinstance(after.util_pct, Known)
    assert before.at < after.util_pct.at <= SystemClock().mono()
    assert value(seen(probe, "GPU-0", lambda view: value(view.xid)).xid) == 31


@pytest.mark.parametrize(("code", "state"), [(15, "lost"), (16, "lost"), (10, "hung"), (6, "detached")])
def test_a_device_that_fails_is_told_by_its_state_and_the_others_go_on(card: Card, code: int, state: str) -> None:
    card.script(f"gpu 0 {OK}", f"gpu 1 {OK}")
    probe = card.watch()
    card.script(f"gpu 0 {OK} util 55", f"gpu 1 {OK} fail {code}")
    view = seen(probe, "GPU-1", lambda view: value(view.state) == state)
    assert isinstance(view.util_pct, Missing)
    assert isinstance(view.mem_used_mb, Missing)
    seen(probe, "GPU-0", lambda view: (value(view.state), value(view.util_pct)) == ("ok", 55.0))
    card.script(f"gpu 0 {OK}", f"gpu 1 {OK}")
    seen(probe, "GPU-1", lambda view: value(view.state) == "ok")


def test_what_a_device_cannot_tell_is_missing_and_not_0(card: Card) -> None:
    card.script(f"gpu 0 {OK} fail 3")
    view = card.watch().readings()["GPU-0"]
    assert value(view.state) == "ok"
    assert isinstance(view.util_pct, Missing)
    assert view.util_pct.missing == "Not Supported"


def test_a_device_that_is_no_longer_there_is_detached(card: Card) -> None:
    card.script(f"gpu 0 {OK}", f"gpu 1 {OK}")
    probe = card.watch()
    card.script(f"gpu 0 {OK}")
    assert isinstance(seen(probe, "GPU-1", lambda view: value(view.state) == "detached").util_pct, Missing)
    assert value(probe.readings()["GPU-0"].state) == "ok"


def test_of_a_helper_that_hangs_each_device_gets_its_own_and_the_one_that_hangs_is_told(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "START_S", 2.0)
    card.script(f"gpu 0 {OK}", f"gpu 1 {OK}")
    probe = card.watch()
    (first,) = card.nursery.pids
    card.script(f"gpu 0 {OK} util 61", f"gpu 1 {OK} hang 1")
    seen(probe, "GPU-0", lambda view: isinstance(view.state, Missing))
    seen(probe, "GPU-0", lambda view: (value(view.state), value(view.util_pct)) == ("ok", 61.0))
    seen(probe, "GPU-1", lambda view: value(view.state) == "hung")
    assert first not in card.nursery.pids
    card.script(f"gpu 0 {OK}", f"gpu 1 {OK} util 8")
    seen(probe, "GPU-1", lambda view: (value(view.state), value(view.util_pct)) == ("ok", 8.0))


def test_a_single_device_that_hangs_is_hung_at_once(card: Card) -> None:
    card.script(f"gpu 0 {OK}")
    probe = card.watch()
    card.script(f"gpu 0 {OK} hang 1")
    view = seen(probe, "GPU-0", lambda view: value(view.state) != "ok")
    assert value(view.state) == "hung"


def test_a_helper_that_crashes_takes_nobody_along_and_is_started_again(card: Card) -> None:
    card.script(f"gpu 0 {OK}")
    probe = card.watch()
    card.script(f"gpu 0 {OK} crash 1")
    view = seen(probe, "GPU-0", lambda view: isinstance(view.state, Missing))
    assert isinstance(view.state, Missing)
    assert view.state.missing == "the helper that asks NVML ended with -6"
    card.script(f"gpu 0 {OK} util 12")
    seen(probe, "GPU-0", lambda view: value(view.util_pct) == 12.0)
    assert len(card.nursery.all) >= 2


@pytest.mark.parametrize("code", [9, 12])
def test_without_a_driver_there_are_no_devices_and_it_is_asked_again_later(card: Card, code: int) -> None:
    card.script(f"init {code}", f"gpu 0 {OK}")
    probe = card.watch()
    assert probe.readings() == {}
    card.script("init 0", f"gpu 0 {OK}")
    seen(probe, "GPU-0", lambda view: value(view.state) == "ok")


def test_without_a_trace_of_a_driver_no_helper_is_started(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "TRACES", ())
    (card.folder / gpu.LIBRARY).unlink()
    assert card.watch().readings() == {}
    assert card.nursery.all == []


def test_without_pynvml_no_helper_is_started(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert card.watch().readings() == {}
    assert card.nursery.all == []


@pytest.mark.parametrize(("visible", "shown"), [("1", {"GPU-1"}), ("GPU-0", {"GPU-0"}), ("", set()), ("-1", set())])
def test_only_devices_that_the_daemon_itself_may_see_are_watched(card: Card, visible: str, shown: set[str]) -> None:
    card.script(f"gpu 0 {OK}", f"gpu 1 {OK}")
    card.environment["CUDA_VISIBLE_DEVICES"] = visible
    assert set(card.watch().readings()) == shown


class Immortal:
    """A helper that sits in the kernel: no signal ends it."""

    pid = 1 << 22
    returncode = None

    def __init__(self, *_arguments: object, **_options: object) -> None:
        Immortal.pid += 1
        self.pid = Immortal.pid

    def poll(self) -> None:
        return None

    def send_signal(self, _number: int) -> None: ...

    def kill(self) -> None: ...

    def wait(self, limit_s: float) -> None:
        raise subprocess.TimeoutExpired("helper", limit_s)


@dataclass
class HandClock:
    now_s: float = 1000.0

    def mono(self) -> float:
        return self.now_s


def test_after_two_helpers_that_cannot_be_killed_no_more_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    monkeypatch.setattr(subprocess, "Popen", Immortal)
    monkeypatch.setattr(gpu, "TRACES", (Path("/"),))
    clock, nursery = HandClock(), Nursery()
    probe = GpuProbe(nursery, clock, Gpu(), {})  # type: ignore[arg-type]
    probe._views = {"GPU-0": GpuView("GPU-0", 0), "GPU-1": GpuView("GPU-1", 1)}
    for _ in range(400):
        probe.readings()
        clock.now_s += 10.0
    assert len(nursery.all) == 3  # one for all, then one for each device: two of them are seen not to end
    states = [view.state for view in probe.readings().values()]
    assert all(isinstance(state, Missing) and "cannot be killed" in state.missing for state in states)
    probe.close()
