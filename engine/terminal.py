"""Progress bars on a terminal: one line that moves, and a line for each stage that is done."""

import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from ..state.models.jobs import Phase
from .progress import Reporter
from .reporters import Clock, Meter, duration, rate_text

WORDS = {
    "start": "starting",
    "load": "loading",
    "batch": "screening",
    "exact": "exact",
    "trial": "trials",
    "fold": "folds",
    "permute": "permuting",
    "write": "writing",
}


class Bars:
    """A `Display` for people in front of a terminal."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._meter = Meter(clock)
        self._label = ""
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def say(self, text: str) -> None:
        self._console.print(escape(text), highlight=False, soft_wrap=True)

    def begin(self, label: str) -> Reporter:
        self.close()
        self._label = label
        self._meter.begin("start")
        self._progress = Progress(
            SpinnerColumn(style="cyan"),
            TextColumn("[bold]{task.fields[label]}[/] {task.fields[phase]}"),
            BarColumn(bar_width=28, complete_style="cyan", finished_style="cyan"),
            _Speed(),
            console=self._console,
            transient=True,
            refresh_per_second=8,
        )
        self._task = self._progress.add_task("", total=None, label=escape(label), phase="starting", meter=self._meter)
        self._progress.start()
        return self

    def end(self, text: str) -> None:
        self.close()
        self._console.print(
            f"[green]✓[/] [bold]{escape(self._label)}[/] {escape(text)}", highlight=False, soft_wrap=True
        )

    def close(self) -> None:
        if self._progress:
            self._progress.stop()
            self._progress = None

    def phase(self, name: Phase, steps: int | None = None, unit: str = "") -> None:
        self._meter.begin(name, steps, unit)
        self._update(total=steps, completed=0, phase=WORDS.get(name, name))

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        self._meter.at(done)
        self._update(completed=done)

    def fact(self, **facts: object) -> None:
        pass

    def line(self, text: str) -> None:
        self._console.print(f"  [dim]{escape(text)}[/]", highlight=False, soft_wrap=True)

    def _update(self, **fields: Any) -> None:
        if self._progress:
            self._progress.update(self._task, **fields)


class _Speed(TextColumn):
    """`65,536/250,000 combos · 21,000/s · 9 s left`."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        meter: Meter = task.fields["meter"]
        if not meter.steps:
            return Text(duration(task.elapsed or 0.0), style="dim")
        parts = [f"{meter.done:,}/{meter.steps:,} {meter.unit}".rstrip()]
        if meter.rate:
            parts.append(f"{rate_text(meter.rate)}/s")
        if meter.left_s is not None:
            parts.append(f"{duration(meter.left_s)} left")
        return Text(" · ".join(parts), style="dim")
