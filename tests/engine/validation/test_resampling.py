"""Bootstrap, shuffles and shifts: seeded, and converging to what theory says."""

import math
import tracemalloc

import numpy as np
import pytest

from btswarm.engine.metrics import sharpe
from btswarm.engine.validation.block_length import block_length
from btswarm.engine.validation.bootstrap_variance import circular_variance_of_mean, stationary_variance_of_mean
from btswarm.engine.validation.monte_carlo import bootstrap, quantiles
from btswarm.engine.validation.position_shift import shift_p_value, shifted_sums
from btswarm.engine.validation.ruin import ruin_probability, ruin_with_uncertainty
from btswarm.engine.validation.trade_shuffle import fall, shuffled_drawdowns


def autoregressive(days: int = 400, phi: float = 0.4) -> np.ndarray:
    rng = np.random.default_rng(7)
    r = np.zeros(days)
    for t in range(1, days):
        r[t] = phi * r[t - 1] + rng.normal(0, 0.02)
    return r


def test_the_same_seed_gives_the_same_paths_and_another_seed_others() -> None:
    r = autoregressive()
    one, same, other = bootstrap(r, 50, 1), bootstrap(r, 50, 1), bootstrap(r, 50, 2)
    assert one.sharpe.tolist() == same.sharpe.tolist()
    assert one.sharpe.tolist() != other.sharpe.tolist()


def test_more_paths_begin_with_the_same_ones() -> None:
    r = autoregressive(60)
    assert bootstrap(r, 1200, 1).max_drawdown[:1000].tolist() == bootstrap(r, 1000, 1).max_drawdown.tolist()


def test_the_spread_of_the_bootstrap_means_is_the_closed_form_for_its_block_length() -> None:
    r = autoregressive() + 0.001
    found = bootstrap(r, 4000, 3)
    assert found.block > 1
    means = np.log1p(found.total_return) / len(r)  # close to the mean return for small ones
    expected = stationary_variance_of_mean(np.log1p(r), 1 / found.block)
    assert np.var(means) == pytest.approx(expected, rel=0.1)


def test_a_block_of_one_is_an_ordinary_bootstrap_in_both_closed_forms() -> None:
    r = autoregressive(50)
    plain = float(np.var(r)) / 50
    assert stationary_variance_of_mean(r, 1.0) == pytest.approx(plain)
    assert circular_variance_of_mean(r, 1) == pytest.approx(plain)
    with pytest.raises(ValueError, match="no multiple"):
        circular_variance_of_mean(r, 3)


def test_the_figures_of_a_path_are_those_of_its_returns() -> None:
    r = np.array([0.1, -0.2, 0.05, 0.0, 0.3])
    found = bootstrap(r, 200, 1)
    low, _, high = quantiles(found.total_return)
    assert np.min(found.total_return) >= 0.8**5 - 1
    assert np.max(found.total_return) <= 1.3**5 - 1
    assert low < high
    assert np.all(found.max_drawdown[np.isclose(found.total_return, 1.3**5 - 1)] == 0)
    assert found.annual_return == pytest.approx((1 + found.total_return) ** (365 / 5) - 1)


def test_flat_paths_have_no_sharpe_ratio_and_are_left_out_of_its_quantiles() -> None:
    r = np.array([0.0, 0.0, 0.01])
    found = bootstrap(r, 300, 1)
    assert np.isnan(found.sharpe).any()
    assert all(math.isfinite(value) for value in quantiles(found.sharpe))
    assert all(math.isnan(value) for value in quantiles(np.array([math.nan])))


def test_no_paths_and_no_days_are_refused() -> None:
    for r, paths in ((np.zeros(10), 0), (np.zeros(1), 5)):
        with pytest.raises(ValueError, match="are none"):
            bootstrap(r, paths, 0)


def test_a_series_too_short_or_constant_has_blocks_of_one() -> None:
    assert block_length(np.zeros(100)).stationary == 1.0
    assert block_length(np.array([0.1, 0.2])).stationary == 1.0


def test_a_total_loss_stays_a_total_loss_on_every_path_that_draws_it() -> None:
    r = np.array([0.1, 0.1, -1.0, 0.0, 0.1])
    found = bootstrap(r, 100, 1)
    lost = found.total_return == -1
    assert lost.any()
    assert np.all(found.max_drawdown[lost] == 1)
    assert np.all(found.annual_return[lost] == -1)


def test_shuffling_keeps_what_was_earned_and_spreads_the_drawdown() -> None:
    net = np.random.default_rng(0).normal(0.01, 0.05, 60)
    drawn = shuffled_drawdowns(net, 500, 1)
    assert drawn.tolist() == shuffled_drawdowns(net, 500, 1).tolist()
    assert np.std(drawn) > 0
    assert np.all((drawn > 0) & (drawn < 1))
    assert np.all(shuffled_drawdowns(np.array([0.5, -1.0]), 3, 0) == 1)
    own = -np.expm1(-fall(np.log1p(net)))
    equity = np.cumprod(1 + net)
    assert own == pytest.approx(np.max(1 - equity / np.maximum(np.maximum.accumulate(equity), 1)))


def test_more_shuffles_begin_with_the_same_ones_and_hold_few_orders_at_once() -> None:
    net = np.random.default_rng(0).normal(0.01, 0.05, 2000)
    tracemalloc.start()
    drawn = shuffled_drawdowns(net, 4000, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert drawn[:1000].tolist() == shuffled_drawdowns(net, 1000, 1).tolist()
    assert np.unique(drawn).size == 4000
    assert peak < 4000 * 2000 * 8 * 2, "all orders at once take four such arrays"


def test_positions_at_the_right_times_beat_nearly_all_shifts_and_constant_ones_none() -> None:
    r = np.random.default_rng(0).normal(0, 0.01, 200)
    assert shift_p_value(shifted_sums(r, np.sign(r))) == pytest.approx(1 / 200)
    assert shift_p_value(shifted_sums(r, np.ones(200))) == 1.0


def test_ruin_in_closed_form_is_what_simulated_paths_show() -> None:
    rng = np.random.default_rng(0)
    steps = 2000
    paths = np.cumsum(rng.normal(0.1 / steps, 0.5 / math.sqrt(steps), (2000, steps)), axis=1)
    hit = np.mean(paths.min(axis=1) <= -0.5)
    assert ruin_probability(0.1, 0.5, 0.5, 1.0) == pytest.approx(hit, abs=0.03)


@pytest.mark.parametrize("sigma", [1e-1, 1e-2, 1e-3, 1e-6])
def test_a_steady_loss_that_outweighs_the_volatility_is_certain_ruin_and_no_overflow(sigma: float) -> None:
    assert ruin_probability(-3.0, sigma, 0.5, 1.0) == pytest.approx(1.0)
    assert ruin_probability(-0.1, sigma, 0.5, 1.0) == pytest.approx(0.0, abs=1e-4)
    steady = np.random.default_rng(0).normal(-0.0004, 0.0003, 400)  # what costs leave of a market that hardly moves
    assert ruin_with_uncertainty(steady, 0.05, 1.0, 500, 1) == pytest.approx(1.0)
    assert ruin_with_uncertainty(steady, 0.5, 1.0, 500, 1) == pytest.approx(0.0, abs=1e-9)


def test_uncertainty_about_drift_and_volatility_raises_the_probability_of_ruin() -> None:
    r = np.random.default_rng(0).normal(0.001, 0.01, 100)
    logs = np.log1p(r)
    known = ruin_probability(logs.mean() * 365, logs.std(ddof=1) * math.sqrt(365), -math.log1p(-0.3), 1.0)
    assert ruin_with_uncertainty(r, 0.3, 1.0, 2000, 1) > known
    assert ruin_with_uncertainty(np.array([0.1, -1.0, 0.1]), 0.5, 1.0, 10, 1) == 1.0
    assert math.isnan(ruin_with_uncertainty(np.zeros(10), 0.5, 1.0, 10, 1))
    assert math.isnan(sharpe(np.zeros(10)))
