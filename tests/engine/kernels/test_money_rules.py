"""Fills, fees, funding, marks and ruin; every figure is worked by hand."""

import numpy as np
import pytest

from btswarm.engine.costs import Costs
from btswarm.engine.metrics import max_drawdown

from .markets import (
    FREE,
    TURN_DOWN,
    TURN_UP,
    Candle,
    Simulate,
    Trade,
    about,
    assert_trades,
    market,
    params,
    trades_of,
)

DEAR = Costs(fee=0.001, slippage=0.01)
UP_AND_OUT: list[Candle] = [*TURN_UP, (100, 101, 100, 101), (101, 101, 96, 96)]  # the long leaves at the next open
DOWN_AND_OUT: list[Candle] = [*TURN_DOWN, (100, 100, 99, 99), (99, 104, 99, 104)]


def test_a_long_buys_dearer_sells_cheaper_and_pays_the_fee_on_both_notionals(simulate: Simulate) -> None:
    backtest = simulate(market([*UP_AND_OUT, 110]), params(direction="long"), DEAR, 2.0)
    # 2 (108.9 / 101 - 1 - 0.001 (1 + 108.9 / 101)) = 2 (7.9 - 0.2099) / 101
    assert_trades(backtest, Trade(3, 5, 1, 101, 108.9, 15.3802 / 101, "signal", True))
    assert backtest.trades["fees"].tolist() == about([0.4198 / 101])


def test_a_short_sells_cheaper_and_buys_back_dearer(simulate: Simulate) -> None:
    backtest = simulate(market([*DOWN_AND_OUT, 90]), params(direction="short"), DEAR, 2.0)
    # 2 (1 - 90.9 / 99 - 0.001 (1 + 90.9 / 99)) = 2 (8.1 - 0.1899) / 99
    assert_trades(backtest, Trade(3, 5, -1, 99, 90.9, 15.8202 / 99, "signal", True))
    assert backtest.trades["fees"].tolist() == about([2 * 0.1899 / 99])


def test_stops_slip_and_takes_do_not(simulate: Simulate) -> None:
    costs = Costs(fee=0.0, slippage=0.01)
    entry: Candle = (100, 101, 100, 101)  # long of 101; stop 5 %: 95.95; take 10 %: 111.1
    exits = params(stop=0.05, take=0.1, direction="long")

    def price(*candles: Candle) -> float:
        (trade,) = trades_of(simulate(market([*TURN_UP, entry, *candles, 101]), exits, costs, 1.0))
        return trade.exit_price

    assert price((101, 101, 95, 101)) == about(95.95 * 0.99)
    assert price((94, 101, 94, 101)) == about(94 * 0.99)
    assert price((101, 112, 101, 102)) == about(111.1)
    assert price((112, 112, 101, 102)) == about(112)
    assert price((101, 102, 101, 101)) == about(101 * 0.99)  # the end of the data is a market fill


def test_levels_hang_on_the_fill_and_not_on_the_open(simulate: Simulate) -> None:
    # filled at 101, so a low of 95.5 is below the stop at 95.95 although it is above 95 % of the open
    bars = market([*TURN_UP, (100, 101, 95.5, 101), 101])
    (trade,) = trades_of(simulate(bars, params(stop=0.05), Costs(fee=0.0, slippage=0.01), 1.0))
    assert (trade.exit, trade.reason) == (3, "stop")


def test_each_trade_risks_the_equity_that_the_one_before_left(simulate: Simulate) -> None:
    # long 100 -> 90 at twice the equity: 0.8; short 90 -> 81: 0.8 * 1.2 = 0.96
    bars = market([*UP_AND_OUT, (90, 90, 85, 85), 81])
    backtest = simulate(bars, params(), FREE, 2.0)
    assert [t.net_return for t in trades_of(backtest)] == about([-0.2, 0.2])
    assert backtest.equity.tolist() == about([0.96])


def test_fees_are_told_in_units_of_the_initial_equity(simulate: Simulate) -> None:
    costs = Costs(fee=0.01, slippage=0.0)
    backtest = simulate(market([*UP_AND_OUT, (90, 90, 85, 85), 81]), params(), costs, 1.0)
    # long: 0.01 (1 + 0.9) = 0.019, equity 0.881; short: 0.881 * 0.01 (1 + 0.9)
    assert backtest.trades["fees"].tolist() == about([0.019, 0.881 * 0.019])
    assert backtest.equity.tolist() == about([0.881 * (1 + 0.1 - 0.019)])


class TestMarks:
    # 8-hour bars, three a day: entered at the open of day 2, 100
    DAYS: tuple[Candle, ...] = (*TURN_UP, (100, 120, 100, 110), 115, 130, 125, 126, 135, 132)

    def test_a_day_is_marked_at_its_last_close_with_the_entry_fee_already_paid(self, simulate: Simulate) -> None:
        costs = Costs(fee=0.001, slippage=0.0)
        backtest = simulate(market(self.DAYS, minutes=480), params(tf=480, direction="long"), costs, 2.0)
        assert backtest.day.tolist() == [19723, 19724, 19725, 19726]
        # closes 130, 135, and the exit at 132 by the end of the data
        end = 1 + 2 * (0.32 - 0.001 * 2.32)
        assert backtest.equity.tolist() == about([1.0, 1 + 2 * (0.3 - 0.001), 1 + 2 * (0.35 - 0.001), end])
        assert backtest.daily_returns().tolist() == about([0.0, 0.598, 1.698 / 1.598 - 1, end / 1.698 - 1])

    def test_a_day_without_bars_has_no_mark(self, simulate: Simulate) -> None:
        slots = [0, 1, 2, 3, 4, 5, 12, 13, 14, 15]
        backtest = simulate(market(self.DAYS, minutes=480, slots=slots), params(tf=480, direction="long"), FREE, 1.0)
        assert backtest.day.tolist() == [19723, 19724, 19727, 19728]
        assert backtest.equity.tolist() == about([1.0, 1.3, 1.35, 1.32])

    def test_a_day_that_ends_early_is_marked_at_the_last_bar_it_has(self, simulate: Simulate) -> None:
        slots = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]
        backtest = simulate(market(self.DAYS, minutes=480, slots=slots), params(tf=480, direction="long"), FREE, 1.0)
        assert backtest.equity.tolist() == about([1.0, 1.15, 1.26, 1.32])

    def test_the_drawdown_over_bars_sees_what_the_daily_one_does_not(self, simulate: Simulate) -> None:
        # closes in the trade: 110, 115, 130 | 125, 126, 135 | 132: the largest fall at a close is from 130 to 125, the
        # largest from day to day that from 135 to 132
        backtest = simulate(market(self.DAYS, minutes=480), params(tf=480, direction="long"), FREE, 1.0)
        assert backtest.max_drawdown == about(1 - 1.25 / 1.30)
        assert max_drawdown(backtest.equity) == about(1 - 1.32 / 1.35)

    def test_a_fall_from_the_start_counts(self, simulate: Simulate) -> None:
        backtest = simulate(market([*TURN_UP, 102, 95, 96, 97]), params(direction="long"), FREE, 1.0)
        assert backtest.max_drawdown == about(1 - 95 / 102)

    def test_a_fall_on_the_very_first_bar_counts_from_the_start(self, simulate: Simulate) -> None:
        bars = market([*TURN_UP, (102, 102, 100.8, 101.49), 103])
        backtest = simulate(bars, params(), FREE, 1.0, trade_from=3)
        assert backtest.max_drawdown == about(1 - 101.49 / 102)


class TestFunding:
    """4-hour bars from 04:00: a long of bar 3 (16:00) at 102, held flat; half a day from one charge to the next."""

    RATE = Costs(fee=0.0, slippage=0.0, funding=0.001)
    FLAT: tuple[Candle, ...] = (*TURN_UP, 102, 102, 102, 102, 102, 102)

    def net(self, simulate: Simulate, *, slots: list[int] | None = None, side: int = 1, length: int = 9) -> float:
        candles: list[Candle] = [*TURN_DOWN, 98, 98, 98, 98, 98, 98] if side < 0 else list(self.FLAT)
        bars = market(candles[:length], start="2024-01-01T04:00", minutes=240, slots=slots)
        (trade,) = trades_of(simulate(bars, params(tf=240), self.RATE, 2.0))
        return trade.net_return

    def test_the_entry_bar_pays_nothing_and_every_eight_hours_after_it_do(self, simulate: Simulate) -> None:
        # bars 3.. at 16, 20, 00, 04, 08, 12: charges at 00 and 08, each 2 * 0.001
        assert self.net(simulate) == about(-0.004)
        assert self.net(simulate, length=4) == about(0.0)
        assert self.net(simulate, length=6) == about(-0.002)

    def test_a_short_receives_it(self, simulate: Simulate) -> None:
        assert self.net(simulate, side=-1) == about(0.004)

    def test_a_charge_whose_bar_is_missing_falls_on_the_next_bar(self, simulate: Simulate) -> None:
        # without the bar of 00:00 (slot 5), which 04:00 then pays for
        assert self.net(simulate, slots=[0, 1, 2, 3, 4, 6], length=6) == about(-0.002)

    def test_charges_of_a_long_gap_fall_on_the_next_bar_all_of_them(self, simulate: Simulate) -> None:
        # from 20:00 to 20:00 of the next day: 00, 08 and 16 are missing
        assert self.net(simulate, slots=[0, 1, 2, 3, 4, 10], length=6) == about(-0.006)

    def test_a_position_opened_after_the_missing_bar_does_not_pay_for_it(self, simulate: Simulate) -> None:
        # the entry bar itself is the first after a gap over 16:00
        assert self.net(simulate, slots=[0, 1, 2, 4], length=4) == about(0.0)

    def test_one_closed_at_that_open_does_not_pay(self, simulate: Simulate) -> None:
        # the side turns at the bar before midnight and the long is left at the open of 00:00
        candles: list[Candle] = [*TURN_UP, 102, 95, 96]
        bars = market(candles, start="2024-01-01T04:00", minutes=240)
        trade = trades_of(simulate(bars, params(tf=240, direction="long"), self.RATE, 2.0))[0]
        assert (trade.exit, trade.at_open) == (5, True)
        assert trade.net_return == about(2 * (96 / 102 - 1))

    def test_one_stopped_inside_that_bar_has_paid(self, simulate: Simulate) -> None:
        candles: list[Candle] = [*TURN_UP, 102, 102, (102, 102, 90, 102), 102]
        bars = market(candles, start="2024-01-01T04:00", minutes=240)
        (trade,) = trades_of(simulate(bars, params(tf=240, stop=0.05), self.RATE, 2.0))
        assert (trade.exit, trade.reason) == (5, "stop")
        assert trade.net_return == about(-0.1 - 0.002)

    def test_marks_carry_what_has_been_paid(self, simulate: Simulate) -> None:
        bars = market(self.FLAT, start="2024-01-01T04:00", minutes=240)
        backtest = simulate(bars, params(tf=240), self.RATE, 2.0)
        assert backtest.equity.tolist() == about([1.0, 0.996])  # the charge of 00:00 belongs to the new day

    def test_bars_that_never_open_on_the_hour_pay_at_the_first_after_it(self, simulate: Simulate) -> None:
        # 3-hour bars: 00:00 is one, 08:00 lies inside the bar of 06:00 and is paid by that of 09:00, 16:00 by 18:00
        bars = market([*TURN_UP, 102, 102, 102, 102, 102, 102], start="2024-01-01", minutes=180)
        (trade,) = trades_of(simulate(bars, params(tf=180), self.RATE, 1.0))
        # entered at 09:00 itself: pays at 18:00 and at 00:00, the last bar
        assert (trade.entry, trade.exit) == (3, 8)
        assert trade.net_return == about(-0.002)

    def test_funding_is_paid_on_the_equity_at_entry(self, simulate: Simulate) -> None:
        # the first trade halves the equity, the second pays on what is left
        candles: list[Candle] = [*TURN_UP, (100, 101, 100, 101), (101, 101, 96, 96), (75, 75, 75, 75), 75]
        bars = market(candles, start="2024-01-01T00:00", minutes=240)
        # short of 75 entered at 20:00, charged at 00:00: receives 2 * 0.001 of its equity
        backtest = simulate(bars, params(tf=240), self.RATE, 2.0)
        first, second = trades_of(backtest)
        assert first.net_return == about(-0.5 - 0.002)  # it paid at 16:00
        assert second.net_return == about(0.002)
        assert backtest.equity[-1] == about(0.498 * 1.002)


class TestRuin:
    def test_at_a_close_the_price_is_the_close_and_nothing_is_traded_after(self, simulate: Simulate) -> None:
        bars = market([*TURN_UP, 102, (101, 101, 94, 94), 94, 110, 111, 90, 89], minutes=480)
        backtest = simulate(bars, params(tf=480), FREE, 20.0)
        assert_trades(backtest, Trade(3, 4, 1, 102, 94, -1.0, "ruin", False))
        assert backtest.equity.tolist() == [1.0, 0.0, 0.0, 0.0]
        assert backtest.daily_returns().tolist() == [0.0, -1.0, 0.0, 0.0]
        assert backtest.max_drawdown == 1.0

    def test_exactly_nothing_left_is_ruin(self, simulate: Simulate) -> None:
        bars = market([*TURN_DOWN, (100, 100, 99, 99), (99, 150, 99, 150), 150])
        assert_trades(
            simulate(bars, params(direction="short"), FREE, 2.0), Trade(3, 4, -1, 100, 150, -1.0, "ruin", False)
        )

    def test_a_dip_inside_the_bar_is_not(self, simulate: Simulate) -> None:
        bars = market([*TURN_UP, 102, (102, 102, 50, 102), 102])
        assert_trades(simulate(bars, params(), FREE, 20.0), Trade(3, 5, 1, 102, 102, 0.0, "end", False))

    def test_at_a_fill_the_reason_is_the_fills_and_the_reversal_does_not_happen(self, simulate: Simulate) -> None:
        stopped = simulate(market([*TURN_UP, 102, 90, 91, 92]), params(stop=0.02), FREE, 20.0)
        assert_trades(stopped, Trade(3, 4, 1, 102, 90, -1.0, "stop", True))
        turned = simulate(market([*TURN_UP, 102, 99, 90, 89]), params(), FREE, 20.0)
        assert_trades(turned, Trade(3, 5, 1, 102, 90, -1.0, "signal", True))

    def test_on_the_last_bar_the_end_comes_before_the_mark(self, simulate: Simulate) -> None:
        backtest = simulate(market([*TURN_UP, 102, 80]), params(), FREE, 20.0)
        assert_trades(backtest, Trade(3, 4, 1, 102, 80, -1.0, "end", False))
        assert backtest.equity.tolist() == [0.0]

    def test_on_the_entry_bar(self, simulate: Simulate) -> None:
        backtest = simulate(market([*TURN_UP, (100, 101, 90, 90), 101]), params(), FREE, 20.0)
        assert_trades(backtest, Trade(3, 3, 1, 100, 90, -1.0, "ruin", False))

    def test_by_funding_alone(self, simulate: Simulate) -> None:
        # bar 5 opens at 00:00 and pays 20 * 0.06 of the equity
        costs = Costs(fee=0.0, slippage=0.0, funding=0.06)
        held = market([*TURN_UP, 102, 102, 102, 102], start="2024-01-01T04:00", minutes=240)
        assert_trades(simulate(held, params(tf=240), costs, 20.0), Trade(3, 5, 1, 102, 102, -1.0, "ruin", False))
        ends = market([*TURN_UP, 102, 102, 102], start="2024-01-01T04:00", minutes=240)
        assert_trades(simulate(ends, params(tf=240), costs, 20.0), Trade(3, 5, 1, 102, 102, -1.0, "end", False))

    def test_fees_of_the_last_trade_are_still_counted(self, simulate: Simulate) -> None:
        costs = Costs(fee=0.01, slippage=0.0)
        backtest = simulate(market([*TURN_UP, 100.5, (100, 100, 50, 50), 50]), params(), costs, 10.0)
        assert backtest.trades["net_return"].tolist() == [-1.0]
        assert backtest.trades["fees"].tolist() == about([10 * 0.01 * (1 + 50 / 100.5)])


@pytest.mark.parametrize("leverage", [1.0, 3.0])
def test_without_a_trade_equity_stays_one(simulate: Simulate, leverage: float) -> None:
    backtest = simulate(market([100, 100, 100]), params(), FREE, leverage)
    assert (backtest.equity.tolist(), backtest.max_drawdown, len(backtest.trades)) == ([1.0], 0.0, 0)
    assert np.all(backtest.daily_returns() == 0.0)
