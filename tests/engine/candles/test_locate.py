"""`--data-path` and `--symbol`: one file is meant, or the reason why not is given."""

from pathlib import Path

import pytest

from btswarm.engine.candles.locate import Located, candle_files, locate
from btswarm.state.errors import BadConfig, BadData, BtswarmError, InputGone

FOLDER = (
    "SOLUSDT-5m.parquet",
    "SOLUSDT-PERP-5m.parquet",
    "BTC_USDT-5m.feather",
    "BTC_USDT_USDT-5m-futures.feather",
    "BTC_USDT_USDT-8h-mark.feather",
    "BTC_USDT_USDT-8h-funding_rate.feather",
    "ETHUSDT-5m.parquet",
    "ETHUSDT-1h.parquet",
    "ETHBTC-5m.csv.gz",
    "W_BTC-5m.csv",
    "ADA-5m.csv",
    "LINKUSDT.json.gz",
    "notes.txt",
    ".SOLUSDT-5m.parquet",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("candles")
    for name in FOLDER:
        (path / name).touch()
    (path / "deeper").mkdir()
    (path / "deeper" / "XRPUSDT-5m.parquet").touch()
    (path / "DOTUSDT-5m.parquet").mkdir()
    return path


@pytest.mark.parametrize(
    ("symbol", "name", "found"),
    [
        ("SOL", "SOLUSDT-5m.parquet", "SOLUSDT"),
        ("sol", "SOLUSDT-5m.parquet", "SOLUSDT"),
        ("SOLUSDT", "SOLUSDT-5m.parquet", "SOLUSDT"),
        ("SOL/USDT", "SOLUSDT-5m.parquet", "SOLUSDT"),
        ("SOLUSDT-PERP", "SOLUSDT-PERP-5m.parquet", "SOLUSDT-PERP"),
        ("SOL/USDT:USDT", "SOLUSDT-PERP-5m.parquet", "SOLUSDT-PERP"),
        ("BTC", "BTC_USDT-5m.feather", "BTCUSDT"),
        ("BTC/USDT:USDT", "BTC_USDT_USDT-5m-futures.feather", "BTCUSDT-PERP"),
        ("ETHBTC", "ETHBTC-5m.csv.gz", "ETHBTC"),
        ("W/BTC", "W_BTC-5m.csv", "WBTC"),
        ("ADA", "ADA-5m.csv", "ADA"),
        ("ADAUSDT", "ADA-5m.csv", "ADA"),
        ("LINK", "LINKUSDT.json.gz", "LINKUSDT"),
    ],
)
def test_a_symbol_names_one_file_of_a_folder(folder: Path, symbol: str, name: str, found: str) -> None:
    located = locate(folder, symbol)
    assert located.path == folder / name
    assert located.symbol == found


def test_the_timeframe_in_the_name_is_told(folder: Path) -> None:
    assert locate(folder, "SOL").minutes == 5
    assert locate(folder, "LINK").minutes is None


def test_several_candidates_are_listed_and_refused_until_the_timeframe_is_said(folder: Path) -> None:
    with pytest.raises(BadData, match=r"several files for ETHUSDT: ETHUSDT-1h.parquet, ETHUSDT-5m.parquet"):
        locate(folder, "ETH")
    assert locate(folder, "ETH", base_minutes=60).path == folder / "ETHUSDT-1h.parquet"
    with pytest.raises(BadData, match="several files"):
        locate(folder, "ETH", base_minutes=30)


@pytest.mark.parametrize("symbol", ["XRP", "DOT", "SOLUSDC", "LINKUSDT-PERP"])
def test_a_symbol_that_is_not_there_is_refused_with_what_is(folder: Path, symbol: str) -> None:
    with pytest.raises(BadData, match=r"no candles of .*: it has ADA, BTCUSDT, BTCUSDT-PERP, .*SOLUSDT"):
        locate(folder, symbol)


def test_a_folder_without_candles_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"it has no file of candles \(such as SOLUSDT-5m.parquet\)"):
        locate(tmp_path, "SOL")


def test_a_folder_needs_a_symbol(folder: Path) -> None:
    with pytest.raises(BadConfig, match="is a folder"):
        locate(folder)


def test_a_folder_that_cannot_be_listed_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", forbidden)
    with pytest.raises(BadData, match="cannot be listed"):
        locate(folder, "SOL")


def test_a_missing_path_is_gone(tmp_path: Path) -> None:
    with pytest.raises(InputGone, match="no file or folder"):
        locate(tmp_path / "nothing.parquet", "SOL")
    (tmp_path / "file").touch()
    with pytest.raises(InputGone, match="no file or folder"):
        locate(tmp_path / "file" / "under", "SOL")


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_what_is_neither_file_nor_folder_is_never_opened(path: str) -> None:
    with pytest.raises(BadData, match="neither a file nor a folder"):
        locate(path, "SOL")


@pytest.mark.parametrize(
    ("name", "symbol", "found"),
    [
        ("SOLUSDT-5m.parquet", "SOL", "SOLUSDT"),
        ("SOLUSDT-5m.parquet", None, "SOLUSDT"),
        ("SOL_USDT-5m.json.gz", "SOL/USDT", "SOLUSDT"),
        ("SOLUSDT-5m-2024-01.csv", "SOLUSDT", "SOLUSDT"),
        ("SOLUSDT-5m-as-I-found-it.csv", None, "SOLUSDT"),
        ("candles.csv", "SOL", "SOLUSDT"),
        ("my-5m.csv", "SOL", "SOLUSDT"),
        ("what ever it is.csv", "SOL/USDT:USDT", "SOLUSDT-PERP"),
    ],
)
def test_a_file_is_the_symbol_s_unless_its_name_says_otherwise(
    tmp_path: Path, name: str, symbol: str | None, found: str
) -> None:
    (tmp_path / name).touch()
    assert locate(tmp_path / name, symbol).symbol == found


@pytest.mark.parametrize(
    ("name", "symbol", "kind"),
    [
        ("SOLUSDT-5m.parquet", "BTC", BadConfig),
        ("SOLUSDT-5m.parquet", "SOLUSDT-PERP", BadConfig),
        ("SOLUSDT-PERP-5m.parquet", "SOL", BadConfig),
        ("sol_usdc-5m.csv", "SOLUSDT", BadConfig),
        ("SOL_USDT_USDT-8h-mark.feather", "SOL/USDT:USDT", BadData),
        ("what ever it is.csv", None, BadConfig),
        ("SOLUSDT-5m.parquet", "../SOL", BadConfig),
    ],
)
def test_a_file_named_for_something_else_is_refused(
    tmp_path: Path, name: str, symbol: str | None, kind: type[BtswarmError]
) -> None:
    (tmp_path / name).touch()
    with pytest.raises(kind):
        locate(tmp_path / name, symbol)


@pytest.mark.parametrize("path", [None, "", "synthetic"])
def test_without_a_path_the_market_is_invented_and_called_so(path: str | None) -> None:
    assert locate(path) == Located(None, "SYNTH")
    assert locate(path, "SYNTH") == Located(None, "SYNTH")
    assert locate(path, "SOL") == Located(None, "SYNTH-SOLUSDT")
    assert locate(path, "SYNTH-SOLUSDT") == Located(None, "SYNTH-SOLUSDT")


def test_hidden_files_folders_and_other_formats_are_no_candidates(folder: Path) -> None:
    names = [found.path.name for found in candle_files(folder)]
    assert ".SOLUSDT-5m.parquet" not in names
    assert "notes.txt" not in names
    assert "DOTUSDT-5m.parquet" not in names
