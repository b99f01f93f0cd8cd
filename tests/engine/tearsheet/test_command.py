"""`btswarm tearsheet NAME --trades F --capital C --output DIR`."""

from pathlib import Path

import pytest

from btswarm.cli import main

from .helpers import Page

CSV = """entry_time,exit_time,side,net_return,reason
2024-01-01,2024-01-02,1,0.02,take
2024-01-05,2024-01-09,-1,-0.01,stop
"""


@pytest.fixture
def trades(tmp_path: Path) -> Path:
    path = tmp_path / "trades.csv"
    path.write_text(CSV)
    return path


def test_a_list_of_trades_becomes_a_page(trades: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "er"
    assert main(["tearsheet", "My & list", "--trades", str(trades), "--capital", "5000", "--output", str(out)]) == 0
    path = out / "My & list.html"
    assert capsys.readouterr().out == f"{path}\n"
    text = Page(path.read_bytes()).text
    assert "My & list" in text
    assert "2 trades from 1 Jan 2024 to 9 Jan 2024, 5,000 to 5,049." in text


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/etc/x", "a\\b", "", " ", ".", "..", ".hidden", "a\nb", "a\0b", "x" * 300]
)
def test_a_name_that_is_no_plain_file_name_is_refused(
    name: str, trades: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["tearsheet", name, "--trades", str(trades), "--output", str(out)]) == 64
    assert capsys.readouterr().err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("capital", ["0", "-5", "nan", "inf"])
def test_a_capital_that_is_no_amount_is_refused(capital: str, trades: Path, tmp_path: Path) -> None:
    assert main(["tearsheet", "x", "--trades", str(trades), f"--capital={capital}", "--output", str(tmp_path)]) == 64


def test_a_bad_list_leaves_nothing_behind(trades: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trades.write_text("nothing,here\n1,2\n")
    out = tmp_path / "out"
    assert main(["tearsheet", "x", "--trades", str(trades), "--output", str(out)]) == 65
    assert capsys.readouterr().err.startswith(
        "btswarm: trades.csv lacks entry_time, exit_time, net_return; its columns are"
    )
    assert not out.exists()


def test_returns_beyond_any_number_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"2024-01-0{day},2024-01-0{day + 1},1e300\n" for day in (1, 2))
    (tmp_path / "t.csv").write_text(f"entry_time,exit_time,net_return\n{rows}")
    assert main(["tearsheet", "x", "--trades", str(tmp_path / "t.csv"), "--output", str(tmp_path)]) == 65
    assert "compound to more than a number holds; a gain of 2 % is 0.02" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()


def test_a_missing_list_is_missing(tmp_path: Path) -> None:
    assert main(["tearsheet", "x", "--trades", str(tmp_path / "none.csv"), "--output", str(tmp_path)]) == 66


def test_an_output_that_is_a_file_is_refused(trades: Path) -> None:
    assert main(["tearsheet", "x", "--trades", str(trades), "--output", str(trades)]) == 73


def test_a_page_is_replaced_by_the_next_one_of_its_name(trades: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert main(["tearsheet", "x", "--trades", str(trades), "--output", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trades.csv", "x.html"]
