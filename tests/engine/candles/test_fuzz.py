"""Damaged files of any kind either hold candles or are refused: nothing else ever comes out of the reader."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btswarm.engine.candles.load import load
from btswarm.state.errors import BtswarmError

from .layouts import candles, layouts

GOOD = layouts(candles())
TEXTS = ("plain.csv", "SOLUSDT-15m-2024-12.csv", "unnamed_index.csv", "records.json", "split.json", "plain.csv.gz")
BINARIES = ("plain.parquet", "snappy.parquet", "SOL_USDT-15m.feather", "zstd.feather", "text_time.ipc")
SUFFIXES = (".csv", ".json", ".csv.gz", ".parquet", ".feather")


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Cut off, with flipped bits, or with a stretch or the end overwritten."""
    spoiled = bytearray(content)
    match rng.randrange(4):
        case 0:
            return bytes(spoiled[: rng.randrange(len(spoiled))])
        case 1:
            for _ in range(rng.choice([1, 1, 20])):
                spoiled[rng.randrange(len(spoiled))] ^= 1 << rng.randrange(8)
        case 2:
            start = rng.randrange(len(spoiled))
            spoiled[start : start + 50] = rng.randbytes(rng.randrange(60))
        case _:
            for _ in range(3):
                spoiled[-1 - rng.randrange(min(700, len(spoiled)))] = rng.randrange(256)
    return bytes(spoiled)


def read_or_refuse(path: Path, content: bytes) -> None:
    """Whatever else is raised is the failure of the test."""
    path.write_bytes(content)
    refusal: BtswarmError | None = None
    try:
        assert len(load(path, "SOLUSDT")) > 1
    except BtswarmError as error:
        refusal = error
    assert refusal is None or refusal.line().startswith(str(path))


@pytest.mark.usefixtures("in_process")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(TEXTS), seed=st.integers(0, 2**32))
def test_damaged_text_is_read_or_refused(name: str, seed: int, tmp_path: Path) -> None:
    read_or_refuse(tmp_path / name.replace("SOLUSDT-15m-", ""), damaged(GOOD[name], random.Random(seed)))


@pytest.mark.usefixtures("in_process")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(suffix=st.sampled_from(SUFFIXES), content=st.binary(max_size=200))
def test_random_bytes_are_refused_whatever_they_are_called(suffix: str, content: bytes, tmp_path: Path) -> None:
    read_or_refuse(tmp_path / f"noise{suffix}", content)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", BINARIES)
def test_a_damaged_binary_file_is_read_or_refused(name: str, seed: int, tmp_path: Path) -> None:
    """Each in the decoder's own process, for it may die of them."""
    content = damaged(GOOD[name], random.Random(f"{name} {seed}"))
    read_or_refuse(tmp_path / name.replace("SOL_USDT-15m", "plain"), content)
