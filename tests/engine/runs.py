"""Small real runs: candles in a file, a plan of a few seconds, and ways to stop it where a test wants."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from btswarm.engine import pipeline
from btswarm.engine.backend import Backend
from btswarm.engine.bars import Bars
from btswarm.engine.plan import Plan
from btswarm.engine.progress import Reporter
from btswarm.engine.reporters import Quiet
from btswarm.engine.stopping import Stop
from btswarm.state.models.jobs import Phase, Volume
from btswarm.state.models.rounds import Outcome, Summary

from .market import walk

DAYS = 320
VOLUME = Volume(combos=60, top_k=10, trials=6, paths=10, permutations=0)
COMMAND = [sys.executable, "-P", "-m", "btswarm"]
PATIENCE_S = 120


def write_candles(folder: Path, bars: Bars) -> Path:
    """`<SYMBOL>-<minutes>m.parquet` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{bars.symbol}-{bars.base_minutes}m.parquet"
    columns = {"timestamp": bars.time} | {
        name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")
    }
    pl.DataFrame(columns).with_columns(pl.col("timestamp").cast(pl.Datetime("ms", "UTC"))).write_parquet(path)
    return path


def candles(folder: Path, days: float = DAYS, *, symbol: str = "SOLUSDT", seed: int = 0) -> Path:
    """A folder with one market of quarter-hours."""
    write_candles(folder, walk("2023-01-01", days, minutes=15, symbol=symbol, seed=seed))
    return folder


def plan(home: Path, candles: Path | str, **changes: Any) -> Plan:
    """One symbol, one mode, one thread, tiny volumes; results, ledger and all below `home`."""
    usual: dict[str, Any] = {
        "data": str(candles),
        "symbols": ("SOL",),
        "modes": ("balanced",),
        "results": home / "results",
        "ledger": home / "state" / "search_ledger.jsonl",
        "backend": Backend("cpu", -1),
        "threads": 1,
        "volume": VOLUME,
    }
    return Plan(**(usual | changes))


def go(wanted: Plan, display: Quiet | None = None, stop: Stop | None = None, *, new_round: bool = False) -> Summary:
    """Run it here. The disk need not have gigabytes free for a test."""
    return pipeline.run(wanted, display or Quiet(), Stop() if stop is None else stop, new_round=new_round, floor_mb=0)


def only(told: Summary) -> Outcome:
    [outcome] = told.outcomes
    return outcome


def lane(wanted: Plan, number: int = 1, symbol: str = "SOLUSDT", mode: str = "balanced") -> Path:
    return wanted.results / "rounds" / str(number) / "fg" / symbol / mode


def reused(outcome: Outcome) -> dict[str, bool]:
    return {one.stage: one.reused for one in outcome.stages}


class Watching(Quiet):
    """Shows nothing, and calls `see(stage, phase, step)` at each step; what it said is kept in `said`."""

    def __init__(self, see: Callable[[str, str, int], None] = lambda stage, phase, step: None) -> None:
        self._see = see
        self._stage, self._phase = "", ""
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def begin(self, label: str) -> Reporter:
        self._stage = label.rpartition(" ")[2]
        return self

    def phase(self, name: Phase, steps: int | None = None, unit: str = "") -> None:
        self._phase = name

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        self._see(self._stage, self._phase, done)

    def fact(self, **facts: object) -> None:
        pass

    def line(self, text: str) -> None:
        self.said.append(text)


def stopped_in(wanted: Plan, stage: str, phase: str) -> Summary:
    """Run until the first step of that phase, where somebody asks it to stop."""
    stop = Stop()

    def see(in_stage: str, in_phase: str, step: int) -> None:
        if (in_stage, in_phase) == (stage, phase) and step:
            stop.raise_flag("the test")

    return go(wanted, Watching(see), stop)


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "STATE_ROOT": str(home / "state"), "RESULTS_ROOT": str(home / "results")}


def config_file(home: Path) -> Path:
    """A configuration that needs no free disk and keeps few rows."""
    path = home / "small.toml"
    path.write_text("[disk]\nfloor_mb = 0\n[volume]\ntop_k = 40\npermutations = 0\n")
    return path


def command(home: Path, data: Path | str, *more: str, trials: int = 60, combos: int = 300) -> list[str]:
    """`btswarm run` of a few seconds, on two worker processes if `trials` is enough for two."""
    options = ["--data-path", str(data), "--symbol", "SOL", "--mode", "balanced", "--threads", "2", "--paths", "20"]
    volume = ["--prescreen", str(combos), "--trials", str(trials)]
    return [*COMMAND, "run", *options, *volume, "--config", str(config_file(home)), *more]


def start(arguments: list[str], home: Path) -> subprocess.Popen[str]:
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        arguments, env=environment(home), cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(true: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait for a condition; a process that ends before it holds is a failure that shows what it said."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if process is not None and process.poll() is not None and not true():
            raise AssertionError(f"ended with {process.returncode} too early:\n{process.communicate()}")
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
