"""A candle file -> its rows as they are, faults and all: what `data check` and the preflight look at.

Notation: N rows in the file's order, nothing sorted, dropped or filled.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from ...state.errors import BadData, OutOfMemory
from ..bars import Bars, Floats, Ints
from .decode import REFUSED, Text
from .locate import Located, locate

DECODER = ("-P", "-m", "btswarm.engine.candles.decode")  # -P: nothing in the working folder may shadow a library
FEW_THREADS = dict.fromkeys(("POLARS_MAX_THREADS", "POLARS_ASYNC_THREAD_COUNT", "OPENBLAS_NUM_THREADS"), "2")
DEADLINE_S = 600
COLUMNS = 5
DAMAGE = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP}


@dataclass(frozen=True, eq=False)
class Raw:
    """time int64 [N] ms UTC; open, high, low, close, volume float64 [N], NaN where a cell is empty or no number.

    `numbers` int64 [N]: the row or line (`word`) as a person counts it. `minutes`: the timeframe in the file's name.
    `written_ms`: when the file was last modified. `path` is empty for candles that came from no file.
    """

    path: str
    symbol: str
    word: str
    numbers: Ints
    time: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    texts: tuple[Text, ...] = ()
    minutes: int | None = None
    written_ms: int | None = None
    synthetic: bool = False

    def __len__(self) -> int:
        return len(self.time)

    @property
    def columns(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        return self.open, self.high, self.low, self.close, self.volume

    def take(self, rows: Ints) -> "Raw":
        """These rows in this order."""
        o, h, low, c, v = (column[rows] for column in self.columns)
        return replace(
            self, numbers=self.numbers[rows], time=self.time[rows], open=o, high=h, low=low, close=c, volume=v
        )

    def bars(self, base_ms: int) -> Bars:
        """The rows as candles; the caller has made sure that they are."""
        return Bars(self.symbol, base_ms, self.time, *self.columns, source=self.path, synthetic=self.synthetic)


def read_raw(data_path: str | Path, symbol: str | None = None, *, base_minutes: int | None = None) -> Raw:
    """The rows of the file that `data_path` and `symbol` mean.

    Raises InputGone, BadConfig as `locate` does, and BadData naming the file when it cannot be read as candles.
    """
    return read_located(locate(data_path, symbol, base_minutes=base_minutes))


def read_located(located: Located) -> Raw:
    """The rows of a file that was found already."""
    path = located.path
    assert path is not None
    written_ms = _written_ms(path)
    header, body = _decode_apart(path, located.symbol)
    rows = int(header["rows"])
    arrays = np.frombuffer(body, dtype=np.int64).reshape(2 + COLUMNS, rows)
    prices = [column.copy() for column in arrays[2:].view(np.float64)]
    return Raw(
        path=_shown(path),
        symbol=located.symbol,
        word=str(header["word"]),
        numbers=arrays[0].copy(),
        time=arrays[1].copy(),
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=prices[4],
        texts=tuple(Text(*text) for text in header["texts"]),
        minutes=located.minutes,
        written_ms=written_ms,
    )


def _written_ms(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns // 10**6
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror})", fix="is somebody else replacing it?") from error


def _shown(path: Path) -> str:
    """The path as text that can be written anywhere, whatever bytes its name has."""
    return str(path).encode(errors="backslashreplace").decode()


def of_bars(bars: Bars) -> Raw:
    """Candles that are in memory already, for the checks."""
    numbers = np.arange(1, len(bars) + 1, dtype=np.int64)
    return Raw(bars.source, bars.symbol, "row", numbers, bars.time, *bars.columns, synthetic=bars.synthetic)


def _decode_apart(path: Path, symbol: str) -> tuple[dict[str, Any], memoryview]:
    """Run the decoder in a process of its own; its death is the file's fault, its traceback ours. One that was killed
    is run again: somebody may have meant another. Raises OutOfMemory when that is killed too."""
    done = _decoder(path, symbol)
    if done.returncode == -signal.SIGKILL:
        done = _decoder(path, symbol)
    head, _, _ = done.stdout.partition(b"\n")
    if done.returncode == 0:
        return orjson.loads(head), memoryview(done.stdout)[len(head) + 1 :]
    if done.returncode == REFUSED:
        refusal = orjson.loads(head)
        raise BadData(f"{path}: {refusal['message']}", fix=refusal["fix"])
    if -done.returncode in DAMAGE:
        raise BadData(f"{path}: it is damaged: decoding it crashes the reader", fix="write or download it again")
    if done.returncode == -signal.SIGKILL:
        raise OutOfMemory(f"{path}: the reader was killed twice", fix="is there enough memory? then try again")
    raise RuntimeError(f"the reader of {path} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")


def _decoder(path: Path, symbol: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, *DECODER, os.fspath(path), symbol]
    environment = {**os.environ, **FEW_THREADS, "RUST_BACKTRACE": "0"}
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=DEADLINE_S,
            check=False,
            process_group=0,  # a terminal's Ctrl-C is for us to judge
        )
    except subprocess.TimeoutExpired as error:
        raise BadData(f"{path}: not decoded within {DEADLINE_S} s", fix="give fewer years") from error
