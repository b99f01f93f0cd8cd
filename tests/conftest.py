"""Fixtures every room's tests share."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from btswarm.state.paths import VARIABLES

TEST_DATA = "BTSWARM_TEST_DATA"
CANDLES = "SOLUSDT-5m.parquet"


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The folder of real candles named by BTSWARM_TEST_DATA; without it the test is skipped, with the reason."""
    named = os.environ.get(TEST_DATA)
    if not named:
        pytest.skip(f"{TEST_DATA} does not name a folder of candles")
    folder = Path(named)
    if not (folder / CANDLES).is_file():
        pytest.skip(f"{TEST_DATA}={named} holds no {CANDLES}")
    return folder


@pytest.fixture(autouse=True)
def _host_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test, and no process it starts, reads the settings of this machine or writes under its roots."""
    for name in ("BTSWARM_CONFIG", "SWARM_ENABLED", "VENV_PATH"):
        monkeypatch.delenv(name, raising=False)
    for variable in VARIABLES.values():
        monkeypatch.setenv(variable, f"{tmp_path}-host/{variable.lower()}")


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """A test that leaves signals blocked would make every process deaf that a later test starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    after = signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert after == before, f"the test left signals blocked: {sorted(after ^ before)}"
