"""Parameters as a person writes them, the parameter spaces, and the random combos drawn from them."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from btswarm.engine.strategies import api
from btswarm.engine.strategies.api import COLUMNS, Combos, Params, combos_of
from btswarm.engine.strategies.mtf_ema import (
    BLOCK,
    DEFAULTS,
    MODES,
    NEIGHBOUR_COLUMNS,
    Space,
    draw,
    faster,
    neighbours,
    pick,
    space_for,
)
from btswarm.state.errors import BadConfig

RAW: dict[str, Any] = {
    "fast_tf": 15,
    "fast_period": 10,
    "slow_tf": 60,
    "slow_period": 50,
    "stop_loss": 0.02,
    "take_profit": 0.05,
    "trailing_stop": 0,
    "direction": "both",
}


class TestParams:
    def test_a_written_configuration_is_read_and_written_back(self) -> None:
        one = Params.parse(RAW)
        assert one == Params(15, 10, 60, 50, 0.02, 0.05, 0.0, "both")
        assert one.as_dict() == RAW
        assert Params.from_row(one.to_row()) == one

    @settings(max_examples=200, deadline=None)
    @given(ticks=st.integers(0, 9999))
    def test_every_tick_survives_the_way_through_a_combo_to_the_last_bit(self, ticks: int) -> None:
        written = float(f"0.{ticks:04d}")
        one = Params.parse({**RAW, "stop_loss": written})
        assert one.stop_loss == written
        assert one.to_row()[api.STOP_LOSS] == ticks
        assert Params.from_row(one.to_row()).stop_loss == written

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("fast_tf", 0),
            ("fast_tf", 15.5),
            ("fast_tf", True),
            ("fast_tf", "15"),
            ("fast_tf", None),
            ("fast_tf", math.nan),
            ("slow_tf", math.inf),
            ("slow_tf", 10**400),
            ("slow_tf", 7 * 24 * 60 + 1),
            ("slow_period", 10_001),
            ("fast_period", -5),
            ("stop_loss", -0.01),
            ("stop_loss", 1),
            ("stop_loss", math.nan),
            ("take_profit", "5%"),
            ("take_profit", 0.00015),
            ("trailing_stop", False),
            ("direction", "up"),
            ("direction", None),
            ("direction", ["both"]),
            ("direction", 0),
        ],
    )
    def test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_field(self, field: str, value: Any) -> None:
        with pytest.raises(BadConfig, match=field):
            Params.parse({**RAW, field: value})

    def test_missing_and_unknown_fields_are_named(self) -> None:
        with pytest.raises(BadConfig, match=r"lacks stop_loss and has unknown stoploss"):
            Params.parse({name: value for name, value in RAW.items() if name != "stop_loss"} | {"stoploss": 0.1})

    @pytest.mark.parametrize("raw", [[], 3, "both", None])
    def test_anything_but_an_object_is_refused(self, raw: Any) -> None:
        with pytest.raises(BadConfig, match="must be an object"):
            Params.parse(raw)

    def test_no_configurations_are_no_rows(self) -> None:
        assert combos_of([]).shape == (0, len(COLUMNS))


class TestSpace:
    @pytest.mark.parametrize("mode", MODES)
    def test_the_default_spaces_are_those_of_the_table(self, mode: str) -> None:
        leverage, direction, stop, take, trail, drawdown = {
            "conservative": (1, "long", (100, 500), (200, 1500), (100, 500), 0.30),
            "balanced": (2, "both", (100, 600), (200, 2000), (100, 600), 0.45),
            "aggressive": (3, "both", (100, 800), (200, 2500), (100, 800), 0.60),
        }[mode]
        space = space_for(mode)
        assert (space.leverage, space.direction, space.max_drawdown) == (leverage, direction, drawdown)
        assert (space.stop_loss, space.take_profit, space.trailing_stop) == (stop, take, trail)
        assert (space.fast_tf, space.fast_period) == ((15, 30, 45, 60), (5, 50))
        assert (space.slow_tf, space.slow_period) == ((60, 120, 240, 360), (20, 200))

    def test_it_lists_184_fast_and_724_slow_series(self) -> None:
        fast, slow = space_for("balanced").series()
        assert (len(fast), len(set(fast)), len(slow), len(set(slow))) == (184, 184, 724, 724)

    def test_an_override_replaces_one_thing_and_changes_the_hash(self) -> None:
        changed = space_for("balanced", {"stop_loss": (200, 300)})
        assert changed.stop_loss == (200, 300)
        assert changed.take_profit == DEFAULTS["balanced"].take_profit
        assert changed.sha256 != space_for("balanced").sha256
        assert space_for("balanced", {}).sha256 == space_for("balanced").sha256

    @pytest.mark.parametrize(
        ("override", "named"),
        [
            ({"stop_loss": (300, 200)}, "stop_loss"),
            ({"stop_loss": (0, 200)}, "stop_loss"),
            ({"fast_period": (0, 5)}, "fast_period"),
            ({"leverage": 0}, "leverage"),
            ({"fast_tf": ()}, "fast_tf"),
            ({"direction": "up"}, "direction"),
            ({"stop": (1, 2)}, "stop"),
            ({"max_drawdown": 2}, "max_drawdown"),
            ({"fast_tf": (10_000,), "slow_tf": (15,)}, "faster"),
            ({"take_profit": (200, 10_000)}, "take_profit"),  # 100 %: no configuration may have it
            ({"trailing_stop": (100, 20_000)}, "trailing_stop"),
            ({"slow_period": (20, 10_001)}, "slow_period"),
            ({"slow_period": (20, 2**40)}, "slow_period"),
            ({"slow_tf": (60, 20_160)}, "slow_tf"),
            ({"fast_tf": (0, 15)}, "fast_tf"),
            ({"fast_tf": (15, 15)}, "fast_tf"),
            ({"mode": "aggressive"}, "mode"),
        ],
    )
    def test_an_override_that_makes_no_space_is_refused(self, override: dict[str, Any], named: str) -> None:
        with pytest.raises(BadConfig, match=named):
            space_for("balanced", override)

    def test_the_widest_space_holds_only_what_can_be_written_and_read_again(self) -> None:
        exits = dict.fromkeys(("stop_loss", "take_profit", "trailing_stop"), (1, 9_999))
        periods = dict.fromkeys(("fast_period", "slow_period"), (1, 10_000))
        widest = space_for("balanced", {**exits, **periods, "fast_tf": (1, 10_080), "slow_tf": (1, 10_080)})
        for row in draw(widest, 0, 0, 200):
            assert (Params.parse(Params.from_row(row).as_dict()).to_row() == row).all()

    def test_an_unknown_mode_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(BadConfig, match="unknown mode 'wild'"):
            space_for("wild")


class TestDraw:
    @pytest.mark.parametrize("mode", MODES)
    def test_every_combo_lies_in_the_space_and_has_the_faster_fast_average(self, mode: str) -> None:
        space = space_for(mode)
        combos = draw(space, 7, 0, 20_000)
        assert combos.dtype == np.int32
        assert faster(combos).all()
        assert (
            combos[:, api.FAST_TF] * combos[:, api.FAST_PERIOD] < combos[:, api.SLOW_TF] * combos[:, api.SLOW_PERIOD]
        ).all()
        assert set(np.unique(combos[:, api.FAST_TF])) == set(space.fast_tf)
        assert set(np.unique(combos[:, api.SLOW_TF])) == set(space.slow_tf)
        for column in (api.FAST_PERIOD, api.SLOW_PERIOD, api.STOP_LOSS, api.TAKE_PROFIT):
            assert (combos[:, column].min(), combos[:, column].max()) == getattr(space, COLUMNS[column])
        trail = combos[:, api.TRAILING_STOP]
        assert (trail[trail > 0].min(), trail.max()) == space.trailing_stop
        assert set(np.unique(combos[:, api.DIRECTION])) == {api.DIRECTIONS[space.direction]}

    def test_every_parameter_is_uniform_over_the_points_that_are_allowed(self) -> None:
        space = space_for(
            "aggressive", {"stop_loss": (100, 120), "take_profit": (200, 210), "trailing_stop": (100, 109)}
        )
        combos = draw(space, 11, 0, 60_000)
        for column in (api.STOP_LOSS, api.TAKE_PROFIT):
            counts = np.unique(combos[:, column], return_counts=True)[1]
            assert stats.chisquare(counts).pvalue > 1e-4
        on = combos[combos[:, api.TRAILING_STOP] > 0, api.TRAILING_STOP]
        assert stats.chisquare(np.unique(on, return_counts=True)[1]).pvalue > 1e-4
        assert stats.binomtest(len(on), len(combos)).pvalue > 1e-4  # off in half of them
        # a fast and a slow timeframe meet as often as they have allowed pairs of periods between them
        periods = np.arange(5, 51)[:, None], np.arange(20, 201)[None, :]
        allowed = {(f, s): int((f * periods[0] < s * periods[1]).sum()) for f in space.fast_tf for s in space.slow_tf}
        found = [int(((combos[:, api.FAST_TF] == f) & (combos[:, api.SLOW_TF] == s)).sum()) for f, s in allowed]
        share = np.array(list(allowed.values())) / sum(allowed.values())
        assert stats.chisquare(found, share * len(combos)).pvalue > 1e-4

    def test_parameters_are_independent_of_one_another(self) -> None:
        combos = draw(space_for("balanced"), 3, 0, 60_000)
        columns = combos[:, [api.STOP_LOSS, api.TAKE_PROFIT, api.SLOW_PERIOD, api.FAST_PERIOD]].astype(np.float64)
        away_from_the_constraint = combos[:, api.SLOW_TF] >= 240
        correlation = np.corrcoef(columns[away_from_the_constraint], rowvar=False) - np.eye(4)
        assert np.abs(correlation).max() < 0.03

    @settings(max_examples=30, deadline=None)
    @given(cuts=st.lists(st.integers(0, 2 * BLOCK + 500), min_size=2, max_size=4))
    def test_the_stream_does_not_depend_on_how_it_is_cut(self, cuts: list[int]) -> None:
        whole = stream()
        start, *rest = sorted(cuts)
        parts = [draw(space_for("balanced"), 5, a, b) for a, b in zip([start, *rest], rest, strict=False)]
        assert np.concatenate(parts).tobytes() == whole[start : rest[-1]].tobytes()

    def test_combos_can_be_picked_by_number(self) -> None:
        numbers = np.array([2 * BLOCK + 3, 0, BLOCK, BLOCK - 1, 17, 17], dtype=np.int64)
        assert pick(space_for("balanced"), 5, numbers).tobytes() == stream()[numbers].tobytes()
        assert pick(space_for("balanced"), 5, np.empty(0, dtype=np.int64)).shape == (0, len(COLUMNS))

    def test_no_combos_are_none(self) -> None:
        for number in (0, 5, BLOCK):
            assert draw(space_for("balanced"), 5, number, number).shape == (0, len(COLUMNS))

    def test_another_seed_or_another_block_is_another_stream(self) -> None:
        space = space_for("balanced")
        one, other = draw(space, 5, 0, 1000), draw(space, 6, 0, 1000)
        assert (one == other).all(axis=1).sum() == 0
        assert (draw(space, 5, BLOCK, BLOCK + 1000) == one).all(axis=1).sum() == 0
        assert (draw(space, 6, 0, 1000) == other).all()


_STREAM: list[Combos] = []


def stream() -> Combos:
    """The first combos of one stream, drawn in one go once."""
    if not _STREAM:
        _STREAM.append(draw(space_for("balanced"), 5, 0, 2 * BLOCK + 500))
    return _STREAM[0]


class TestNeighbours:
    POINT = Params(15, 10, 120, 100, 0.02, 0.1, 0.03, "both").to_row()

    def test_without_an_offset_there_is_the_point_itself(self) -> None:
        around = neighbours(space_for("aggressive"), self.POINT, np.zeros((3, 5)))
        assert (around == self.POINT).all()

    def test_the_ends_of_the_reach_written_out(self) -> None:
        offsets = np.array([[1.0] * 5, [-1.0] * 5])
        up, down = neighbours(space_for("aggressive"), self.POINT, offsets)
        # 10 +- max(1, 1), 100 +- 10, 200 +- 20, 1000 +- 100, 300 +- 30
        assert up.tolist() == [15, 11, 120, 110, 220, 1100, 330, 0]
        assert down.tolist() == [15, 9, 120, 90, 180, 900, 270, 0]

    def test_a_short_period_still_moves_by_one(self) -> None:
        short = Params(15, 6, 120, 100, 0.02, 0.1, 0.03, "both").to_row()
        moved = neighbours(space_for("aggressive"), short, np.array([[1.0, 0, 0, 0, 0], [0.4, 0, 0, 0, 0]]))
        assert moved[:, api.FAST_PERIOD].tolist() == [7, 6]

    def test_a_trailing_stop_that_is_off_stays_off(self) -> None:
        off = Params(15, 10, 120, 100, 0.02, 0.1, 0.0, "both").to_row()
        assert (neighbours(space_for("aggressive"), off, np.ones((2, 5)))[:, api.TRAILING_STOP] == 0).all()

    @settings(max_examples=150, deadline=None)
    @given(number=st.integers(0, 5000), seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(MODES))
    def test_every_neighbour_lies_in_the_space_and_within_reach(self, number: int, seed: int, mode: str) -> None:
        space = space_for(mode)
        (point,) = pick(space, 1, np.array([number]))
        around = neighbours(space, point, np.random.default_rng(seed).uniform(-1, 1, (64, 5)))
        assert around.dtype == np.int32
        for column in NEIGHBOUR_COLUMNS:
            low, high = getattr(space, COLUMNS[column])
            values, x = around[:, column], float(point[column])
            if x == 0:
                assert (values == 0).all()
                continue
            assert ((values >= low) & (values <= high)).all()
            reach = max(1.0, 0.1 * x) if column in (api.FAST_PERIOD, api.SLOW_PERIOD) else 0.1 * x
            assert (np.abs(values - x) <= reach + 0.5).all()
        fixed = [api.FAST_TF, api.SLOW_TF, api.DIRECTION]
        assert (around[:, fixed] == point[fixed]).all()


@pytest.mark.parametrize(
    ("fast", "slow", "expected"), [((15, 20), (60, 5), False), ((15, 20), (60, 6), True), ((60, 50), (60, 50), False)]
)
def test_faster_compares_how_long_each_average_looks_back(
    fast: tuple[int, int], slow: tuple[int, int], expected: bool
) -> None:
    row = Params(*fast, *slow, 0.02, 0.1, 0.0, "both").to_row()
    assert faster(row[None, :]).tolist() == [expected]


def test_faster_does_not_overflow_on_the_largest_values_a_person_may_write() -> None:
    row = Params(
        api.MAX_TF_MINUTES, api.MAX_PERIOD, api.MAX_TF_MINUTES, api.MAX_PERIOD, 0.02, 0.1, 0.0, "both"
    ).to_row()
    assert not faster(row[None, :])[0]


def test_a_space_cannot_be_changed_after_it_is_made() -> None:
    with pytest.raises(Exception, match="frozen"):
        Space.__setattr__(space_for("balanced"), "leverage", 10)


def test_a_space_is_a_model_with_no_other_fields() -> None:
    assert isinstance(space_for("balanced"), Space)
