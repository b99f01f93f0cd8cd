"""When a cross happens, when it acts and what each direction makes of it; every market is worked by hand."""

import pytest

from btswarm.engine.strategies.api import Direction, Params

from .markets import FREE, TURN_DOWN, TURN_UP, Candle, Simulate, Trade, assert_trades, market, params

# slow averages: 100, 99.33, 100.44, 101.48, 97.16, 96.39, 96.80; sides: -, -1, +1, +1, -1, -1, +1
ROUND: list[Candle] = [*TURN_UP, 102, 95, 96, 97]
LONG = Trade(3, 5, 1, 102, 96, -6 / 102, "signal", True)
SHORT = Trade(5, 6, -1, 96, 97, -1 / 96, "end", False)


@pytest.mark.parametrize(("direction", "expected"), [("both", [LONG, SHORT]), ("long", [LONG]), ("short", [SHORT])])
def test_a_cross_acts_at_the_next_open_and_the_direction_says_what_is_held(
    simulate: Simulate, direction: Direction, expected: list[Trade]
) -> None:
    assert_trades(simulate(market(ROUND), params(direction=direction), FREE, 1.0), *expected)


def test_short_only_is_flat_after_a_cross_upwards(simulate: Simulate) -> None:
    bars = market([*TURN_DOWN, 98, 105, 104, 103])
    assert_trades(
        simulate(bars, params(direction="short"), FREE, 1.0), Trade(3, 5, -1, 98, 104, -6 / 98, "signal", True)
    )


def test_a_cross_on_the_last_bar_does_nothing(simulate: Simulate) -> None:
    assert_trades(simulate(market(TURN_UP), params(), FREE, 1.0))


def test_a_cross_on_the_last_bar_but_one_is_entered_and_closed_on_the_last_bar(simulate: Simulate) -> None:
    bars = market([*TURN_UP, (100, 104, 100, 103)])
    backtest = simulate(bars, params(), FREE, 1.0)
    assert_trades(backtest, Trade(3, 3, 1, 100, 103, 0.03, "end", False))
    assert backtest.held_bars().tolist() == [1]


def test_the_first_side_is_no_cross(simulate: Simulate) -> None:
    assert_trades(simulate(market([100, 101, 102, 103, 104]), params(), FREE, 1.0))
    assert_trades(simulate(market([100, 99, 98, 97]), params(), FREE, 1.0))


def test_a_tie_keeps_the_side_and_the_same_side_after_it_is_no_second_cross(simulate: Simulate) -> None:
    # the close against the close of the newest 10-minute window: 99 from bar 1, 101 from bar 3, 103 from bar 7, ...
    candles: list[Candle] = [100, 99, 98, 101, 101, 101, 102, 103, 104, 100, 100]
    # sides: none, tie, -1, tie, tie, tie, +1 (the cross), tie, +1, tie, tie
    backtest = simulate(market(candles), Params(5, 1, 10, 1, 0.0, 0.0, 0.0, "both"), FREE, 1.0)
    assert_trades(backtest, Trade(7, 10, 1, 103, 100, -3 / 103, "end", False))


def test_a_tie_before_any_side_gives_no_side(simulate: Simulate) -> None:
    # equal averages until bar 3; the first real side is +1 and is no cross, the second is -1 and is one
    candles: list[Candle] = [100, 100, 100, 101, 98, 97, 97]
    assert_trades(simulate(market(candles), params(), FREE, 1.0), Trade(5, 6, -1, 97, 97, 0.0, "end", False))


def test_a_cross_acts_at_the_next_bar_that_exists(simulate: Simulate) -> None:
    bars = market([*TURN_UP, 102, 103], slots=[0, 1, 2, 40, 41])
    assert_trades(simulate(bars, params(), FREE, 1.0), Trade(3, 4, 1, 102, 103, 1 / 102, "end", False))


def test_nothing_is_a_cross_before_both_series_have_seen_their_period(simulate: Simulate) -> None:
    # with a slow period of 4 the first side stands at bar 3 (+1); what the closes did before does not matter
    slow4 = Params(5, 1, 5, 4, 0.0, 0.0, 0.0, "both")
    assert_trades(simulate(market([*TURN_UP, 102, 103, 104]), slow4, FREE, 1.0))
    # averages 100, 99.6, 100.16, 100.90, 99.74: -1 at bar 4 is the first cross, the short opens at bar 5
    assert_trades(
        simulate(market([*TURN_UP, 102, 98, 97, 96]), slow4, FREE, 1.0),
        Trade(5, 6, -1, 97, 96, 1 / 97, "end", False),
    )


def test_a_series_is_valid_from_the_window_on_that_completes_its_period(simulate: Simulate) -> None:
    # averages 100, 100.4, 99.84, 101.5: the side would be -1 at bar 2, where four windows have not been seen yet
    slow4 = Params(5, 1, 5, 4, 0.0, 0.0, 0.0, "both")
    assert_trades(simulate(market([100, 101, 99, 104, 105, 106]), slow4, FREE, 1.0))
    # averages 100, 99.6, 100.16, 98.5, 99.9: -1 at bar 3 is the first side, so the cross of bar 4 is one
    assert_trades(
        simulate(market([100, 99, 101, 96, 102, 102, 103]), slow4, FREE, 1.0),
        Trade(5, 6, 1, 102, 103, 1 / 102, "end", False),
    )


def test_a_series_longer_than_the_data_never_trades(simulate: Simulate) -> None:
    backtest = simulate(market(ROUND), Params(5, 1, 5, 100, 0.0, 0.0, 0.0, "both"), FREE, 1.0)
    assert_trades(backtest)
    assert backtest.equity.tolist() == [1.0]


def test_after_a_stop_the_position_stays_flat_until_the_next_cross(simulate: Simulate) -> None:
    # long at bar 3, stopped at bar 4 though the side stays up; the short of bar 8 is the next trade
    candles: list[Candle] = [*TURN_UP, 102, (103, 103, 90, 104), 105, 106, 95, 94, 93]
    backtest = simulate(market(candles), params(stop=0.05), FREE, 1.0)
    assert_trades(
        backtest,
        Trade(3, 4, 1, 102, 96.9, -0.05, "stop", False),
        Trade(8, 9, -1, 94, 93, 1 / 94, "end", False),
    )


def test_a_higher_timeframe_decides_only_when_its_window_is_closed(simulate: Simulate) -> None:
    # 15-minute windows over 5-minute bars: closes 100 (bar 2), 99 (bar 5), 101 (bar 8): the cross is at bar 8.
    # The closes of the bars within the windows are wild and must not matter.
    candles: list[Candle] = [50, 300, 100, 300, 50, 99, 50, 300, 101, 103, 50, 104]
    assert_trades(simulate(market(candles), params(tf=15), FREE, 1.0), Trade(9, 11, 1, 103, 104, 1 / 103, "end", False))


def test_a_window_whose_last_bar_is_missing_decides_at_the_next_bar_with_the_last_close_it_had(
    simulate: Simulate,
) -> None:
    # as above, but slot 8 is missing: the window 6-8 ends with 101 of slot 7 and is known at the close of slot 9
    candles: list[Candle] = [50, 300, 100, 300, 50, 99, 50, 101, 77, 103, 104]
    bars = market(candles, slots=[0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11])
    assert_trades(simulate(bars, params(tf=15), FREE, 1.0), Trade(9, 10, 1, 103, 104, 1 / 103, "end", False))


def test_a_window_the_data_begins_in_the_middle_of_does_not_count(simulate: Simulate) -> None:
    # from 00:05 on: the first 15-minute window, closing at 150, is dropped; else the cross would come a window earlier
    candles: list[Candle] = [50, 150, 1, 1, 100, 1, 1, 99, 1, 1, 101, 103, 104]
    bars = market(candles, start="2024-01-01T00:05")
    assert_trades(simulate(bars, params(tf=15), FREE, 1.0), Trade(11, 12, 1, 103, 104, 1 / 103, "end", False))


def test_a_cross_and_its_undoing_known_at_the_same_bar_are_no_cross(simulate: Simulate) -> None:
    # 15-minute windows 100, 99, [101 without its last bar], [98, its last bar alone]: the last two are known together
    candles: list[Candle] = [1, 1, 100, 1, 1, 99, 1, 101, 98, 97, 96]
    bars = market(candles, slots=[0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13])
    assert_trades(simulate(bars, params(tf=15), FREE, 1.0))


class TestTradeFrom:
    """Trading and marks begin at a bar, flat; the series have seen everything before it."""

    def test_a_position_that_would_be_open_is_not_taken_over(self, simulate: Simulate) -> None:
        backtest = simulate(market(ROUND), params(), FREE, 1.0, trade_from=4)
        assert_trades(backtest, SHORT)
        assert backtest.bars == 3
        assert backtest.equity.tolist() == [1.0 * (1.0 + -1.0 * (97 / 96 - 1.0))]

    def test_a_cross_decided_before_it_acts_if_its_open_is_inside(self, simulate: Simulate) -> None:
        assert_trades(simulate(market(ROUND), params(), FREE, 1.0, trade_from=3), LONG, SHORT)

    def test_series_go_on_from_the_earlier_bars(self, simulate: Simulate) -> None:
        # on the cut data alone the slow average would begin at 102 and the short would open a bar later or never
        cut = market(ROUND[4:], start="2024-01-01T00:20")
        assert_trades(simulate(cut, params(), FREE, 1.0))
        assert_trades(simulate(market(ROUND), params(), FREE, 1.0, trade_from=5), SHORT)

    def test_days_before_it_are_not_marked(self, simulate: Simulate) -> None:
        hours: list[Candle] = [*[100.0] * 30, 99.0, 101.0, 102.0, 102.0]
        backtest = simulate(market(hours, minutes=60), params(tf=60), FREE, 1.0, trade_from=25)
        assert backtest.day.tolist() == [19724]  # 2024-01-02
        assert backtest.bars == 9
        assert len(simulate(market(hours, minutes=60), params(tf=60), FREE, 1.0).day) == 2

    def test_beyond_the_data_there_is_nothing(self, simulate: Simulate) -> None:
        backtest = simulate(market(ROUND), params(), FREE, 1.0, trade_from=len(ROUND))
        assert_trades(backtest)
        assert (len(backtest.day), backtest.bars, backtest.max_drawdown) == (0, 0, 0.0)
