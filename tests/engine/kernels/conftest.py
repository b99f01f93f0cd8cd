"""The hand-worked cases hold for the definition and for its compiled twin alike."""

import pytest

from btswarm.engine.kernels import exact, reference

from .markets import Simulate


@pytest.fixture(params=["reference", "exact"])
def simulate(request: pytest.FixtureRequest) -> Simulate:
    kernels: dict[str, Simulate] = {"reference": reference.simulate, "exact": exact.simulate}
    return kernels[request.param]
