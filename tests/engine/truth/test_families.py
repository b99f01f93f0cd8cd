"""The markets of the suites: seeded, valid, without an edge or with one of the size that is claimed."""

import numpy as np
import pytest

from btswarm.engine.costs import Costs
from btswarm.engine.kernels.exact import simulate
from btswarm.engine.metrics import sharpe
from btswarm.engine.split import split
from btswarm.engine.strategies import mtf_ema
from btswarm.engine.strategies.api import Params
from btswarm.engine.truth import families, prices
from btswarm.engine.truth.families import Family, generator, null_families, power_families, quarters
from btswarm.engine.truth.prices import MINUTES, PER_DAY, PER_YEAR, VOLATILITY

from ..market import walk

REAL = quarters(walk(days=40, seed=6))
ALL = [*null_families([REAL]), *power_families()]
DAYS = 30


@pytest.mark.parametrize("family", ALL, ids=lambda one: one.name)
def test_a_market_is_candles_and_follows_from_its_seed_alone(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "regime_drift", lambda strength: 1e-4)
    bars, again, other = (family.make(generator(1, family.name, number), DAYS) for number in (0, 0, 1))
    assert bars.sha256 == again.sha256
    assert bars.sha256 != other.sha256
    assert bars.base_minutes == MINUTES
    assert (np.diff(bars.time) >= bars.base_ms).all()
    assert (bars.low > 0).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert len(np.unique(bars.day)) == DAYS


def test_without_real_candles_the_families_made_of_them_are_left_out() -> None:
    assert [family.name for family in null_families([])] == ["gbm", "gbm_drift", "garch_t5", "egarch_jumps_drift"]
    assert len(null_families([REAL])) == 6


@pytest.mark.parametrize(("name", "a_year"), [("gbm", 0.0), ("gbm_drift", 0.6), ("garch_t5", 0.0)])
def test_prices_grow_as_the_family_says_and_not_otherwise(name: str, a_year: float) -> None:
    [family] = [one for one in null_families([]) if one.name == name]
    markets = [family.make(generator(1, name, number), 365) for number in range(40)]
    growth = [bars.close / bars.open - 1.0 for bars in markets]
    mean = float(np.mean(growth)) * PER_YEAR
    assert mean == pytest.approx(a_year, abs=3 * VOLATILITY / np.sqrt(40))
    spread = float(np.std(growth)) * np.sqrt(PER_YEAR)
    assert spread == pytest.approx(VOLATILITY, rel=0.15)


def planted(family: Family, number: int, days: int = 600) -> tuple[float, float]:
    """Sharpe ratio of the planted combo, without exits, up to the hold-out and inside it."""
    rng = generator(2, family.name, number)
    state = rng.bit_generator.state
    row = mtf_ema.draw(mtf_ema.space_for("balanced"), int(rng.integers(1 << 31)), 0, 1)[0]
    rng.bit_generator.state = state
    bars = family.make(rng, days)
    fast_tf, fast, slow_tf, slow = (int(value) for value in row[:4])
    params = Params(fast_tf, fast, slow_tf, slow, 0.0, 0.0, 0.0, "both")
    run = simulate(bars, params, Costs(), 1.0)
    r, first = run.daily_returns(), split(bars).holdout.first
    return sharpe(r[run.day < first]), sharpe(r[run.day >= first])


@pytest.mark.parametrize("strength", families.STRENGTHS)
def test_a_steering_combo_has_the_net_sharpe_that_is_claimed(strength: float) -> None:
    [family] = [one for one in power_families() if one.name == f"steered_{strength:g}"]
    found = [planted(family, number)[0] for number in range(40)]
    assert float(np.mean(found)) == pytest.approx(strength, abs=3 * float(np.std(found)) / np.sqrt(40))


def test_the_edge_that_dies_is_there_in_training_and_not_in_the_hold_out() -> None:
    [family] = [one for one in power_families() if not one.lasting]
    found = np.array([planted(family, number) for number in range(40)])
    assert found[:, 0].mean() > 0.8
    assert found[:, 1].mean() < 0.3


def test_the_drift_of_regimes_is_what_the_reference_combo_needs() -> None:
    drift = families.regime_drift(1.3)
    assert families._reference(drift) == pytest.approx(1.3, abs=0.1)
    assert families._reference(drift / 2) < 0.7


def test_quarters_are_the_candles_of_five_minutes_in_threes() -> None:
    bars = walk(days=3, seed=1)
    found = quarters(bars)
    assert len(found) * 3 == len(bars)
    assert np.array_equal(found.open, bars.open[::3])
    assert np.array_equal(found.close, bars.close[2::3])
    assert np.array_equal(found.high, bars.high.reshape(-1, 3).max(axis=1))
    assert found.volume == pytest.approx(bars.volume.reshape(-1, 3).sum(axis=1))
    holed = quarters(bars.slice(1, len(bars)))
    assert (holed.time[0], holed.open[0]) == (found.time[0], bars.open[1])


def test_a_day_has_ninety_six_quarters() -> None:
    assert PER_DAY == 96
    assert pytest.approx(VOLATILITY / np.sqrt(35_040)) == prices.BAR
