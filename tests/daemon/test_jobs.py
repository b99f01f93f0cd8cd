"""Smaller jobs in place of those that were too much."""

import pytest

from btswarm.daemon.jobs import parts_of, smaller
from btswarm.engine.optimize import PART, part_of
from btswarm.state.models.jobs import Job
from btswarm.state.models.records import ClaimsRecord

from ..agents.world import job

NAME = "r1/SOLUSDT/balanced/optimize"


@pytest.mark.parametrize(
    ("part", "first", "second"), [("", "h1", "h2"), ("0", "0h1", "0h2"), ("1", "1h1", "1h2"), ("f12", "f12h1", "f12h2")]
)
def test_a_job_that_is_replaced_again_and_again_keeps_its_part(part: str, first: str, second: str) -> None:
    old = job(f"{NAME}.{part}" if part else NAME, spec={"volume": {"trials": 200, "combos": 9}})
    new = smaller(old, {"trials": 100})
    assert new.job == f"{NAME}.{first}"
    assert new.spec.volume == {"trials": 100, "combos": 9}
    assert smaller(job(new.job), {"trials": 50}).job == f"{NAME}.{second}"
    assert parts_of(second) == (part, 2)


def test_what_takes_its_place_works_on_the_same_study_as_the_same_part_of_it() -> None:
    for part, number in (("", 0), ("3", 3)):
        old = job(f"{NAME}.{part}" if part else NAME)
        new = smaller(old, {"trials": 100}).job
        assert PART.sub("", new) == NAME
        assert part_of(Job(job=new, out_dir="/nowhere")) == number


def test_a_job_that_found_no_room_on_its_device_claims_what_it_had() -> None:
    old = job(NAME, spec={"claims": ClaimsRecord(gpu_mem_mb=500)})
    assert smaller(old, {"batch": 256}, 9000).spec.claims.gpu_mem_mb == 9000
    assert smaller(old, {"batch": 256}).spec.claims.gpu_mem_mb == 500
