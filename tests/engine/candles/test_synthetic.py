"""The invented market: always the same, never mistaken for a real one, and like one in what matters."""

import numpy as np
import pytest

from btswarm.engine.bars import DAY_MS, Bars
from btswarm.engine.candles.faults import faults
from btswarm.engine.candles.load import load
from btswarm.engine.candles.read import of_bars
from btswarm.engine.candles.synthetic import END_MS, synthetic
from btswarm.state.errors import BadConfig

from .raws import LATER


@pytest.fixture(scope="module")
def market() -> Bars:
    return synthetic()


def test_it_is_what_the_engine_gets_without_data(market: Bars) -> None:
    for path in (None, "synthetic"):
        found = load(path, None)
        assert found.sha256 == market.sha256
        assert (found.symbol, found.source, found.synthetic) == ("SYNTH", "synthetic", True)


def test_its_bytes_are_pinned() -> None:
    """Every bit of it must be the same on every machine: results on it are compared across machines."""
    assert synthetic(days=30).sha256 == "ed7ebf521f2d5a9993b3c6f0b901594c660c31daa9e966816f3eba53c5377976"


def test_symbol_and_seed_make_the_market_and_nothing_else_does() -> None:
    one = synthetic("A", days=20, seed=1)
    assert one.sha256 == synthetic("A", days=20, seed=1).sha256
    others = [synthetic("B", days=20, seed=1), synthetic("A", days=20, seed=2)]
    assert len({one.sha256, *(other.sha256 for other in others)}) == 3


def test_two_symbols_without_data_are_two_markets() -> None:
    sol, btc = load(None, "SOL"), load(None, "BTC")
    assert (sol.symbol, btc.symbol) == ("SYNTH-SOLUSDT", "SYNTH-BTCUSDT")
    assert sol.sha256 != btc.sha256


@pytest.mark.parametrize("minutes", [1, 5, 15, 60, 1440])
def test_every_bar_is_a_candle_on_the_grid(minutes: int) -> None:
    bars = synthetic(days=90, base_minutes=minutes)
    assert len(bars) == 90 * 1440 // minutes
    assert int(bars.time[-1]) + bars.base_ms == END_MS
    assert (np.diff(bars.time) == bars.base_ms).all()
    assert faults(of_bars(bars), bars.base_ms, LATER) == []
    assert bars.volume.min() > 0


def test_volatility_clusters_and_tails_are_fat(market: Bars) -> None:
    returns = np.diff(np.log(market.close))
    size = np.abs(returns) - np.abs(returns).mean()
    for lag in (1, 12, 288):
        assert (size[:-lag] * size[lag:]).mean() / size.var() > 0.05
    assert abs((returns[:-1] * returns[1:]).mean() / returns.var()) < 0.02
    assert ((returns - returns.mean()) ** 4).mean() / returns.var() ** 2 > 6
    daily = np.diff(np.log(market.close[287::288]))
    assert 0.02 < daily.std() < 0.08


def test_volume_follows_the_hour(market: Bars) -> None:
    hour = market.time % DAY_MS // 3_600_000
    by_hour = [market.volume[hour == one].mean() for one in range(24)]
    assert int(np.argmax(by_hour)) in (14, 15, 16)
    assert max(by_hour) > 1.7 * min(by_hour)


def test_prices_stand_on_ticks(market: Bars) -> None:
    for column in (market.open, market.high, market.low, market.close):
        np.testing.assert_array_equal(column, np.round(column, 4))


@pytest.mark.parametrize("seed", range(8))
def test_no_seed_runs_away(seed: int) -> None:
    bars = synthetic(seed=seed, base_minutes=60)
    assert 0.5 < bars.low.min() < bars.high.max() < 50_000


@pytest.mark.parametrize("wrong", [{"days": 0}, {"base_minutes": 7}, {"base_minutes": 0}, {"end_ms": 1}])
def test_what_cannot_be_made_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(BadConfig):
        synthetic(**wrong)  # type: ignore[arg-type]
