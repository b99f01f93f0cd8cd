"""The same few candles in every layout that other programs write."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl

from btswarm.engine.bars import Bars
from btswarm.engine.candles.synthetic import synthetic
from btswarm.engine.candles.write import parquet

NAMES = ("open", "high", "low", "close", "volume")
HOUR = 3_600_000


def candles(days: int = 1) -> Bars:
    """96 bars of 15 minutes."""
    return synthetic("SOLUSDT", days=days, base_minutes=15)


def rows(bars: Bars) -> list[list[Any]]:
    """`[[ms, open, high, low, close, volume], ...]`"""
    return [[int(time), *map(float, values)] for time, *values in zip(bars.time, *bars.columns, strict=True)]


def frame(bars: Bars) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(parquet(bars)))


def to_parquet(table: pl.DataFrame, **options: Any) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer, **options)
    return buffer.getvalue()


def to_feather(table: pl.DataFrame, **options: Any) -> bytes:
    buffer = io.BytesIO()
    table.write_ipc(buffer, **options)
    return buffer.getvalue()


def to_csv(lines: list[list[Any]], delimiter: str = ",") -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows(lines)
    return buffer.getvalue().encode()


def to_json(content: Any) -> bytes:
    return json.dumps(content).encode()


def iso(ms: int, zone: str = "+00:00", glue: str = " ") -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(f"%Y-%m-%d{glue}%H:%M:%S") + zone


def klines(bars: Bars, unit: int = 1) -> list[list[Any]]:
    """What Binance writes: 12 columns, prices as text, times in ms or (unit 1000) microseconds."""
    step = bars.base_ms * unit
    return [
        [time * unit, *(f"{value:.8f}" for value in values), time * unit + step - 1, "1.0", 5, "1", "2", "0"]
        for time, *values in rows(bars)
    ]


def retimed(bars: Bars, name: str, change: pl.Expr) -> pl.DataFrame:
    return frame(bars).with_columns(change.alias("timestamp")).rename({"timestamp": name})


KLINE_HEADER = [
    *("open_time", *NAMES, "close_time", "quote_volume", "count"),
    *("taker_buy_volume", "taker_buy_quote_volume", "ignore"),
]
TIME = pl.col("timestamp")
EPOCH_MS = TIME.dt.epoch("ms")


def named(bars: Bars, time: str = "timestamp", convert: Callable[[int], Any] = int) -> list[dict[str, Any]]:
    """`[{"timestamp": ..., "open": ...}, ...]`"""
    return [dict(zip((time, *NAMES), (convert(row[0]), *row[1:]), strict=True)) for row in rows(bars)]


def columns(bars: Bars) -> dict[str, list[float]]:
    return {name: list(map(float, values)) for name, values in zip(NAMES, bars.columns, strict=True)}


def headed(bars: Bars, header: list[str], convert: Callable[[int], Any] = int) -> list[list[Any]]:
    return [header, *([convert(row[0]), *row[1:]] for row in rows(bars))]


HEADER = ["timestamp", *NAMES]


def _parquets(bars: Bars) -> dict[str, bytes]:
    table = frame(bars)
    return {
        "plain.parquet": parquet(bars),
        "snappy.parquet": to_parquet(table, compression="snappy"),
        "index.parquet": to_parquet(table.rename({"timestamp": "__index_level_0__"})),
        "naive.parquet": to_parquet(retimed(bars, "date", TIME.dt.replace_time_zone(None))),
        "new_york.parquet": to_parquet(retimed(bars, "time", TIME.dt.convert_time_zone("America/New_York"))),
        "ns.pq": to_parquet(retimed(bars, "datetime", TIME.cast(pl.Datetime("ns", "UTC")))),
        "seconds.parquet": to_parquet(retimed(bars, "ts", EPOCH_MS // 1000)),
        "float_ms.parquet": to_parquet(retimed(bars, "t", EPOCH_MS.cast(pl.Float64))),
        "numbers_as_text.parquet": to_parquet(table.with_columns(pl.col(NAMES).cast(pl.String))),
        "category.parquet": to_parquet(
            table.with_columns(pl.lit("SOL/USDT").cast(pl.Categorical).alias("symbol"), pl.lit("15m").alias("interval"))
        ),
    }


def _feathers(bars: Bars) -> dict[str, bytes]:
    table = frame(bars)
    return {
        "SOL_USDT-15m.feather": to_feather(table.rename({"timestamp": "date"}), compression="lz4"),
        "zstd.feather": to_feather(table, compression="zstd"),
        "uncompressed.arrow": to_feather(table, compression="uncompressed"),
        "text_time.ipc": to_feather(retimed(bars, "timestamp", TIME.dt.strftime("%Y-%m-%d %H:%M:%S"))),
    }


def _texts(bars: Bars) -> dict[str, bytes]:
    dump = [["unix", "date", "symbol", *NAMES[:4], "Volume SOL", "Volume USDT"]]
    dump += [[row[0] // 1000, iso(row[0], ""), "SOL/USDT", *row[1:5], row[5], row[4] * row[5]] for row in rows(bars)]
    numbered = [["", *HEADER], *([n, *row] for n, row in enumerate(rows(bars)))]
    return {
        "plain.csv": to_csv(headed(bars, HEADER)),
        "plain.csv.gz": gzip.compress(to_csv(headed(bars, HEADER))),
        "unnamed_index.csv": to_csv(headed(bars, ["", *NAMES], iso)),
        "numbered.csv": to_csv(numbered),
        "zulu.csv": to_csv(headed(bars, HEADER, lambda ms: iso(ms, "Z", "T"))),
        "minutes_only.csv": to_csv(headed(bars, HEADER, lambda ms: iso(ms, "")[:-3])),
        "east.csv": to_csv(headed(bars, HEADER, lambda ms: iso(ms + 3 * HOUR, "+03:00"))),
        "west.csv": to_csv(headed(bars, HEADER, lambda ms: iso(ms - 5 * HOUR - HOUR // 2, "-0530"))),
        "ns.csv": to_csv(headed(bars, HEADER, lambda ms: ms * 10**6)),
        "float_seconds.csv": to_csv(headed(bars, HEADER, lambda ms: ms / 1000)),
        "semicolons.csv": to_csv(headed(bars, ["Open time", *(name.title() for name in NAMES)]), ";"),
        "byte_order_mark.csv": b"\xef\xbb\xbf" + to_csv(headed(bars, HEADER)),
        "unix_lines.csv": to_csv(headed(bars, HEADER)).replace(b"\r\n", b"\n"),
        "blank_lines.csv": to_csv(headed(bars, HEADER)).replace(b"\r\n", b"\n\n"),
        "spaces.csv": to_csv(headed(bars, [f" {name} " for name in HEADER])).replace(b",", b" , "),
        "SOLUSDT-15m-2024-12.csv": to_csv(klines(bars)),
        "SOLUSDT-15m-2025-01.csv": to_csv(klines(bars, 1000)),
        "klines_with_header.csv": to_csv([KLINE_HEADER, *klines(bars)]),
        "two_volumes.csv": to_csv(dump),
    }


def _jsons(bars: Bars) -> dict[str, bytes]:
    times = [row[0] for row in rows(bars)]
    by_row = {
        name: dict(zip(map(str, range(len(bars))), values, strict=True)) for name, values in columns(bars).items()
    }
    by_time = {name: dict(zip(map(str, times), values, strict=True)) for name, values in columns(bars).items()}
    by_iso = {name: dict(zip(map(iso, times), values, strict=True)) for name, values in columns(bars).items()}
    records = named(bars)
    return {
        "SOL_USDT-15m.json": to_json(rows(bars)),
        "SOL_USDT-15m.json.gz": gzip.compress(to_json(rows(bars))),
        "klines.json": to_json(klines(bars)),
        "records.json": to_json(records),
        "records_iso.json": to_json(named(bars, "datetime", lambda ms: iso(ms, ".000Z", "T"))),
        "columns.json": to_json({"timestamp": dict(zip(map(str, range(len(bars))), times, strict=True)), **by_row}),
        "columns_by_time.json": to_json(by_time),
        "columns_by_iso.json": to_json(by_iso),
        "index.json": to_json({str(row.pop("timestamp")): row for row in named(bars)}),
        "index_numbered.json": to_json({str(n): row for n, row in enumerate(records)}),
        "split.json": to_json({"columns": HEADER, "index": list(range(len(bars))), "data": rows(bars)}),
        "split_by_time.json": to_json(
            {"columns": list(NAMES), "index": times, "data": [row[1:] for row in rows(bars)]}
        ),
        "table.json": to_json({"schema": {"fields": []}, "data": named(bars, convert=lambda ms: iso(ms, "Z", "T"))}),
        "lists.json": to_json({"t": times, **{name[0]: values for name, values in columns(bars).items()}}),
    }


def layouts(bars: Bars) -> dict[str, bytes]:
    """File name -> content; every one of them holds exactly `bars`."""
    return {**_parquets(bars), **_feathers(bars), **_texts(bars), **_jsons(bars)}
