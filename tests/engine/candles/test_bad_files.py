"""What is no candle is refused in one line that says what, where and how to mend it, and nothing is left behind."""

import gzip
import json
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from btswarm.cli import main
from btswarm.engine.bars import Bars
from btswarm.engine.candles.load import load
from btswarm.engine.candles.read import DECODER
from btswarm.state.errors import BadData, OutOfMemory

from .conftest import Write
from .layouts import (
    HEADER,
    NAMES,
    TIME,
    candles,
    columns,
    frame,
    headed,
    iso,
    klines,
    layouts,
    named,
    retimed,
    rows,
    to_csv,
    to_feather,
    to_json,
    to_parquet,
)

BARS = candles()
GOOD = layouts(BARS)
TEN = 10  # the row that is spoiled, counted from 0


@dataclass(frozen=True)
class Bad:
    """`says`: a pattern of the refusal, after the file's name."""

    name: str
    content: bytes
    says: str


def cell(row: int, column: int, value: Any) -> list[list[Any]]:
    spoiled = rows(BARS)
    spoiled[row][column] = value
    return spoiled


def csv_of(spoiled: list[list[Any]]) -> bytes:
    return to_csv([HEADER, *spoiled])


def retext(convert: Callable[[int, int], Any]) -> bytes:
    """A CSV whose times are `convert(number of the row, ms)`."""
    return csv_of([[convert(n, row[0]), *row[1:]] for n, row in enumerate(rows(BARS))])


def without(*names: str) -> bytes:
    return to_parquet(frame(BARS).drop(names))


def more(**added: Any) -> bytes:
    return to_parquet(frame(BARS).with_columns(**added))


def zipped() -> bytes:
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("SOLUSDT-15m.csv", GOOD["plain.csv"])
    return buffer.getvalue()


def swapped(a: int, b: int) -> list[list[Any]]:
    moved = rows(BARS)
    moved[a], moved[b] = moved[b], moved[a]
    return moved


NO_FILE = [
    Bad("empty.csv", b"", "it is empty"),
    Bad("blank.csv", b" \n\n", "it is empty"),
    Bad("empty.parquet", b"", "it is empty"),
    Bad("empty.feather", b"", "it is empty"),
    Bad("empty.json", b"", "it is empty"),
    Bad("no_rows.csv", to_csv([HEADER]), "column names and no rows"),
    Bad("no_rows.parquet", to_parquet(frame(BARS).clear()), "column names and no rows"),
    Bad("no_rows.json", b"[]", "no candles"),
    Bad("one_row.csv", csv_of(rows(BARS)[:1]), "one row, too few"),
    Bad("one_time.csv", csv_of(rows(BARS)[:1] * 3), "3 rows of one time"),
    Bad("half.parquet", GOOD["plain.parquet"][:2000], "damaged or no parquet"),
    Bad("headless.parquet", GOOD["plain.parquet"][5:], "does not begin like one"),
    Bad("half.feather", GOOD["zstd.feather"][:2000], "damaged or no feather"),
    Bad("half.json", GOOD["records.json"][:2000], "damaged or no json"),
    Bad("half.csv.gz", GOOD["plain.csv.gz"][:1000], "compression is damaged or cut off"),
    Bad("half.csv", GOOD["plain.csv"][:1004], "line [0-9]+.* (is missing|is no number|is no time)"),
    Bad("not_compressed.csv.gz", GOOD["plain.csv"], "called .gz but is not compressed"),
    Bad("archive.csv", zipped(), "a zip archive; unzip it"),
    Bad("feather_1.feather", b"FEA1" + bytes(100), "Feather version 1"),
    Bad("really_parquet.csv", GOOD["plain.parquet"], "called csv but holds parquet"),
    Bad("really_feather.parquet", GOOD["zstd.feather"], "called parquet but holds feather"),
    Bad("page.csv", b"<!DOCTYPE html>\n<html><body>Not found</body></html>\n", "no column of open"),
    Bad("latin.csv", b"timestamp,open,h\xe9,low,close,volume\n1,2,3,4,5,6\n", "damaged or no csv"),
    Bad("utf16.csv", GOOD["plain.csv"].decode().encode("utf-16"), "damaged or no csv"),
    Bad("letters.xyz", GOOD["plain.csv"], "format is not known"),
    Bad("word.json", b'"candles"', "one str, no candles"),
    Bad("words.json", b'["candles"]', "a list of str"),
    Bad("answer.json", b'{"code": 0, "result": {"list": []}}', "no known shape"),
    Bad("nan.json", b"[[1735603200000, NaN, 1, 1, 1, 1]]", "damaged or no json"),
]

WRONG_COLUMNS = [
    Bad("no_volume.parquet", without("volume"), "no column of volume"),
    Bad("no_time.parquet", without("timestamp"), "no column of open time"),
    Bad("no_open.parquet", without("open"), "no column of open"),
    Bad("only_money.csv", to_csv(headed(BARS, ["unix", *NAMES[:4], "Volume USDT"])), "no column of volume"),
    Bad("other_asset.csv", to_csv(headed(BARS, ["unix", *NAMES[:4], "Volume BTC"])), "no column of volume"),
    Bad("only_close_time.csv", to_csv(headed(BARS, ["close_time", *NAMES])), "no column of open time"),
    Bad("five_unnamed.csv", to_csv([row[:5] for row in rows(BARS)]), "5 columns without names"),
    Bad("seven_unnamed.json", to_json([[*row, 1] for row in rows(BARS)]), "7 columns without names"),
    Bad("two_times.parquet", more(date=TIME.dt.offset_by("1h")), "row 1: .*different times"),
    Bad("two_opens.parquet", more(Open=pl.col("open") + 1), "both look like open"),
    Bad("same_name.csv", to_csv(headed(BARS, [*HEADER[:5], "open"])), "both look like open"),
    Bad("two_markets.parquet", more(symbol=pl.Series(["SOL", "BTC"] * 48)), r"2 symbols \(SOL, BTC\)"),
    Bad("two_timeframes.parquet", more(interval=pl.Series(["1m", "5m"] * 48)), "2 timeframes"),
    Bad("ragged.json", to_json([*rows(BARS), [1, 2]]), "row 97 has 2 values, the first has 6"),
    Bad("mixed.json", to_json([*named(BARS), 7]), "row 97 is int"),
    Bad("uneven.json", to_json({"timestamp": [1, 2], **columns(BARS)}), "different lengths"),
    Bad("other_index.json", to_json({"open": {"1": 1}, "close": {"2": 1}}), "another index"),
    Bad("lists.parquet", to_parquet(frame(BARS).with_columns(pl.concat_list("open").alias("open"))), "no numbers"),
    Bad("flags.parquet", more(close=pl.col("close") > 0), "no numbers"),
    Bad("too_wide.csv", GOOD["plain.csv"] + b"1,2,3,4,5,6,7,8\r\n", "damaged or no csv"),
]

WRONG_TIMES = [
    Bad("words.csv", retext(lambda n, ms: "yesterday"), "line 2: 'yesterday' .* is no time"),
    Bad("american.csv", retext(lambda n, ms: "12/31/2024 00:15"), "line 2: .* is no time"),
    Bad("february.csv", retext(lambda n, ms: "2024-02-30 00:15" if n == TEN else iso(ms, "")), "line 12: .* no time"),
    Bad("missing.csv", retext(lambda n, ms: "" if n == TEN else ms), "line 12 has no time"),
    Bad("tiny.csv", retext(lambda n, ms: n), "line 2: 0 .* no time between 1973 and 2103"),
    Bad("excel.csv", retext(lambda n, ms: 45000.5), "line 2: .* no time between"),
    Bad("minus.csv", retext(lambda n, ms: -ms), "line 2: .* is no time"),
    Bad("huge.json", to_json([[10**30, *row[1:]] for row in rows(BARS)]), "row 1: .* no time between"),
    Bad("units.csv", retext(lambda n, ms: ms * 1000 if n >= TEN else ms), "line 12: .* milliseconds to microseconds"),
    Bad("forms.csv", retext(lambda n, ms: iso(ms, "") if n >= TEN else ms), "line 12: .* mixes numbers and dates"),
    Bad("zones.csv", retext(lambda n, ms: iso(ms, "+01:00" if n >= TEN else "Z")), "line 12: .* mixes zones"),
    Bad("half_zoned.csv", retext(lambda n, ms: iso(ms, "Z" if n >= TEN else "")), "line 12: .* mixes zones"),
    Bad("glue.csv", retext(lambda n, ms: iso(ms, "", " T"[n >= TEN])), "line 12: .* mixes forms"),
    Bad(
        "summer.json", to_json(named(BARS, "date", lambda ms: iso(ms, "+02:00" if ms % 7 else "+01:00"))), "mixes zones"
    ),
    Bad("finer.csv", retext(lambda n, ms: ms * 1000 + 7), "line 2: .* no whole millisecond"),
    Bad("flags.parquet", to_parquet(retimed(BARS, "timestamp", pl.lit(True))), "no times"),
    Bad("old.parquet", to_parquet(retimed(BARS, "timestamp", TIME.dt.offset_by("-60y"))), "not between 1973 and 2103"),
    Bad("clock.csv", to_csv(headed(BARS, ["time", *NAMES], lambda ms: iso(ms, "")[11:])), "is no time"),
]

WRONG_ROWS = [
    Bad("twice.csv", csv_of([*rows(BARS)[:11], *rows(BARS)[10:]]), "line 13 .*: its time stands in line 12 already"),
    Bad("contradicting.csv", csv_of([*rows(BARS)[:11], *cell(TEN, 5, 0.5)[10:]]), "line 13 .*with other values"),
    Bad("swapped.csv", csv_of(swapped(TEN, TEN + 1)), "line 13 .*: earlier than"),
    Bad("newest_first.csv", csv_of(rows(BARS)[::-1]), "95 rows, the first is line 3 .*: earlier than"),
    Bad(
        "nan.parquet",
        more(close=pl.Series([*BARS.close[:TEN], np.nan, *BARS.close[11:]])),
        "row 11 .*: close is missing",
    ),
    Bad("null.parquet", more(volume=pl.Series([None, *BARS.volume[1:]])), "row 1 .*: volume is missing"),
    Bad("null.json", to_json(cell(TEN, 3, None)), "row 11 .*: low is missing"),
    Bad("inf.csv", csv_of(cell(TEN, 2, "inf")), "line 12 .*: high is infinite"),
    Bad("empty_cell.csv", csv_of(cell(TEN, 1, "")), "line 12 .*: open is missing"),
    Bad("text.csv", csv_of(cell(TEN, 1, "n/a")), "line 12: column 'open' holds 'n/a', no number"),
    Bad("comma.csv", csv_of(cell(TEN, 1, "1,5")), "line 12: column 'open' holds '1,5', no number"),
    Bad("text.json", to_json(cell(TEN, 4, {"price": 1})), "row 11: column 'close' holds .*, no number"),
    Bad("zero.csv", csv_of(cell(TEN, 3, 0)), "line 12 .*: a price of 0"),
    Bad("negative.csv", csv_of(cell(TEN, 3, -5)), "line 12 .*: a price of -5"),
    Bad("sold.csv", csv_of(cell(TEN, 5, -5)), "line 12 .*: a volume of -5"),
    Bad("high.csv", csv_of(cell(TEN, 2, 1e-3)), "line 12 .*: not low <= open, close <= high"),
    Bad("low.csv", csv_of(cell(TEN, 3, 1e6)), "line 12 .*: not low <= open, close <= high"),
    Bad("off_grid.csv", retext(lambda n, ms: ms + 60_000 * (n == TEN)), "line 12 .*: not at a whole multiple of 15"),
    Bad("close_times.csv", retext(lambda n, ms: ms + 899_999), "96 rows, .*these look like close times"),
    Bad("seconds_apart.csv", retext(lambda n, ms: 1735603200 + 90 * n), "1.5 minutes apart"),
    Bad("weekly.csv", retext(lambda n, ms: 1577836800 + 604800 * n), "10080 minutes apart"),
    Bad("SOLUSDT-5m.csv", GOOD["plain.csv"], "15 minutes apart, not 5 as in the file's name"),
    Bad("klines_twice.csv", to_csv(klines(BARS) * 2), "line 97 .*: earlier than"),
    Bad("unsorted.feather", to_feather(frame(BARS).reverse(), compression="lz4"), "95 rows, the first is row 2 "),
]

EVERY = [*NO_FILE, *WRONG_COLUMNS, *WRONG_TIMES, *WRONG_ROWS]


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("bad", EVERY, ids=lambda bad: bad.name)
def test_it_is_refused_in_one_line(bad: Bad, write: Write) -> None:
    path = write(bad.name, bad.content)
    before = sorted(path.parent.iterdir())
    with pytest.raises(BadData) as refused:
        load(path, "SOLUSDT")
    line = refused.value.line()
    assert re.search(bad.says, line), line
    assert line.startswith(f"{path}: ")
    assert refused.value.fix
    assert "\n" not in line
    assert len(line) < 600
    assert sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize(
    "bad",
    [bad for bad in EVERY if bad.name in ("half.parquet", "half.feather", "text.csv", "mixed.json", "empty.csv")],
    ids=lambda bad: bad.name,
)
def test_the_front_door_says_so_too_and_exits_65(
    bad: Bad, write: Write, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(bad.name, bad.content)
    monkeypatch.chdir(path.parent)
    output = path.parent / "new.parquet"
    code = main(["data", "convert", str(path), "--symbol", "SOLUSDT", "--output", str(output)])
    said = capfd.readouterr()
    assert code == 65
    assert not said.out
    assert said.err.startswith(f"btswarm: {path}: ")
    assert said.err.count("\n") == 1
    assert sorted(path.parent.iterdir()) == [path]


def test_a_file_that_may_not_be_read_is_refused(
    write: Write, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("secret.csv", GOOD["plain.csv"])

    def forbidden(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(BadData, match=r"secret.csv: it cannot be read \(Permission denied\)"):
        load(path, "SOL")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_the_file_system_s_own_refusal_is_reported(write: Write) -> None:
    path = write("secret.csv", GOOD["plain.csv"])
    path.chmod(0)
    with pytest.raises(BadData, match="Permission denied"):
        load(path, "SOL")


def test_a_file_that_unpacks_to_more_than_the_limit_is_refused(
    write: Write, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("btswarm.engine.candles.formats.MAX_BYTES", 2000)
    with pytest.raises(BadData, match="larger than"):
        load(write("large.csv", GOOD["plain.csv"]), "SOL")
    with pytest.raises(BadData, match="unpacks to more"):
        load(write("bomb.csv.gz", gzip.compress(bytes(10**6))), "SOL")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import os; os.abort()", "decoding it crashes the reader"),
        ("import os; os.kill(os.getpid(), 11)", "decoding it crashes the reader"),
    ],
)
def test_a_file_that_kills_the_decoder_is_refused(
    script: str, says: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("btswarm.engine.candles.read.DECODER", ("-c", script))
    with pytest.raises(BadData, match=says):
        load(write("deadly.parquet", b"PAR1"), "SOL")


def test_a_decoder_that_is_killed_runs_again_and_killed_twice_wants_memory(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counter = tmp_path / "runs"
    die = "import os; os.kill(os.getpid(), 9)"
    monkeypatch.setattr("btswarm.engine.candles.read.DECODER", ("-c", f"open({str(counter)!r}, 'a').write('x'); {die}"))
    with pytest.raises(OutOfMemory, match="killed twice"):
        load(write("unlucky.parquet", b"PAR1"), "SOL")
    assert counter.read_text() == "xx"
    once = f"import sys; sys.argv[0] = 'decode'; import runpy; p = {str(counter)!r}; n = len(open(p).read()); " + (
        f"open(p, 'a').write('x'); n > 2 or exec({die!r}); runpy.run_module('btswarm.engine.candles.decode', "
        "run_name='__main__')"
    )
    monkeypatch.setattr("btswarm.engine.candles.read.DECODER", ("-c", once))
    assert len(load(write("plain.csv", GOOD["plain.csv"]), "SOL")) > 0
    assert len(counter.read_text()) == 4


def test_a_decoder_that_takes_for_ever_is_given_up(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("btswarm.engine.candles.read.DECODER", ("-c", "import signal; signal.pause()"))
    monkeypatch.setattr("btswarm.engine.candles.read.DEADLINE_S", 0.2)
    with pytest.raises(BadData, match="not decoded within"):
        load(write("endless.parquet", b"PAR1"), "SOL")


def test_a_bug_of_the_decoder_is_not_blamed_on_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("btswarm.engine.candles.read.DECODER", ("-c", "raise KeyError('mine')"))
    with pytest.raises(RuntimeError, match="mine"):
        load(write("innocent.parquet", b"PAR1"), "SOL")


def test_nothing_in_the_working_folder_is_imported_by_the_decoder() -> None:
    assert DECODER[0] == "-P"


def test_the_real_bad_files_are_refused_as_their_description_says(market_data: Path) -> None:
    twice = market_data / "bad" / "SOLUSDT-5m-duplicated-unsorted.feather"
    with pytest.raises(BadData) as refused:
        load(twice, "SOL")
    assert re.search("24 rows, the first is row 5001 .*other faults: duplicates.*--repair", refused.value.line())
    gaps: Bars = load(market_data / "bad" / "UNITTEST_BTC-1m-many-small-gaps.feather", None)
    assert (gaps.symbol, gaps.base_minutes, len(gaps)) == ("UNITTESTBTC", 1, 13_681)


def test_a_name_of_any_bytes_can_be_refused(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path / "SOLUSDT") + b"-5m.\xff\xfe"))
    path.write_bytes(json.dumps([]).encode())
    with pytest.raises(BadData, match="format is not known"):
        load(path, "SOL")
