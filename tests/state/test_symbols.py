"""Names of markets: everything a person or a program writes comes to one form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btswarm.state.errors import BadConfig
from btswarm.state.symbols import canonical, pair, parse_file_name, readings, synthetic_name


@pytest.mark.parametrize(
    ("written", "one_form"),
    [
        ("SOL", "SOLUSDT"),
        (" sol ", "SOLUSDT"),
        ("SOLUSDT", "SOLUSDT"),
        ("SOL/USDT", "SOLUSDT"),
        ("SOL-USDT", "SOLUSDT"),
        ("SOL_USDT", "SOLUSDT"),
        ("SOL/USDT:USDT", "SOLUSDT-PERP"),
        ("SOL_USDT_USDT", "SOLUSDT-PERP"),
        ("SOLUSDT-PERP", "SOLUSDT-PERP"),
        ("SOLUSDT_PERP", "SOLUSDT-PERP"),
        ("SOL-PERP", "SOLUSDT-PERP"),
        ("SOL-USDT-SWAP", "SOLUSDT-PERP"),
        ("SOLBTC", "SOLBTC"),
        ("BTCUSD", "BTCUSD"),
        ("WBTC", "WBTCUSDT"),
        ("1000PEPE", "1000PEPEUSDT"),
        ("SYNTH", "SYNTH"),
    ],
)
def test_every_spelling_comes_to_one_form(written: str, one_form: str) -> None:
    assert canonical(written) == one_form
    assert canonical(one_form) == one_form


@pytest.mark.parametrize(
    "written", ["", " ", "/", "../SOL", "SOL USDT", "SOL/", "BTC/USD:BTC", "SOL/PEPE", "SÖL", "a\0b"]
)
def test_what_is_no_symbol_is_refused(written: str) -> None:
    with pytest.raises(BadConfig):
        canonical(written)


@given(st.text(max_size=20))
def test_a_symbol_is_refused_or_fit_to_name_a_folder(written: str) -> None:
    try:
        names = readings(written)
    except BadConfig:
        return
    for name in names:
        assert "/" not in name
        assert not name.startswith(".")
        assert canonical(name) in (name, f"{name}USDT", name.replace("-PERP", "USDT-PERP"))


def test_base_and_quote_are_told_where_the_name_shows_them() -> None:
    assert pair("SOLUSDT-PERP") == ("SOL", "USDT")
    assert pair("SOLBTC") == ("SOL", "BTC")
    assert pair("SOL") is None


@pytest.mark.parametrize(
    ("stem", "symbol", "minutes"),
    [
        ("SOLUSDT-5m", "SOLUSDT", 5),
        ("SOLUSDT-PERP-5m", "SOLUSDT-PERP", 5),
        ("SOL_USDT-1h", "SOLUSDT", 60),
        ("SOL_USDT_USDT-1d-futures", "SOLUSDT-PERP", 1440),
        ("SOLUSDT-15m-2024-01", "SOLUSDT", 15),
        ("solusdt_5min", "SOLUSDT", 5),
        ("SOLUSDT", "SOLUSDT", None),
        ("ADA-5m", "ADA", 5),
    ],
)
def test_a_file_s_name_says_market_and_timeframe(stem: str, symbol: str, minutes: int | None) -> None:
    name = parse_file_name(stem)
    assert name is not None
    assert (name.symbol, name.minutes, name.certain, name.candles) == (symbol, minutes, True, True)


@pytest.mark.parametrize("stem", ["SOLUSDT-1M", "my notes", "", "-5m", "SOL_USDT-trades"])
def test_a_name_that_says_no_market_is_none(stem: str) -> None:
    assert parse_file_name(stem) is None


def test_a_common_word_names_no_market_for_certain() -> None:
    name = parse_file_name("candles-5m")
    assert name is not None
    assert not name.certain


@pytest.mark.parametrize("rest", ["mark", "funding_rate", "index"])
def test_other_series_of_an_exchange_are_no_candles(rest: str) -> None:
    name = parse_file_name(f"SOL_USDT_USDT-8h-{rest}")
    assert name is not None
    assert not name.candles


def test_the_invented_market_never_bears_a_real_one_s_name() -> None:
    assert synthetic_name(None) == "SYNTH"
    assert synthetic_name("SOL") == "SYNTH-SOLUSDT"
    assert synthetic_name("SYNTH-SOLUSDT") == "SYNTH-SOLUSDT"
