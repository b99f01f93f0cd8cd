"""What the parts of the loop share: the ports, the memory, and where things lie."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ..state.errors import BadConfig, StorageBroken
from ..state.models.config import Config
from ..state.models.events import Draft
from ..state.models.facts import FileView
from ..state.models.records import Desired
from ..state.paths import Roots
from ..state.plans import overlay
from ..state.scribe import Scribe
from .background import Caretaker, NoCaretaker
from .housekeeping import WORKERS as WORKERS
from .journal import Journal
from .plan_shelf import PlanShelf
from .ports import Identity, World
from .probes.artifacts import Findings


@dataclass
class Swarm:
    """`file_config`: as `btswarm.toml` says; `config` has the launched plan laid over it."""

    world: World
    journal: Journal
    scribe: Scribe
    roots: Roots
    file_config: Config
    swarm_id: str
    epoch: str
    build: str
    inherited: dict[str, str] = field(default_factory=dict)
    """Environment of the daemon: workers get what the allow-list names."""
    started: dict[str, Identity] = field(default_factory=dict)
    """Processes of workers whose start nobody has looked at yet."""
    file_views: dict[str, FileView] = field(default_factory=dict)
    """State files as they were last read back."""
    saved: bool = False
    """Whether this daemon has written its state files at least once."""
    caretaker: Caretaker = field(default_factory=NoCaretaker)
    findings: Findings = field(default_factory=Findings)
    """Results and ledger as they were last looked at."""
    _shelf: PlanShelf | None = None
    _overlaid: tuple[object, object, str, Config] | None = None

    @property
    def config(self) -> Config:
        """The configuration in force; a plan that contradicts the file, or is lost, is reported and left out."""
        desired = self.desired
        known = self._overlaid
        if known and known[0] is self.file_config and known[1] is desired.plan and known[2] == desired.plan_file:
            return known[3]
        try:
            config = self.overlaid(self.file_config)
        except (BadConfig, StorageBroken) as error:
            self.journal.tell(Draft("command.refused", "launch", {"why": error.line()}, outcome="contradiction"))
            config = self.file_config
        self._overlaid = (self.file_config, desired.plan, desired.plan_file, config)
        return config

    def overlaid(self, file_config: Config) -> Config:
        """The launched plan over this file. Raises BadConfig where they contradict each other, StorageBroken when the
        plan is lost."""
        desired = self.desired
        return overlay(file_config, self.plans.find(desired.plan_file) if desired.plan_file else desired.plan)

    @property
    def plans(self) -> PlanShelf:
        """Where plans lie that are too large for a line of the log."""
        if self._shelf is None:
            self._shelf = PlanShelf(self.roots.state)
        return self._shelf

    def look(self, *, tick: bool) -> None:
        """Take over what the caretaker found; what changed is news for one cycle."""
        if tick:
            self.findings = self.caretaker.findings()
        elif self.findings.artifacts.changed:
            view = replace(self.findings.artifacts, changed=())
            self.findings = replace(self.findings, artifacts=view)

    @property
    def desired(self) -> Desired:
        return self.journal.live.desired

    def folder(self, worker: str) -> Path:
        """Of one worker: job.json, progress.json, exit.json, lock."""
        return self._folder / worker

    @cached_property
    def _folder(self) -> Path:
        return self.roots.state / WORKERS

    def log(self, worker: str) -> Path:
        return self.roots.logs / f"{worker}.log"
