"""Listeners to a stage's progress: none of them decides anything, and none of them can fail a stage.

A stage talks to one `Relay`, which raises Stopped at its next step after a signal and passes everything on.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TextIO

import orjson

from ..state.errors import BtswarmError
from ..state.files import append_line, write_atomic
from ..state.models.jobs import Phase, Progress, SeedsLoaded
from .progress import Reporter
from .stopping import Stop

Clock = Callable[[], float]

FILE_INTERVAL_S = 1.0
LINE_INTERVAL_S = 10.0
FACTS = ("backend", "device", "seeds", "gpu_mem_mb")


class Relay:
    """Passes a stage's progress on to `listeners`."""

    def __init__(self, stop: Stop, *listeners: Reporter) -> None:
        self._stop = stop
        self._listeners = listeners

    def phase(self, name: Phase, steps: int | None = None, unit: str = "") -> None:
        for listener in self._listeners:
            listener.phase(name, steps, unit)

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        for listener in self._listeners:
            listener.step(done, checkpoint=checkpoint, next_s=next_s)
        self._stop.check()

    def fact(self, **facts: object) -> None:
        for listener in self._listeners:
            listener.fact(**facts)

    def line(self, text: str) -> None:
        for listener in self._listeners:
            listener.line(text)


class Meter:
    """How far a phase is and how fast it goes. What was done before this process began does not count as speed."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.begin("start")

    def begin(self, phase: Phase, steps: int | None = None, unit: str = "") -> None:
        self.phase: Phase = phase
        self.steps, self.unit = steps, unit
        self.done = 0
        self.checkpoint: int | None = None
        self.next_s: float | None = None
        self._began: tuple[float, int] | None = None

    def at(self, done: int, checkpoint: int | None = None, next_s: float | None = None) -> None:
        self.done, self.next_s = done, next_s
        self.checkpoint = self.checkpoint if checkpoint is None else checkpoint
        if self._began is None:
            self._began = (self.clock(), done)

    @property
    def rate(self) -> float | None:
        """Steps a second, None while it is not known."""
        if self._began is None:
            return None
        since, first = self._began
        elapsed = self.clock() - since
        return (self.done - first) / elapsed if elapsed > 0 and self.done > first else None

    @property
    def left_s(self) -> float | None:
        """Seconds to the end of the phase at this rate."""
        return (self.steps - self.done) / self.rate if self.steps and self.rate else None


class ProgressFile:
    """A worker's `progress.json`: replaced at each change of phase, and at a step at most once a second.

    Failing to write it is no failure of the worker: whoever reads it sees its age.
    """

    def __init__(self, path: Path, worker: str, clock: Clock = time.monotonic) -> None:
        self.meter = Meter(clock)
        self.steps = 0
        self._path, self._worker = path, worker
        self.peak_gpu_mb = 0
        self._facts: dict[str, Any] = {}
        self._written = float("-inf")

    def phase(self, name: Phase, steps: int | None = None, unit: str = "") -> None:
        self.meter.begin(name, steps, unit)
        self._write()

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        self.steps += max(0, done - self.meter.done)
        self.meter.at(done, checkpoint, next_s)
        if self.meter.clock() - self._written >= FILE_INTERVAL_S:
            self._write()

    def fact(self, **facts: object) -> None:
        self._facts.update((name, value) for name, value in facts.items() if name in FACTS)
        self.peak_gpu_mb = max(self.peak_gpu_mb, self._facts.get("gpu_mem_mb", 0))

    def line(self, text: str) -> None:
        pass

    def _write(self) -> None:
        meter = self.meter
        self._written = meter.clock()
        progress = Progress(
            worker=self._worker,
            phase=meter.phase,
            step=meter.done,
            steps=meter.steps,
            rate=meter.rate,
            unit=meter.unit,
            next_s=meter.next_s,
            checkpoint=meter.checkpoint,
            mono=self._written,
            **self._facts,
        )
        with contextlib.suppress(BtswarmError):
            write_atomic(self._path, orjson.dumps(progress.model_dump()), sync=False)


class LogFile:
    """The log of one symbol and mode: each line with its time (UTC). A log that cannot be written is done without."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def phase(self, name: Phase, steps: int | None = None, unit: str = "") -> None:
        pass

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        pass

    def fact(self, **facts: object) -> None:
        pass

    def line(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with contextlib.suppress(BtswarmError):
            append_line(self._path, f"{stamp} {text}")


class Lines:
    """A stage's own lines, as they are, onto a stream: what a worker prints."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def phase(self, name: Phase, steps: int | None = None, unit: str = "") -> None:
        pass

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        pass

    def fact(self, **facts: object) -> None:
        pass

    def line(self, text: str) -> None:
        write_line(self._stream, text)


class Display(Protocol):
    """What a person watches: stages one after another, and lines between them."""

    def say(self, text: str) -> None:
        """A line of the pipeline itself."""

    def begin(self, label: str) -> Reporter:
        """A stage begins; the reporter is good until `end`."""

    def end(self, text: str) -> None:
        """The stage ended; `text` says how."""

    def close(self) -> None:
        """Nothing more will be shown."""


class Plain:
    """Plain lines for logs and pipes: each phase, its progress every ten seconds, the stages' own lines."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._meter = Meter(clock)
        self._label = ""
        self._shown = 0.0

    def say(self, text: str) -> None:
        write_line(self._stream, text)

    def begin(self, label: str) -> Reporter:
        self._label = label
        self.phase("start")
        return self

    def end(self, text: str) -> None:
        self.say(f"{self._label}: {text}")

    def close(self) -> None:
        pass

    def phase(self, name: Phase, steps: int | None = None, unit: str = "") -> None:
        self._meter.begin(name, steps, unit)
        self._shown = self._meter.clock()

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        self._meter.at(done)
        if self._meter.clock() - self._shown >= LINE_INTERVAL_S:
            self._shown = self._meter.clock()
            self.say(f"{self._label}: {progress_text(self._meter)}")

    def fact(self, **facts: object) -> None:
        pass

    def line(self, text: str) -> None:
        self.say(f"{self._label}: {text}")


class JsonLines:
    """One JSON object per line: `say`, `begin`, `end`, `phase`, `line`, and `step` at most once a second."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._meter = Meter(clock)
        self._label = ""
        self._shown = float("-inf")

    def say(self, text: str) -> None:
        self._event("say", text=text)

    def begin(self, label: str) -> Reporter:
        self._label = label
        self._event("begin")
        return self

    def end(self, text: str) -> None:
        self._event("end", text=text)
        self._label = ""

    def close(self) -> None:
        pass

    def phase(self, name: Phase, steps: int | None = None, unit: str = "") -> None:
        self._meter.begin(name, steps, unit)
        self._event("phase", phase=name, steps=steps, unit=unit)

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        self._meter.at(done)
        if self._meter.clock() - self._shown >= FILE_INTERVAL_S:
            self._shown = self._meter.clock()
            meter = self._meter
            self._event("step", phase=meter.phase, done=done, steps=meter.steps, rate=meter.rate, left_s=meter.left_s)

    def fact(self, **facts: object) -> None:
        shown = {name: value.model_dump() if isinstance(value, SeedsLoaded) else value for name, value in facts.items()}
        self._event("fact", **shown)

    def line(self, text: str) -> None:
        self._event("line", text=text)

    def _event(self, event: str, **fields: object) -> None:
        label = {"stage": self._label} if self._label else {}
        write_line(self._stream, orjson.dumps({"event": event, **label, **fields}, default=str).decode())


class Quiet:
    """Shows nothing."""

    def say(self, text: str) -> None:
        pass

    def begin(self, label: str) -> Reporter:
        return Relay(Stop())

    def end(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


def progress_text(meter: Meter) -> str:
    """`batch 65,536 of 250,000 combos, 21,000/s, 9 s left`."""
    if not meter.steps:
        return f"{meter.phase} {meter.done or ''}".rstrip()
    parts = [f"{meter.phase} {meter.done:,} of {meter.steps:,} {meter.unit}".rstrip()]
    if meter.rate:
        parts.append(f"{rate_text(meter.rate)}/s")
    if meter.left_s is not None:
        parts.append(f"{duration(meter.left_s)} left")
    return ", ".join(parts)


def rate_text(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def duration(seconds: float) -> str:
    """`0.8 s`, `42 s`, `3 min 07 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def write_line(stream: TextIO, text: str) -> None:
    """A line to a stream that may have gone away: progress is not worth dying for."""
    with contextlib.suppress(OSError, ValueError):
        stream.write(text + "\n")
        stream.flush()
