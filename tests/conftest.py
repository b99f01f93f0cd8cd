"""Fixtures every room's tests share."""

import os
from pathlib import Path

import pytest

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
def _no_settings_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the roots or the config file of the machine it happens to run on."""
    for name in ("BTSWARM_CONFIG", "RESULTS_ROOT", "STATE_ROOT", "LOGS_ROOT", "KNOWLEDGE_ROOT", "SWARM_ENABLED"):
        monkeypatch.delenv(name, raising=False)
