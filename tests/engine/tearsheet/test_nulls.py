"""The histogram of what luck finds."""

from types import SimpleNamespace
from typing import Any

import pytest

from btswarm.engine.tearsheet.sections import nulls
from btswarm.state.models.validation import Figure, NullFacts, SearchNull


def sheet(statistics: list[float | None], observed: float | None) -> Any:
    kind = NullFacts(
        kind="permutation", null_hypothesis="x", wanted=9, exceedances=1, stopped_early=False, p=0.2,
        statistics=statistics,
    )  # fmt: skip
    figure = Figure(value=observed) if observed is not None else Figure(value=None, reason="too few trades")
    section = SearchNull(
        null_hypothesis="x",
        figures={"observed_sharpe": figure},
        effort={},
        seeds={},
        nulls=[kind] if statistics else [],
    )
    return SimpleNamespace(validation=SimpleNamespace(search_null=section))


@pytest.mark.parametrize("observed", [0.5, 1.0, 2.5])
def test_what_was_as_good_stands_apart_from_the_rest(observed: float) -> None:
    view = nulls.view(sheet([1.0, 1.2, 2.5, None, 0.7], observed))
    assert view is not None
    [chart] = view["charts"]
    drawn = {path.css for path in chart.paths}
    assert ("bar down" in drawn) == (observed <= 2.5)
    assert ("bar up" in drawn) == (observed > 0.7)


def test_one_value_alone_or_all_alike_are_drawn() -> None:
    for values in ([1.0], [1.0, 1.0]):
        view = nulls.view(sheet([*values], 1.0))
        assert view is not None
        assert len(view["charts"]) == 1


def test_without_a_test_or_an_observed_value_there_is_no_section() -> None:
    assert nulls.view(sheet([], None)) is None
    assert nulls.view(sheet([1.0], None)) is None
    assert nulls.view(SimpleNamespace(validation=None)) is None  # type: ignore[arg-type]


def test_markets_on_which_nothing_traded_enough_are_no_histogram() -> None:
    view = nulls.view(sheet([None, None], 1.0))
    assert view is not None
    assert view["charts"] == []
