"""Which exit is taken, on which bar, at which price; every market is worked by hand, without costs.

A long of these markets is entered at the open of bar 3, at 100 unless said otherwise.
"""

import pytest

from .markets import FREE, TURN_DOWN, TURN_UP, Candle, Simulate, Trade, assert_trades, market, params, trades_of

HOLD: Candle = (100, 101, 100, 101)  # the entry bar of a long: nothing happens on it
HOLD_SHORT: Candle = (100, 100, 99, 99)


def test_an_open_through_the_stop_is_filled_at_the_open(simulate: Simulate) -> None:
    bars = market([*TURN_UP, HOLD, (93, 94, 92, 93), 93])
    assert_trades(
        simulate(bars, params(stop=0.05, direction="long"), FREE, 1.0), Trade(3, 4, 1, 100, 93, -0.07, "stop", True)
    )


def test_an_open_exactly_at_the_stop_is_an_exit_at_the_open(simulate: Simulate) -> None:
    bars = market([*TURN_UP, HOLD, (95, 96, 95, 95), 95])
    assert_trades(
        simulate(bars, params(stop=0.05, direction="long"), FREE, 1.0), Trade(3, 4, 1, 100, 95, -0.05, "stop", True)
    )


def test_a_low_at_the_stop_is_filled_at_the_stop_and_one_above_it_is_not(simulate: Simulate) -> None:
    bars = market([*TURN_UP, HOLD, (101, 101, 95.01, 101), (101, 101, 95, 101), 101])
    assert_trades(simulate(bars, params(stop=0.05), FREE, 1.0), Trade(3, 5, 1, 100, 95, -0.05, "stop", False))


def test_an_open_through_the_take_is_filled_at_the_better_open(simulate: Simulate) -> None:
    bars = market([*TURN_UP, HOLD, (112, 113, 111, 112), 112])
    assert_trades(simulate(bars, params(take=0.1), FREE, 1.0), Trade(3, 4, 1, 100, 112, 0.12, "take", True))


def test_a_high_at_the_take_is_filled_at_the_take_and_one_below_it_is_not(simulate: Simulate) -> None:
    take = 100 * 1.1  # 110.00000000000001: the level is what the arithmetic says it is
    bars = market([*TURN_UP, HOLD, (101, 110, 101, 102), (102, take, 102, 103), 103])
    assert_trades(simulate(bars, params(take=0.1), FREE, 1.0), Trade(3, 5, 1, 100, 110, 0.1, "take", False))


def test_stop_and_take_inside_one_bar_is_the_stop(simulate: Simulate) -> None:
    bars = market([*TURN_UP, HOLD, (101, 120, 90, 110), 110])
    assert_trades(simulate(bars, params(stop=0.05, take=0.1), FREE, 1.0), Trade(3, 4, 1, 100, 95, -0.05, "stop", False))


def test_an_open_through_the_take_comes_before_a_low_through_the_stop(simulate: Simulate) -> None:
    bars = market([*TURN_UP, HOLD, (112, 112, 90, 110), 110])
    assert_trades(simulate(bars, params(stop=0.05, take=0.1), FREE, 1.0), Trade(3, 4, 1, 100, 112, 0.12, "take", True))


def test_the_entry_bar_can_be_stopped_and_can_take(simulate: Simulate) -> None:
    stopped = simulate(market([*TURN_UP, (100, 101, 94, 101), 101]), params(stop=0.05), FREE, 1.0)
    assert_trades(stopped, Trade(3, 3, 1, 100, 95, -0.05, "stop", False))
    assert stopped.held_bars().tolist() == [1]
    taken = simulate(market([*TURN_UP, (100, 110.5, 100, 101), 101]), params(take=0.1), FREE, 1.0)
    assert_trades(taken, Trade(3, 3, 1, 100, 110, 0.1, "take", False))
    both = simulate(market([*TURN_UP, (100, 110.5, 94, 101), 101]), params(stop=0.05, take=0.1), FREE, 1.0)
    assert_trades(both, Trade(3, 3, 1, 100, 95, -0.05, "stop", False))


def test_a_short_mirrors_stop_and_take(simulate: Simulate) -> None:
    exits = params(stop=0.05, take=0.1, direction="short")

    def short(*candles: Candle) -> list[Trade]:
        return trades_of(simulate(market([*TURN_DOWN, HOLD_SHORT, *candles, 99]), exits, FREE, 1.0))

    assert short((99, 105, 99, 99)) == [pytest.approx(Trade(3, 4, -1, 100, 105, -0.05, "stop", False))]
    assert short((106, 106, 99, 99)) == [pytest.approx(Trade(3, 4, -1, 100, 106, -0.06, "stop", True))]
    assert short((99, 99, 90, 99)) == [pytest.approx(Trade(3, 4, -1, 100, 90, 0.1, "take", False))]
    assert short((88, 99, 88, 99)) == [pytest.approx(Trade(3, 4, -1, 100, 88, 0.12, "take", True))]
    assert short((99, 105, 89, 99)) == [pytest.approx(Trade(3, 4, -1, 100, 105, -0.05, "stop", False))]
    assert short((99, 104.99, 90.01, 99)) == [pytest.approx(Trade(3, 5, -1, 100, 99, 0.01, "end", False))]


def test_a_signal_at_the_open_comes_before_a_stop_through_the_same_open(simulate: Simulate) -> None:
    # bar 4 closes at 96 and turns the side down; bar 5 opens at 90, through the stop at 95
    bars = market([*TURN_UP, HOLD, (101, 101, 96, 96), 90])
    assert_trades(
        simulate(bars, params(stop=0.05, direction="long"), FREE, 1.0), Trade(3, 5, 1, 100, 90, -0.1, "signal", True)
    )


def test_a_reversal_at_the_open_can_be_stopped_on_the_same_bar(simulate: Simulate) -> None:
    # bar 4 turns the side down; at bar 5 the long is left at 90 and the short of 90 stopped at 94.5
    bars = market([*TURN_UP, HOLD, (101, 101, 96, 96), (90, 95, 90, 91), 91])
    assert_trades(
        simulate(bars, params(stop=0.05), FREE, 1.0),
        Trade(3, 5, 1, 100, 90, -0.1, "signal", True),
        Trade(5, 5, -1, 90, 94.5, -0.05, "stop", False),
    )


def test_a_cross_while_flat_opens_a_position_after_a_stop_on_the_bar_before(simulate: Simulate) -> None:
    # the stop of bar 4 and the cross of bar 4 fall together: the long is out, the short opens at bar 5
    bars = market([*TURN_UP, HOLD, (101, 101, 94, 96), (97, 97, 96, 96), 96])
    assert_trades(
        simulate(bars, params(stop=0.05), FREE, 1.0),
        Trade(3, 4, 1, 100, 95, -0.05, "stop", False),
        Trade(5, 6, -1, 97, 96, 1 / 97, "end", False),
    )


def test_the_last_bar_is_still_subject_to_stop_and_take_before_the_end(simulate: Simulate) -> None:
    stopped = simulate(market([*TURN_UP, HOLD, (101, 101, 90, 101)]), params(stop=0.05), FREE, 1.0)
    assert_trades(stopped, Trade(3, 4, 1, 100, 95, -0.05, "stop", False))
    ended = simulate(market([*TURN_UP, HOLD, (101, 101, 96, 98)]), params(stop=0.05), FREE, 1.0)
    assert_trades(ended, Trade(3, 4, 1, 100, 98, -0.02, "end", False))


class TestTrailing:
    def test_the_peak_counts_the_entry_bars_high(self, simulate: Simulate) -> None:
        # stop 95 on the entry bar, 104.5 = 110 * 0.95 from bar 4 on: 104.51 misses it, 104.5 is at it
        bars = market([*TURN_UP, (100, 110, 100, 108), (108, 109, 104.51, 108), (108, 108, 104.5, 108), 108])
        assert_trades(simulate(bars, params(trail=0.05), FREE, 1.0), Trade(3, 5, 1, 100, 104.5, 0.045, "stop", False))

    def test_a_bars_own_high_does_not_raise_its_own_stop(self, simulate: Simulate) -> None:
        # bar 4 reaches 120 and comes back to 96: its stop is still 95. Bar 5 opens at 113, below 120 * 0.95 = 114
        bars = market([*TURN_UP, (100, 100, 100, 101), (101, 120, 96, 115), (113, 113, 113, 113), 113])
        assert_trades(simulate(bars, params(trail=0.05), FREE, 1.0), Trade(3, 5, 1, 100, 113, 0.13, "stop", True))

    def test_the_stop_never_falls_back(self, simulate: Simulate) -> None:
        bars = market([*TURN_UP, (100, 120, 100, 118), (118, 118, 115, 116), (116, 116, 113.9, 116), 116])
        assert_trades(simulate(bars, params(trail=0.05), FREE, 1.0), Trade(3, 5, 1, 100, 114, 0.14, "stop", False))

    def test_before_it_has_risen_above_the_fixed_stop_the_fixed_stop_counts(self, simulate: Simulate) -> None:
        # trailing 90 at the entry, fixed 95: bar 4 is stopped at 95
        exits = params(stop=0.05, trail=0.1)
        assert_trades(
            simulate(market([*TURN_UP, HOLD, (101, 101, 94, 101), 101]), exits, FREE, 1.0),
            Trade(3, 4, 1, 100, 95, -0.05, "stop", False),
        )
        # after a high of 110 the trailing stop is 99 and counts
        assert_trades(
            simulate(market([*TURN_UP, (100, 110, 100, 105), (105, 105, 98, 104), 104]), exits, FREE, 1.0),
            Trade(3, 4, 1, 100, 99, -0.01, "stop", False),
        )

    def test_one_tighter_than_the_fixed_stop_makes_that_idle(self, simulate: Simulate) -> None:
        bars = market([*TURN_UP, (100, 101, 98, 101), 101])
        assert_trades(
            simulate(bars, params(stop=0.05, trail=0.02), FREE, 1.0),
            Trade(3, 3, 1, 100, 98, -0.02, "stop", False),
        )
        assert trades_of(simulate(bars, params(stop=0.05, trail=0.02), FREE, 1.0)) == trades_of(
            simulate(bars, params(trail=0.02), FREE, 1.0)
        )

    def test_a_short_follows_the_lowest_low(self, simulate: Simulate) -> None:
        # trough 90 of the entry bar: stop 94.5; bar 4 reaches 80 and 94.4 in one bar; bar 5 opens above 80 * 1.05 = 84
        bars = market([*TURN_DOWN, (100, 100, 90, 92), (92, 94.4, 80, 85), (85, 85, 85, 85), 85])
        assert_trades(
            simulate(bars, params(trail=0.05, direction="short"), FREE, 1.0),
            Trade(3, 5, -1, 100, 85, 0.15, "stop", True),
        )
        fixed_too = params(stop=0.02, trail=0.05, direction="short")  # 102 fixed, 105 trailing: the lower one counts
        bars = market([*TURN_DOWN, HOLD_SHORT, (99, 102.5, 99, 99), 99])
        assert_trades(simulate(bars, fixed_too, FREE, 1.0), Trade(3, 4, -1, 100, 102, -0.02, "stop", False))

    def test_the_peak_begins_anew_with_every_position(self, simulate: Simulate) -> None:
        # the first long peaks at 200; the second one, of bar 11, must not be stopped by that
        candles: list[Candle] = [*TURN_UP, (100, 200, 100, 190), 189, 180, 90, 90, 90, 90, 92, 92, 92]
        backtest = simulate(market(candles), params(trail=0.05, direction="long"), FREE, 1.0)
        assert_trades(
            backtest,
            Trade(3, 4, 1, 100, 189, 0.89, "stop", True),
            Trade(11, 12, 1, 92, 92, 0.0, "end", False),
        )
