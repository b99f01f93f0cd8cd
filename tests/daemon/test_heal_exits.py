"""Exit codes with a meaning: what follows is what the table says, and every hold has a reason and an end."""

from collections.abc import Callable

import pytest

from btswarm.state.control_client import ask

from .healing import CHAIN, Healing
from .waiting import until

Make = Callable[..., Healing]
WORK = {"do": "work"}
JOB = CHAIN + "prescreen"


def ends_with(code: int, class_: str, **more: object) -> dict[str, object]:
    return {"do": "exit", "code": code, "class": class_, "message": "its words", "fix": "its remedy", **more}


@pytest.mark.parametrize(
    ("code", "class_"), [(2, "bad_config"), (64, "bad_config"), (65, "bad_data"), (77, "permission")]
)
def test_what_only_a_person_can_mend_is_held_with_what_to_do_and_goes_on_once_released(
    swarm: Make, code: int, class_: str
) -> None:
    one = swarm({"prescreen": [ends_with(code, class_), {"do": "exit", "code": 0}]}).start()
    life = one.healed(class_, JOB)
    assert life[2]["data"]["action"] == "Hold"
    assert life[3]["data"]["seen"] == {"state": "held", "until": None, "needs": "its remedy"}
    until(lambda: [hold for hold in one.query()["holds"] if hold["subject"] == JOB], what="the hold in the query")
    assert len(one.deeds("prescreen")) == 1
    ask(one.state, "release", {"subject": JOB}, wait_s=20)
    one.done("report")
    one.well()


def test_a_hold_of_one_market_leaves_the_other_open(swarm: Make) -> None:
    plan = 'data_path = "synthetic", modes = ["balanced", "aggressive"], rounds = 1'
    one = swarm({"preflight": [ends_with(65, "bad_data"), {"do": "exit", "code": 0}]}, plan=plan).start()
    one.healed("bad_data")
    held = one.events("incident.detected")[0]["subject"]
    other = {"balanced": "aggressive", "aggressive": "balanced"}[held.split("/")[2]]
    one.event("job.finished", lambda line: line["subject"].startswith(f"r1/SYNTH/{other}/report"))


def test_a_missing_input_is_waited_for(swarm: Make) -> None:
    one = swarm({"prescreen": [ends_with(66, "input_gone"), WORK]}).start()
    end = until(lambda: one.ends(JOB), what="its end")[0]
    assert end["then"]["state"] == "held"
    assert end["then"]["hold"]["until"] > end["then"]["hold"]["since"]
    assert not one.incidents("input_gone")
    until(lambda: [hold for hold in one.query()["holds"] if hold["subject"] == JOB], what="the hold in the query")


@pytest.mark.parametrize(("code", "class_"), [(73, "cannot_write"), (76, "cuda_context"), (69, "gpu_lost")])
def test_what_may_pass_is_tried_again_without_blame(swarm: Make, code: int, class_: str) -> None:
    one = swarm({"prescreen": [ends_with(code, class_), WORK]}).start()
    life = one.healed(class_, JOB)
    assert life[2]["data"]["action"] == "SpawnWorker"
    assert one.ends(JOB)[0]["restarts"]["deaths"] == 0
    assert one.worker_of("prescreen", 2)
    one.well()


def test_a_worker_that_stopped_on_request_is_queued_again_without_blame_or_incident(swarm: Make) -> None:
    one = swarm({"prescreen": [ends_with(75, "stopped", steps=4, checkpoint=4), WORK]}).start()
    assert one.worker_of("prescreen", 2)
    assert "restarts" not in one.ends(JOB)[0]
    assert not one.events("incident.detected")
    one.well()


def test_an_exit_of_zero_without_the_artifact_it_names_is_a_crash(swarm: Make) -> None:
    lie = {"do": "exit", "code": 0, "class": "done", "artifacts": ["/nowhere/phase0_top500.json"]}
    one = swarm({"prescreen": [lie, {"do": "exit", "code": 0, "class": "done"}]}).start()
    life = one.healed("crash", JOB)
    assert life[0]["data"]["why"].startswith("it left no valid artifact")
    one.done("report")
    one.well()
