"""What takes a disk's time and nobody waits for: results and ledger looked at, old files thrown away.

One thread of its own, asked at ticks. What it found last is always at hand.
"""

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from ..state.models.facts import ArtifactsView
from ..state.paths import Roots
from ..state.results import round_numbers
from ..state.searches import Searches
from .housekeeping import WORKERS, Keep, Swept, sweep
from .plan_shelf import PlanShelf
from .probes.artifacts import Findings, Shelf

EVERYTHING_S: Final = 600.0
"""Rounds at rest are looked at again after so long."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be done, from frozen values. `now`: UTC seconds; `sweep`: whether old files go; `plan`: the file of
    the plan in force, if it has one."""

    now: float
    mono: float
    keep: Keep
    sweep: bool = False
    plan: str = ""


class Caretaker(Protocol):
    """Who does errands; in a simulation nobody."""

    def ask(self, errand: Errand) -> None: ...

    def findings(self) -> Findings: ...

    def swept(self) -> Swept: ...


class NoCaretaker:
    def ask(self, errand: Errand) -> None: ...

    def findings(self) -> Findings:
        return Findings()

    def swept(self) -> Swept:
        return Swept()


class Background:
    """`ask` never waits; of errands that pile up the newest is done."""

    def __init__(self, roots: Roots, plans: PlanShelf) -> None:
        self._roots, self._plans = roots, plans
        self._shelf = Shelf(roots.results)
        self._searches = Searches(roots.ledger)
        self._looked: float | None = None
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._errand: Errand | None = None
        self._findings = Findings(artifacts=ArtifactsView(newest=_newest_round(roots.results)))
        self._swept = Swept()
        self._thread = threading.Thread(target=self._work, name="btswarm-background", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends after what is under way, which nobody waits for."""
        self.ask(None)

    def ask(self, errand: Errand | None) -> None:
        with self._lock:
            if self._errand is not None and errand is not None and self._errand.sweep:
                errand = replace(errand, sweep=True)
            self._errand = errand
        self._wanted.set()

    def findings(self) -> Findings:
        """The newest; `changed` is told once."""
        with self._lock:
            found = self._findings
            self._findings = replace(found, artifacts=replace(found.artifacts, changed=()))
        return found

    def swept(self) -> Swept:
        """What was thrown away since the last call."""
        with self._lock:
            swept, self._swept = self._swept, Swept()
        return swept

    def _work(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            with self._lock:
                errand, self._errand = self._errand, None
            if errand is None:
                return
            self.do(errand)

    def do(self, errand: Errand) -> None:
        """One errand, in whichever thread."""
        everything = self._looked is None or errand.mono - self._looked >= EVERYTHING_S
        found = self._shelf.look(errand.keep.busy, everything=everything)
        self._looked = errand.mono if everything else self._looked
        self._searches.refresh()
        faults = (*found.faults, *([self._searches.fault] if self._searches.fault else []))
        swept = Swept()
        if errand.sweep:
            keep = replace(errand.keep, certified=found.certified)
            swept = sweep(self._roots.state / WORKERS, self._roots.logs, self._roots.results, keep)
            swept.faults += self._plans.tidy(errand.plan)
        with self._lock:
            changed = (*self._findings.artifacts.changed, *found.artifacts.changed)
            view = replace(found.artifacts, changed=changed)
            views = self._searches.views(errand.now)
            self._findings = replace(found, artifacts=view, searches=views, faults=faults, mono=errand.mono)
            self._swept = _together(self._swept, swept)


def _newest_round(results: Path) -> int:
    """Known from the first cycle on, so that no round is begun over another's results."""
    try:
        return max(round_numbers(results), default=0)
    except OSError:
        return 0


def _together(one: Swept, other: Swept) -> Swept:
    return Swept(
        one.workers + other.workers,
        one.logs + other.logs,
        one.cut + other.cut,
        one.rounds + other.rounds,
        (one.faults + other.faults)[:5],
    )
