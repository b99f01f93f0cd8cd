"""Trade lists as other programs write them, and as nobody should."""

import math
from pathlib import Path

import pytest

from btswarm.engine.tearsheet.trade_columns import parse_number, parse_time
from btswarm.engine.tearsheet.trade_table import Reading, read_trades
from btswarm.state.errors import BadData, InputGone

OURS = """entry_time,exit_time,side,entry_price,exit_price,net_return,reason
1704067200000,1704153600000,1,100,102,0.019,take
1704240000000,1704326400000,-1,102,103,-0.011,stop
"""


def read(tmp_path: Path, text: str | bytes) -> Reading:
    path = tmp_path / "trades.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_trades(path)


def test_our_own_list_is_read_as_it_is(tmp_path: Path) -> None:
    first, second = read(tmp_path, OURS).trades
    assert (first.entry_time, first.exit_time, first.side) == (1_704_067_200_000, 1_704_153_600_000, 1)
    assert (first.entry_price, first.exit_price, first.net_return, first.reason) == (100.0, 102.0, 0.019, "take")
    assert second.side == -1


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (
            "open_date,close_date,profit_ratio,is_short",
            "2024-01-01 00:00:00+00:00,2024-01-02 00:00:00+00:00,0.019,False",
        ),
        ("Entry Timestamp;Exit Timestamp;Return;Direction", "2024-01-01;2024-01-02;0.019;Long"),
        ("EntryTime\tExitTime\tReturnPct\tSide", "2024-01-01\t2024-01-02\t0.019\tBUY"),
        ("opened_at,closed_at,Profit %,type", "1704067200,1704153600,1.9,buy"),
        ("opened_at,closed_at,return,type", "1704067200000000000,1704153600000000000,1.9%,b"),
        ("start,end,pnl_pct,side", "2024-01-01T00:00:00Z,2024-01-02T01:00:00+01:00,1.9,long"),
        ("entry_time,exit_time,return_pct,side", "01.01.2024 00:00,02.01.2024 00:00,1.9,1"),
    ],
)
def test_the_usual_spellings_mean_the_same(tmp_path: Path, header: str, row: str) -> None:
    (trade,) = read(tmp_path, f"{header}\n{row}\n").trades
    assert (trade.entry_time, trade.exit_time, trade.side) == (1_704_067_200_000, 1_704_153_600_000, 1)
    assert trade.net_return == pytest.approx(0.019)


def test_profits_in_money_are_handed_on_as_amounts(tmp_path: Path) -> None:
    reading = read(tmp_path, 'entry,exit,pnl\n2024-01-01,2024-01-02,"1,200.50"\n2024-01-02,2024-01-03,-3\n')
    assert reading.amounts == (1200.5, -3.0)
    assert all(math.isnan(one.net_return) for one in reading.trades)


def test_prices_and_side_are_enough(tmp_path: Path) -> None:
    header = "entry_time,exit_time,side,entry_price,exit_price"
    long, short = read(
        tmp_path, f"{header}\n2024-01-01,2024-01-02,1,100,110\n2024-01-03,2024-01-04,-1,100,110\n"
    ).trades
    assert [long.net_return, short.net_return] == pytest.approx([0.1, -0.1])


def test_trades_are_put_in_order_of_their_exits(tmp_path: Path) -> None:
    text = "entry,exit,return\n2024-01-05,2024-01-06,0.2\n2024-01-01,2024-01-02,0.1\n"
    assert [one.net_return for one in read(tmp_path, text).trades] == [0.1, 0.2]


def test_open_trades_are_left_out_and_counted(tmp_path: Path) -> None:
    reading = read(tmp_path, "entry,exit,return\n2024-01-01,2024-01-02,0.1\n2024-01-05,,\n")
    assert len(reading.trades) == 1
    assert dict(reading.rows)["Trades"] == "1 closed, 1 without an exit left out"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (OURS.splitlines()[0], "no closed trade"),
        ("a,b\n1,2\n", "lacks entry_time, exit_time"),
        ("entry,exit\n2024-01-01,2024-01-02\n", "lacks net_return"),
        ("entry,exit,return\n2024-01-01,2024-01-02\n", "line 2 has 2 cells, the header 3"),
        ("entry,exit,return\nyesterday,2024-01-02,1\n", "line 2, 'entry': 'yesterday' is no time"),
        ("entry,exit,return\n5,2024-01-02,1\n", "'5' is no time"),
        ("entry,exit,return\n2024-01-01,2024-01-02,abc\n", "'abc' is no number"),
        ("entry,exit,return\n2024-01-01,2024-01-02,nan\n", "'nan' is no number"),
        ("entry,exit,return\n2024-01-01,2024-01-02,inf\n", "'inf' is no number"),
        ("entry,exit,return\n2024-01-02,2024-01-01,0.1\n", "is before the entry"),
        ("entry,exit,return\n2024-01-01,2024-01-02,-3.5\n", "loses more than everything"),
        ("entry,exit,return,side\n2024-01-01,2024-01-02,0.1,up or down\n", "neither long nor short"),
        ("entry,exit,return,entry_price\n2024-01-01,2024-01-02,0.1,-5\n", "it must be positive"),
        ("entry,exit,return,Return\n2024-01-01,2024-01-02,0.1,0.1\n", "'Return' twice"),
        ('entry,exit,return\n"2024-01-01,2024-01-02,0.1\n', "is no CSV"),
        (b"PAR1\xff\xfe\x00", "no text in UTF-8"),
        ("entry,exit,return\n\x00,2024-01-02,0.1\n", "is no"),
    ],
)
def test_what_is_no_list_of_trades_is_refused_in_one_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(BadData) as refusal:
        read(tmp_path, text)
    assert said in refusal.value.line()
    assert "\n" not in refusal.value.line()
    assert "\x00" not in refusal.value.line()


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InputGone):
        read_trades(tmp_path / "none.csv")


def test_a_folder_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="is a folder"):
        read_trades(tmp_path)


def test_a_huge_cell_is_shown_cut(tmp_path: Path) -> None:
    with pytest.raises(BadData) as refusal:
        read(tmp_path, f"entry,exit,return\n2024-01-01,2024-01-02,{'9' * 400}x\n")
    assert len(refusal.value.line()) < 200


@pytest.mark.parametrize("text", ["9" * 400, "2150-01-01", "99999999999999", "", "1e12", "-1", "12:30"])
def test_what_is_no_time_between_1970_and_2100_is_none(text: str) -> None:
    assert parse_time(text) is None


@pytest.mark.parametrize(
    "text", ["1704067200", "1704067200000", "1704067200000000", "2024-01-01", "20240101", "2024/01/01"]
)
def test_units_and_forms_of_a_time_are_told_apart(text: str) -> None:
    assert parse_time(text) == 1_704_067_200_000


@pytest.mark.parametrize(
    ("text", "x"), [("1,234.5", 1234.5), ("−2", -2.0), ("3 %", 3.0), ("1e400", None), ("1,2", None)]
)
def test_numbers_are_read_as_people_write_them(text: str, x: float | None) -> None:
    assert parse_number(text) == x
