"""The closing summary on a terminal, or as plain text where there is none."""

from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..state.models.rounds import Figures, Outcome, Summary
from .reporters import duration

COLOURS = {"CERTIFIED": "green", "REJECTED": "red", "UNCERTIFIED": "yellow", "INSUFFICIENT EVIDENCE": "yellow"}
STATES = {"failed": "FAILED", "interrupted": "INTERRUPTED", "waiting": "NOT STARTED"}
STATE_COLOURS = {"closed": "yellow", "failed": "red", "interrupted": "yellow", "waiting": "dim"}
SYNTHETIC = "SYNTHETIC DATA: this market is invented. Nothing here says anything about a real one."
DASH = "–"
WIDTH = 110


def console(stream: TextIO) -> Console:
    """As wide as the terminal; a file has no width, and is read in one that has."""
    return Console(file=stream) if stream.isatty() else Console(file=stream, width=WIDTH)


def show(console: Console, told: Summary) -> None:
    """Print the whole summary."""
    console.print()
    if told.synthetic:
        console.print(Text(SYNTHETIC, style="bold magenta"), soft_wrap=True)
        console.print()
    for outcome in told.outcomes:
        console.print(_block(outcome), highlight=False)
        if outcome.tearsheet:
            console.print(Text(f"  tearsheet: {outcome.tearsheet}"), soft_wrap=True)
        console.print()
    for note in told.notes:
        console.print(Text(f"note: {note}", style="dim"), soft_wrap=True)
    console.print(Text(_closing(told), style="bold"), soft_wrap=True)


def _block(outcome: Outcome) -> Group:
    parts: list[RenderableType] = [_title(outcome)]
    if outcome.message:
        fix = f"; {outcome.fix}" if outcome.fix else ""
        parts.append(_line(f"{outcome.message}{fix}"))
    if outcome.words:
        parts += [_line(outcome.words), Padding(_table(outcome), (0, 0, 0, 2))]
    if outcome.meaning:
        parts.append(_line(f"{outcome.verdict}: {outcome.meaning}", style=COLOURS.get(outcome.verdict, "")))
    if outcome.gates:
        passed = outcome.gates - len(outcome.gates_failed)
        failed = f"; not met: {'; '.join(outcome.gates_failed)}" if outcome.gates_failed else ""
        parts.append(_line(f"{passed} of {outcome.gates} conditions of a certificate met{failed}", style="dim"))
    parts += [_line(f"warning: {warning}", style="dim") for warning in outcome.warnings]
    if outcome.stages:
        parts.append(_line(_times(outcome), style="dim"))
    return Group(*parts)


def _title(outcome: Outcome) -> Text:
    known = outcome.state == "done" and outcome.verdict
    word = outcome.verdict if known else _state(outcome)
    colour = COLOURS.get(word, "") if known else STATE_COLOURS.get(outcome.state, "")
    title = Text.assemble((f"{outcome.symbol} {outcome.mode}", "bold"), "  ", (word, f"bold {colour}".strip()))
    if outcome.published:
        title.append("  published", style="dim")
    return title


def _state(outcome: Outcome) -> str:
    if outcome.state == "closed":
        return "DATA REFUSED" if outcome.stages[-1].stage == "preflight" else "NOTHING FOUND"
    return STATES.get(outcome.state, "DONE")


def _table(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for name in ("Sharpe", "return", "a year", "drawdown", "trades"):
        table.add_column(name, justify="right", header_style="dim")
    rows = (("training", outcome.training), ("walk-forward", outcome.walk_forward), ("hold-out", outcome.holdout))
    for name, figures in rows:
        table.add_row(name, *_cells(figures))
    return table


def _cells(figures: Figures | None) -> list[str]:
    if figures is None:
        return [DASH] * 5
    trades = DASH if figures.trades is None else f"{figures.trades:,.0f}"
    sharpe = DASH if figures.sharpe is None else f"{figures.sharpe:.2f}"
    drawdown = DASH if figures.max_drawdown is None else f"{figures.max_drawdown:.1%}"
    return [sharpe, _signed(figures.total_return), _signed(figures.annual_return), drawdown, trades]


def _signed(fraction: float | None) -> str:
    return DASH if fraction is None else f"{fraction:+.1%}"


def _times(outcome: Outcome) -> str:
    return " · ".join(
        f"{time.stage} {duration(time.seconds)}{' (done before)' if time.reused else ''}" for time in outcome.stages
    )


def _closing(told: Summary) -> str:
    done = sum(one.state == "done" for one in told.outcomes)
    where = f"round {told.round}, {done} of {len(told.outcomes)} completed in {duration(told.seconds)}"
    on = f"{told.backend}, {told.threads} thread{'s' if told.threads != 1 else ''}, seed {told.seed}"
    again = "" if told.complete else "; the same command goes on from here"
    return f"{where} ({on}); results in {told.results}{again}"


def _line(text: str, style: str = "") -> Padding:
    return Padding(Text(text, style=style), (0, 0, 0, 2))
