"""Fixtures for reading candles."""

from collections.abc import Callable
from pathlib import Path

import pytest

from btswarm.engine.bars import Bars
from btswarm.engine.candles import read

from .layouts import candles
from .raws import decode_here

Write = Callable[[str, bytes], Path]


@pytest.fixture(scope="session")
def bars() -> Bars:
    return candles()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file into the test's folder."""

    def one(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return one


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode without a process of its own: as the decoder does it, but a thousand times a minute."""
    monkeypatch.setattr(read, "_decode_apart", decode_here)
