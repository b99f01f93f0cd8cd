"""The same candles give the same bars, whatever program wrote them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btswarm.engine.bars import Bars
from btswarm.engine.candles.decode import decode
from btswarm.engine.candles.load import load
from btswarm.engine.candles.write import parquet

from .conftest import Write
from .layouts import NAMES, candles, frame, layouts, rows, to_csv, to_feather, to_json, to_parquet

BARS = candles()
LAYOUTS = layouts(BARS)


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_bars(name: str, write: Write) -> None:
    found = load(write(name, LAYOUTS[name]), "SOLUSDT")
    assert found.sha256 == BARS.sha256
    assert (found.symbol, found.base_minutes, found.synthetic) == ("SOLUSDT", 15, False)


def test_the_decoder_in_a_process_of_its_own_says_the_same(write: Write) -> None:
    path = write("plain.csv.gz", LAYOUTS["plain.csv.gz"])
    found = load(path, "SOLUSDT")
    assert found.sha256 == BARS.sha256
    assert found.source == str(path)


def test_real_candles_are_read_as_their_description_says(market_data: Path) -> None:
    found = load(market_data, "SOL")
    assert (len(found), found.base_minutes, found.symbol) == (367_994, 5, "SOLUSDT")
    assert found.low.min() == 8.0
    assert found.high.max() == 295.83


prices = st.floats(1e-8, 1e7, allow_nan=False)


@st.composite
def markets(draw: st.DrawFn) -> Bars:
    """A few minutes of anything that is a candle, gaps included."""
    slots = sorted(draw(st.sets(st.integers(0, 60), min_size=2, max_size=12)) | {0, 1})
    minutes = draw(st.sampled_from([1, 5, 60, 1440]))
    values = [sorted(draw(st.lists(prices, min_size=4, max_size=4))) for _ in slots]
    low, inner, other, high = map(np.array, zip(*values, strict=True))
    swap = np.array(draw(st.lists(st.booleans(), min_size=len(slots), max_size=len(slots))))
    volume = np.array(draw(st.lists(st.floats(0, 1e12), min_size=len(slots), max_size=len(slots))))
    time = (28_000_000 // 1440 * 1440 + np.array(slots) * minutes) * 60_000
    opens, close = np.where(swap, inner, other), np.where(swap, other, inner)
    return Bars("XUSDT", minutes * 60_000, time.astype(np.int64), opens, high, low, close, volume)


@settings(max_examples=60, deadline=None)
@given(bars=markets(), form=st.sampled_from(["parquet", "feather", "csv", "json"]))
def test_no_bit_is_lost_from_one_format_to_another(
    bars: Bars, form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    forms = {
        "parquet": lambda: parquet(bars),
        "feather": lambda: to_feather(frame(bars), compression="zstd"),
        "csv": lambda: to_csv([["date", *NAMES], *rows(bars)]),
        "json": lambda: to_json(rows(bars)),
    }
    path = tmp_path_factory.mktemp("round") / f"candles.{form}"
    path.write_bytes(forms[form]())
    decoded = decode(path, "XUSDT")
    assert decoded.time.tolist() == bars.time.tolist()
    for mine, theirs in zip(decoded.columns, bars.columns, strict=True):
        np.testing.assert_array_equal(mine.view(np.int64), theirs.astype(np.float64).view(np.int64))


@pytest.mark.usefixtures("in_process")
def test_whole_numbers_are_prices_too(write: Write) -> None:
    table = frame(BARS).with_columns(pl.col("volume").round(0).cast(pl.Int64))
    assert load(write("whole.parquet", to_parquet(table)), "SOL").volume.tolist() == table["volume"].to_list()
