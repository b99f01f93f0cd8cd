"""What is undefined is NaN, never infinite and never 0; and small identities between the statistics."""

import math

import numpy as np
import pytest

from btswarm.engine.validation.autocorrelation import annualisation_factor, autocorrelations
from btswarm.engine.validation.concentration import best_share
from btswarm.engine.validation.deflated_sharpe import deflated_sharpe_ratio, expected_max_z, prudent
from btswarm.engine.validation.effective_trials import effective_trials, pca95
from btswarm.engine.validation.failure_rate import max_failures, upper_bound
from btswarm.engine.validation.multiple_testing import benjamini_hochberg, fisher, holm
from btswarm.engine.validation.performance import performance, trade_figures
from btswarm.engine.validation.plateau import judged, offsets
from btswarm.engine.validation.sharpe_ratio import min_track_record_length, moments, psr, sr_stderr
from btswarm.state.models.validation import Figure


@pytest.mark.parametrize("r", [np.zeros(0), np.array([0.1]), np.zeros(20), np.full(20, 0.01)])
def test_returns_that_do_not_vary_have_no_moments(r: np.ndarray) -> None:
    found = moments(r)
    assert found.n == len(r)
    assert math.isnan(found.sr)
    assert math.isnan(found.kurtosis)
    assert math.isnan(psr(found.sr, 0.0, found.n, found.skew, found.kurtosis))


def test_a_sharpe_ratio_not_above_its_benchmark_has_no_track_record_that_would_do() -> None:
    assert math.isnan(min_track_record_length(0.1, 0.1, 0.0, 3.0))
    assert math.isnan(min_track_record_length(math.nan, 0.0, 0.0, 3.0))
    assert math.isnan(sr_stderr(0.1, 1, 0.0, 3.0))


def test_at_the_track_record_needed_the_probability_is_the_confidence() -> None:
    n = min_track_record_length(0.1, 0.02, -0.5, 6.0, 0.95)
    assert psr(0.1, 0.02, n, -0.5, 6.0) == pytest.approx(0.95)


def test_deflating_is_prudent_about_trials_variance_and_mean() -> None:
    assert prudent(1, 0.0, -0.3, 101) == (2.0, 0.01, 0.0)
    assert prudent(500, 0.5, 0.2, 101) == (500, 0.5, 0.2)
    observed = moments(np.random.default_rng(0).normal(0.002, 0.02, 500))
    values = [deflated_sharpe_ratio(observed, n, 0.002).dsr for n in (2, 50, 1000)]
    assert values == sorted(values, reverse=True)
    assert expected_max_z(1) == 0.0


def test_components_of_returns_are_those_of_their_correlation_matrix() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(size=(300, 3))
    returns = common @ rng.normal(size=(3, 40)) + 0.3 * rng.normal(size=(300, 40))
    assert pca95(returns) == effective_trials(np.array(np.corrcoef(returns.T))).pca95
    wide = rng.normal(size=(50, 200))
    assert pca95(wide) == effective_trials(np.array(np.corrcoef(wide.T))).pca95
    assert pca95(np.hstack([returns, np.zeros((300, 5))])) == pca95(returns)
    assert pca95(np.zeros((30, 4))) == 0


def test_performance_of_nothing_and_of_flat_days_is_undefined_where_it_should_be() -> None:
    assert all(math.isnan(value) or value == 0 for value in performance(np.zeros(0)).values())
    flat = performance(np.zeros(5))
    assert math.isnan(flat["sharpe"])
    assert math.isnan(flat["calmar"])
    assert math.isnan(trade_figures(np.array([1.0, 2.0]))["profit_factor"])
    assert math.isnan(trade_figures(np.zeros(0))["win_rate"])


def test_the_best_trades_share_of_a_loss_is_undefined() -> None:
    assert math.isnan(best_share(np.array([0.1, -0.3])))
    assert best_share(np.full(10, 0.01)) == pytest.approx(0.5)
    assert best_share(np.array([0.5, -0.1])) == pytest.approx(1.0)


def test_worthless_neighbours_rank_below_the_median_and_are_not_positive() -> None:
    sharpes = np.array([1.0, 1.2, math.nan, 0.8, -0.5, math.nan])
    found = judged(1.0, sharpes)
    assert found.median == pytest.approx((-0.5 + 0.8) / 2)
    assert found.share_positive == pytest.approx(0.5)
    assert math.isnan(judged(-0.1, sharpes).median_ratio)
    assert math.isnan(judged(1.0, np.array([math.nan, math.nan, 1.0])).median)


def test_the_neighbours_lie_evenly_on_both_sides_of_every_parameter() -> None:
    u = offsets()
    assert u.shape == (256, 5)
    assert np.all(np.abs(u) < 1)
    assert np.allclose(u.mean(axis=0), 0)
    for column in u.T:
        assert np.unique(np.floor((column + 1) * 128)).size == 256


def test_correcting_for_several_tests_keeps_their_order_and_never_lowers_a_p_value() -> None:
    p = np.array([0.04, 0.001, 0.3, 0.02])
    for corrected in (holm(p), benjamini_hochberg(p)):
        assert np.all(corrected >= p)
        assert np.array_equal(np.argsort(corrected, kind="stable"), np.argsort(p, kind="stable"))
    assert holm(p).tolist() == pytest.approx([0.08, 0.004, 0.3, 0.06])
    assert fisher(np.array([0.05])) == pytest.approx(0.05)
    assert fisher(np.array([0.0, 0.5])) == 0.0
    assert fisher(np.array([0.1, 0.1])) == pytest.approx(0.01 * (1 - math.log(0.01)))


def test_too_few_markets_cannot_show_a_low_rate() -> None:
    assert max_failures(58) is None
    assert max_failures(59) == 0
    assert max_failures(300) == 8
    assert upper_bound(5, 5) == 1.0


def test_serial_correlation_changes_the_annual_sharpe_ratio_in_its_direction() -> None:
    assert annualisation_factor(365, np.array([0.2])) < math.sqrt(365)
    assert annualisation_factor(365, np.array([-0.2])) > math.sqrt(365)
    assert math.isnan(annualisation_factor(365, np.array([-0.9, -0.9])))
    r = np.random.default_rng(0).normal(size=2000)
    assert np.all(np.abs(autocorrelations(r, 5)) < 0.1)
    assert np.all(np.isnan(autocorrelations(np.zeros(10), 3)))


def test_a_null_figure_without_a_reason_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="exactly when it has a reason"):
        Figure(value=None)
    with pytest.raises(ValueError, match="exactly when it has a reason"):
        Figure(value=1.0, reason="because")
