"""A real daemon on a machine whose GPUs do what a script says: lanes bound to devices, and devices that fall ill."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .healing import CHAIN, Healing
from .test_gpu_probe import OK, Card
from .test_gpu_probe import card as card
from .test_gpu_probe import compiler as compiler
from .waiting import until

JOB = CHAIN + "prescreen"
WORK: dict[str, Any] = {"do": "work", "said": {"backend": "gpu", "device": "GPU-0", "rate": 1e6}}
FILL: dict[str, Any] = {"do": "work"}
GPU = "probe_s = 0.1, probe_deadline_s = 2, retry_s = 3"
Make = Callable[..., Healing]


@pytest.fixture
def machine(card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """A swarm on a machine with one GPU that is well."""
    made: list[Healing] = []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def make(*prescreens: dict[str, Any], **tables: str) -> Healing:
        card.script(f"gpu 0 {OK}")
        acts = {"prescreen": list(prescreens), "fill": [FILL]}
        one = Healing(tmp_path / "swarm", acts, (), **{"gpu": GPU, **tables})
        one.variables["LD_LIBRARY_PATH"] = str(card.folder)
        made.append(one)
        return one.start()

    yield make
    for one in made:
        one.end()


def lane_of(one: Healing) -> str:
    """Of the first prescreen, as soon as it is at work."""
    deeds = until(lambda: one.deeds("prescreen"), limit_s=60, what="a prescreen")
    return str(deeds[0]["worker"]).partition("@")[0]


def test_a_prescreen_runs_in_a_lane_of_the_device_and_sees_no_other(machine: Make) -> None:
    one = machine(WORK)
    assert lane_of(one) == "gpu0"
    (lane,) = [event for event in one.events("lane.opened") if event["subject"] == "gpu0"]
    assert lane["data"]["gpu_uuid"] == "GPU-0"
    variables = Path(f"/proc/{one.deeds('prescreen')[0]['pid']}/environ").read_bytes().split(b"\0")
    assert b"CUDA_VISIBLE_DEVICES=GPU-0" in variables
    assert b"CUDA_DEVICE_ORDER=PCI_BUS_ID" in variables


@pytest.mark.parametrize(("ill", "class_"), [("fail 15", "gpu_lost"), ("hang 1", "gpu_hung")])
def test_a_device_that_falls_ill_is_held_and_tried_again_once_it_is_well(
    machine: Make, card: Card, ill: str, class_: str
) -> None:
    one = machine(WORK)
    lane_of(one)
    card.script(f"gpu 0 {OK} {ill}")
    held = one.event("hold.set", lambda line: line["subject"] == "GPU-0")
    assert held["data"]["hold"]["class"] == class_
    opened = one.event("incident.detected", lambda line: line["subject"] == "GPU-0")
    assert opened["data"]["class"] == class_
    os.kill(one.process.pid if one.process else 0, 0)  # the daemon goes on, whatever the driver does
    card.script(f"gpu 0 {OK}")
    one.event("hold.released", lambda line: line["subject"] == "GPU-0")


def test_a_job_that_turns_out_to_run_on_the_cpu_is_told_and_begun_again_on_the_gpu(machine: Make) -> None:
    silent = {"do": "work", "said": {"backend": "cpu", "device": "cpu"}}
    one = machine(silent, WORK)
    assert one.healed("cpu_fallback", "gpu0@1")[0]["data"]["why"] == "the job asked for a GPU and reports backend=cpu"
    until(lambda: one.deeds("prescreen")[1:], limit_s=60, what="another try")
    deeds = one.deeds("prescreen")
    assert {str(deed["worker"]).partition("@")[0] for deed in deeds} == {"gpu0"}


def test_a_job_whose_launches_find_no_memory_is_begun_again_smaller(machine: Make) -> None:
    ends = {"do": "exit", "code": 72, "class": "cuda_oom", "batch": 4096, "message": "full", "fix": "less"}
    one = machine(ends, WORK)
    again = until(lambda: one.deeds("prescreen")[1:], limit_s=60, what="another try")
    assert again[0]["volume"]["batch"] < 4096


def test_a_prescreen_far_below_what_such_a_device_should_do_is_told_as_a_regression(machine: Make) -> None:
    slow = {"do": "work", "said": {"backend": "gpu", "device": "GPU-0", "rate": 12.5}}
    one = machine(slow, gpu=GPU + ", slow_prescreen_s = 30")
    assert lane_of(one) == "gpu0"
    found = one.event("incident.detected", lambda line: line["data"]["class"] == "slow_kernel")
    assert found["data"]["why"].startswith("12 combos/s, ")
